package gormrepo

// The rows of the tables, as GORM sees them. NULL stands for a zero time and for a nil slice.

type clientRow struct {
	ID        string `gorm:"primaryKey"`
	Kind      string
	Secrets   *string
	Metadata  string
	Version   int64
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	UpdatedAt int64 `gorm:"autoUpdateTime:false"`
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

// tables are the names of the tables, with their prefix.
type tables struct{ clients, grants, codes, tokens, migrations string }

func tablesOf(prefix string) tables {
	return tables{
		clients:    prefix + "clients",
		grants:     prefix + "grants",
		codes:      prefix + "authorization_codes",
		tokens:     prefix + "tokens",
		migrations: prefix + "migrations",
	}
}
