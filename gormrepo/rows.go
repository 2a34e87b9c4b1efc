package gormrepo

// The rows of the tables, as GORM sees them, with their columns in the order of fields and values. NULL
// stands for a zero time and for a nil slice.

type clientRow struct {
	ID        string  `gorm:"column:id;primaryKey"`
	Kind      string  `gorm:"column:kind"`
	Secrets   *string `gorm:"column:secrets"`
	Metadata  string  `gorm:"column:metadata"`
	Version   int64   `gorm:"column:version"`
	CreatedAt int64   `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt int64   `gorm:"column:updated_at;autoUpdateTime:false"`
}

const clientColumns = "id, kind, secrets, metadata, version, created_at, updated_at"

func (r *clientRow) fields() []any {
	return []any{
		&r.ID, &r.Kind, &r.Secrets, &r.Metadata, &r.Version, &r.CreatedAt, &r.UpdatedAt,
	}
}

func (r *clientRow) values() []any {
	return []any{
		r.ID, r.Kind, r.Secrets, r.Metadata, r.Version, r.CreatedAt, r.UpdatedAt,
	}
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

const grantColumns = "id, client_id, subject, scopes, resources, data, created_at, last_used_at, expires_at, revoked_at, " +
	"revoked_reason"

func (r *grantRow) fields() []any {
	return []any{
		&r.ID, &r.ClientID, &r.Subject, &r.Scopes, &r.Resources, &r.Data, &r.CreatedAt, &r.LastUsedAt,
		&r.ExpiresAt, &r.RevokedAt, &r.RevokedReason,
	}
}

func (r *grantRow) values() []any {
	return []any{
		r.ID, r.ClientID, r.Subject, r.Scopes, r.Resources, r.Data, r.CreatedAt, r.LastUsedAt, r.ExpiresAt,
		r.RevokedAt, r.RevokedReason,
	}
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

const codeColumns = "digest, grant_id, client_id, subject, redirect_uri, scopes, resources, code_challenge, " +
	"code_challenge_method, nonce, data, created_at, expires_at, consumed_at, revoked_at"

func (r *codeRow) fields() []any {
	return []any{
		&r.Digest, &r.GrantID, &r.ClientID, &r.Subject, &r.RedirectURI, &r.Scopes, &r.Resources,
		&r.CodeChallenge, &r.CodeChallengeMethod, &r.Nonce, &r.Data, &r.CreatedAt, &r.ExpiresAt,
		&r.ConsumedAt, &r.RevokedAt,
	}
}

func (r *codeRow) values() []any {
	return []any{
		r.Digest, r.GrantID, r.ClientID, r.Subject, r.RedirectURI, r.Scopes, r.Resources, r.CodeChallenge,
		r.CodeChallengeMethod, r.Nonce, r.Data, r.CreatedAt, r.ExpiresAt, r.ConsumedAt, r.RevokedAt,
	}
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

const tokenColumns = "digest, kind, grant_id, client_id, subject, scopes, resources, data, created_at, expires_at, " +
	"consumed_at, replay_sealed, replay_expires_at, revoked_at"

func (r *tokenRow) fields() []any {
	return []any{
		&r.Digest, &r.Kind, &r.GrantID, &r.ClientID, &r.Subject, &r.Scopes, &r.Resources, &r.Data,
		&r.CreatedAt, &r.ExpiresAt, &r.ConsumedAt, &r.ReplaySealed, &r.ReplayExpiresAt, &r.RevokedAt,
	}
}

func (r *tokenRow) values() []any {
	return []any{
		r.Digest, r.Kind, r.GrantID, r.ClientID, r.Subject, r.Scopes, r.Resources, r.Data, r.CreatedAt,
		r.ExpiresAt, r.ConsumedAt, r.ReplaySealed, r.ReplayExpiresAt, r.RevokedAt,
	}
}

// countRow is a repository.Count.
type countRow struct {
	Total int64 `gorm:"column:total"`
	Live  int64 `gorm:"column:live"`
}

// tables are the names of the tables, with their prefix.
type tables struct {
	clients, grants, codes, tokens, migrations string

	texts *statements
}

func tablesOf(prefix, dialect string) tables {
	t := tables{
		clients:    prefix + "clients",
		grants:     prefix + "grants",
		codes:      prefix + "authorization_codes",
		tokens:     prefix + "tokens",
		migrations: prefix + "migrations",
	}
	texts := statementsOf(dialect, t)
	t.texts = &texts
	return t
}
