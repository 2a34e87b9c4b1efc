package gormrepo

// The rows of the tables, as GORM sees them, with their columns in the order of fields and values. NULL
// stands for a zero time and for a nil slice.

type clientRow struct {
	ID        string `gorm:"primaryKey"`
	Kind      string
	Secrets   *string
	Metadata  string
	Version   int64
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	UpdatedAt int64 `gorm:"autoUpdateTime:false"`
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
	ID            string `gorm:"primaryKey"`
	ClientID      string
	Subject       string
	Scopes        *string
	Resources     *string
	Data          blob
	CreatedAt     int64 `gorm:"autoCreateTime:false"`
	LastUsedAt    *int64
	ExpiresAt     *int64
	RevokedAt     *int64
	RevokedReason *string
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
	Digest              []byte `gorm:"primaryKey"`
	GrantID             string
	ClientID            string
	Subject             string
	RedirectURI         string
	Scopes              *string
	Resources           *string
	CodeChallenge       string
	CodeChallengeMethod string
	Nonce               string
	Data                blob
	CreatedAt           int64 `gorm:"autoCreateTime:false"`
	ExpiresAt           int64
	ConsumedAt          *int64
	RevokedAt           *int64
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
	Digest          []byte `gorm:"primaryKey"`
	Kind            string
	GrantID         string
	ClientID        string
	Subject         string
	Scopes          *string
	Resources       *string
	Data            blob
	CreatedAt       int64 `gorm:"autoCreateTime:false"`
	ExpiresAt       *int64
	ConsumedAt      *int64
	ReplaySealed    []byte
	ReplayExpiresAt *int64
	RevokedAt       *int64
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
