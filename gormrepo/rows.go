package gormrepo

import (
	"reflect"
	"strings"
)

// The rows of the tables, as GORM sees them. The first field is the key. NULL stands for a zero
// time and for a nil slice.

type clientRow struct {
	ID        string  `gorm:"column:id;primaryKey"`
	Kind      string  `gorm:"column:kind"`
	Secrets   *string `gorm:"column:secrets"`
	Metadata  string  `gorm:"column:metadata"`
	Version   int64   `gorm:"column:version"`
	CreatedAt int64   `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt int64   `gorm:"column:updated_at;autoUpdateTime:false"`
}

type grantRow struct {
	ID            string  `gorm:"column:id;primaryKey"`
	ClientID      string  `gorm:"column:client_id"`
	Subject       string  `gorm:"column:subject"`
	Scopes        *string `gorm:"column:scopes"`
	Resources     *string `gorm:"column:resources"`
	Data          blob    `gorm:"column:data"`
	CreatedAt     int64   `gorm:"column:created_at;autoCreateTime:false"`
	LastUsedAt    *int64  `gorm:"column:last_used_at"`
	ExpiresAt     *int64  `gorm:"column:expires_at"`
	RevokedAt     *int64  `gorm:"column:revoked_at"`
	RevokedReason *string `gorm:"column:revoked_reason"`
}

type codeRow struct {
	Digest              []byte  `gorm:"column:digest;primaryKey"`
	GrantID             string  `gorm:"column:grant_id"`
	ClientID            string  `gorm:"column:client_id"`
	Subject             string  `gorm:"column:subject"`
	RedirectURI         string  `gorm:"column:redirect_uri"`
	Scopes              *string `gorm:"column:scopes"`
	Resources           *string `gorm:"column:resources"`
	CodeChallenge       string  `gorm:"column:code_challenge"`
	CodeChallengeMethod string  `gorm:"column:code_challenge_method"`
	Nonce               string  `gorm:"column:nonce"`
	Data                blob    `gorm:"column:data"`
	CreatedAt           int64   `gorm:"column:created_at;autoCreateTime:false"`
	ExpiresAt           int64   `gorm:"column:expires_at"`
	ConsumedAt          *int64  `gorm:"column:consumed_at"`
	RevokedAt           *int64  `gorm:"column:revoked_at"`
}

type tokenRow struct {
	Digest          []byte  `gorm:"column:digest;primaryKey"`
	Kind            string  `gorm:"column:kind"`
	GrantID         string  `gorm:"column:grant_id"`
	ClientID        string  `gorm:"column:client_id"`
	Subject         string  `gorm:"column:subject"`
	Scopes          *string `gorm:"column:scopes"`
	Resources       *string `gorm:"column:resources"`
	Data            blob    `gorm:"column:data"`
	CreatedAt       int64   `gorm:"column:created_at;autoCreateTime:false"`
	ExpiresAt       *int64  `gorm:"column:expires_at"`
	ConsumedAt      *int64  `gorm:"column:consumed_at"`
	ReplaySealed    []byte  `gorm:"column:replay_sealed"`
	ReplayExpiresAt *int64  `gorm:"column:replay_expires_at"`
	RevokedAt       *int64  `gorm:"column:revoked_at"`
}

// columnsOf returns the names of the columns.
func columnsOf[Row any]() (names []string) {
	for field := range reflect.TypeFor[Row]().Fields() {
		name, _, _ := strings.Cut(strings.TrimPrefix(field.Tag.Get("gorm"), "column:"), ";")
		names = append(names, name)
	}
	return names
}

// values returns what the fields of a row hold, in their order, which is that of the columns in
// each statement.
func values[Row any](row *Row) []any {
	fields := reflect.ValueOf(row).Elem()
	list := make([]any, fields.NumField())
	for i := range list {
		list[i] = fields.Field(i).Interface()
	}
	return list
}

// rest returns pointers to the fields of a row after its key, in the same order, for what was read
// by that key.
func rest[Row any](row *Row) []any { return pointers(row)[1:] }

// pointers returns pointers to the fields of a row, in their order.
func pointers[Row any](row *Row) []any {
	fields := reflect.ValueOf(row).Elem()
	list := make([]any, fields.NumField())
	for i := range list {
		list[i] = fields.Field(i).Addr().Interface()
	}
	return list
}

// bytesOf returns how many bytes the texts and blobs of a row have.
func bytesOf[Row any](row *Row) (sum int) {
	fields := reflect.ValueOf(row).Elem()
	for i := range fields.NumField() {
		switch field := reflect.Indirect(fields.Field(i)); field.Kind() {
		case reflect.String, reflect.Slice:
			sum += field.Len()
		}
	}
	return sum
}

// tables are the names of the tables, which begin with prefix.
type tables struct{ prefix, clients, grants, codes, tokens, migrations string }

func tablesOf(prefix string) tables {
	return tables{
		prefix:     prefix,
		clients:    prefix + "clients",
		grants:     prefix + "grants",
		codes:      prefix + "authorization_codes",
		tokens:     prefix + "tokens",
		migrations: prefix + "migrations",
	}
}
