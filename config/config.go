package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Backend is where a Store keeps its entities.
type Backend string

// The backends, as MCP_OAUTH_STORAGE_BACKEND names them.
const (
	Memory   Backend = "memory"
	SQLite   Backend = "sqlite"
	Postgres Backend = "postgres"
	MySQL    Backend = "mysql"
)

// Config says which Store to open, and how long what it keeps is meant to live. Load returns one with
// everything set; its zero value is not valid.
type Config struct {
	Backend Backend

	// SQLitePath is the database file, or sqlite.Memory. Backend SQLite alone reads it.
	SQLitePath string

	// SQLiteSynchronous is FULL (an acknowledged write survives power loss) or NORMAL (it survives a
	// crash of the process). Empty: FULL.
	SQLiteSynchronous string

	// SQLiteAllowNetwork is sqlite.Options.AllowNetwork: the file may lie on a network file system,
	// because a single machine alone ever has it open.
	SQLiteAllowNetwork bool

	// DatabaseURL names the database of a server, as postgres.Open and mysql.Open read it. Backends Postgres and
	// MySQL alone read it.
	DatabaseURL DatabaseURL

	AuthorizationCodeTTL time.Duration // 1 minute to 1 hour
	AccessTokenTTL       time.Duration // 1 minute to 24 hours
	RefreshTokenTTL      time.Duration // 1 to 365 days

	// RefreshGrace is for flow.Options.Grace: at most a day. 0: flow.DefaultGrace. Negative: strict.
	RefreshGrace time.Duration

	// CleanupInterval is the time between two removals of what has expired, at least a second. 0:
	// cleanup.DefaultInterval. Negative: none.
	CleanupInterval time.Duration
}

// Validate returns nil, or a *ValueError for each field that is wrong, joined. A zero Config, as Load returns it with an
// error, is one error alone.
func (c Config) Validate() error {
	if c == (Config{}) {
		return errZero
	}
	errs := make([]error, 0, len(settings))
	for _, s := range settings {
		if s.wrong(c) {
			errs = append(errs, &ValueError{Name: s.field, Value: shown(s.value(c)), Allowed: cmp.Or(s.ofField, s.allowed)})
		}
	}
	return refused(errs)
}

var errZero = errors.New("config: a zero Config: Load has failed, or was not called")

// ValueError says which setting has a value that is not allowed.
type ValueError struct {
	Name    string // the environment variable, or the field of Config
	Value   string // what it is set to; cut if long, and of a DatabaseURL what may be shown
	Allowed string
}

// Error returns the three as one sentence.
func (e *ValueError) Error() string {
	return fmt.Sprintf("%s is %q, not %s", e.Name, e.Value, e.Allowed)
}

func refused(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("config: %w", errors.Join(errs...))
}

// setting is one field of Config, and what it may be.
type setting struct {
	field, variable string
	allowed         string
	ofField         string // what is allowed in the field where that is another thing than in the variable
	value           func(c Config) string
	wrong           func(c Config) bool
}

var settings = []setting{
	{
		"Backend", "MCP_OAUTH_STORAGE_BACKEND", "memory, sqlite, postgres or mysql", "",
		func(c Config) string { return string(c.Backend) },
		func(c Config) bool { return !slices.Contains([]Backend{Memory, SQLite, Postgres, MySQL}, c.Backend) },
	},
	{
		"SQLitePath", "MCP_OAUTH_SQLITE_PATH",
		"the path of a file (there is no home directory for a default: set this variable or MCP_BASE_DIR)", "the path of a file",
		func(c Config) string { return c.SQLitePath },
		func(c Config) bool { return c.Backend == SQLite && strings.Trim(c.SQLitePath, " ") == "" },
	},
	{
		"SQLiteSynchronous", "MCP_OAUTH_SQLITE_SYNCHRONOUS", "FULL or NORMAL", "",
		func(c Config) string { return c.SQLiteSynchronous },
		func(c Config) bool { return !slices.Contains([]string{"", "FULL", "NORMAL"}, c.SQLiteSynchronous) },
	},
	{
		"SQLiteAllowNetwork", "MCP_OAUTH_SQLITE_ALLOW_NETWORK", "true or false", "",
		func(c Config) string { return strconv.FormatBool(c.SQLiteAllowNetwork) },
		func(Config) bool { return false },
	},
	address(Postgres, "a URL such as postgres://user:password@host/database"),
	address(MySQL, "a URL such as mysql://user:password@host/database"),
	span("AuthorizationCodeTTL", "MCP_OAUTH_AUTHORIZATION_CODE_EXPIRE_MINUTES", "a number of minutes from 1 to 60",
		time.Minute, time.Hour, func(c Config) time.Duration { return c.AuthorizationCodeTTL }),
	span("AccessTokenTTL", "MCP_OAUTH_ACCESS_TOKEN_EXPIRE_MINUTES", "a number of minutes from 1 to 1440",
		time.Minute, day, func(c Config) time.Duration { return c.AccessTokenTTL }),
	span("RefreshTokenTTL", "MCP_OAUTH_REFRESH_TOKEN_EXPIRE_DAYS", "a number of days from 1 to 365",
		day, 365*day, func(c Config) time.Duration { return c.RefreshTokenTTL }),
	{
		"RefreshGrace", "MCP_OAUTH_REFRESH_GRACE", "a duration like 90s or 2m, up to 24h; 0 is strict",
		"up to 24h; 0 is the default, a negative one is strict",
		func(c Config) string { return c.RefreshGrace.String() },
		func(c Config) bool { return c.RefreshGrace > day },
	},
	{
		"CleanupInterval", "MCP_OAUTH_CLEANUP_INTERVAL", "a duration like 30s or 5m, from 1s; 0 is off",
		"from 1s; 0 is the default, a negative one is off",
		func(c Config) string { return c.CleanupInterval.String() },
		func(c Config) bool { return c.CleanupInterval > 0 && c.CleanupInterval < time.Second },
	},
}

func address(backend Backend, allowed string) setting {
	return setting{
		"DatabaseURL", "MCP_OAUTH_DATABASE_URL", allowed, "",
		func(c Config) string { return c.DatabaseURL.String() },
		func(c Config) bool { return c.Backend == backend && !c.DatabaseURL.fits(backend) },
	}
}

const day = 24 * time.Hour

func span(field, variable, allowed string, least, most time.Duration, get func(c Config) time.Duration) setting {
	return setting{
		field, variable, allowed, fmt.Sprintf("from %v to %v", least, most),
		func(c Config) string { return get(c).String() },
		func(c Config) bool { return get(c) < least || get(c) > most },
	}
}

// shown cuts a value that is no setting but perhaps a whole file, and leaves the password out of one that is perhaps the
// URL of a database.
func shown(value string) string {
	const most = 64
	if strings.Contains(value, "://") || strings.Contains(value, "@") || keywords.MatchString(value) {
		value = DatabaseURL(value).String()
	}
	if len(value) <= most {
		return value
	}
	return strings.ToValidUTF8(value[:most], "") + "..."
}
