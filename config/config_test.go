package config

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

var defaults = Config{
	Backend: Memory, SQLitePath: filepath.FromSlash("/base/oauth.db"), SQLiteSynchronous: "FULL",
	AuthorizationCodeTTL: 10 * time.Minute, AccessTokenTTL: time.Hour, RefreshTokenTTL: 30 * day,
	RefreshGrace: 2 * time.Minute, CleanupInterval: 5 * time.Minute,
}

func with(change func(c *Config)) Config {
	c := defaults
	change(&c)
	return c
}

func TestEachVariableSetsItsField(t *testing.T) {
	tests := map[string]struct {
		name, value string
		want        Config
	}{
		"nothing":            {"", "", defaults},
		"backend":            {"MCP_OAUTH_STORAGE_BACKEND", "sqlite", with(func(c *Config) { c.Backend = SQLite })},
		"backend, any case":  {"MCP_OAUTH_STORAGE_BACKEND", " SQLite ", with(func(c *Config) { c.Backend = SQLite })},
		"empty is not set":   {"MCP_OAUTH_STORAGE_BACKEND", "", defaults},
		"path":               {"MCP_OAUTH_SQLITE_PATH", "x/y.db", with(func(c *Config) { c.SQLitePath = "x/y.db" })},
		"path, memory":       {"MCP_OAUTH_SQLITE_PATH", ":memory:", with(func(c *Config) { c.SQLitePath = ":memory:" })},
		"synchronous":        {"MCP_OAUTH_SQLITE_SYNCHRONOUS", "normal", with(func(c *Config) { c.SQLiteSynchronous = "NORMAL" })},
		"network":            {"MCP_OAUTH_SQLITE_ALLOW_NETWORK", "true", with(func(c *Config) { c.SQLiteAllowNetwork = true })},
		"no network":         {"MCP_OAUTH_SQLITE_ALLOW_NETWORK", "false", defaults},
		"url":                {"MCP_OAUTH_DATABASE_URL", "postgres://h/d", with(func(c *Config) { c.DatabaseURL = "postgres://h/d" })},
		"codes, least":       {"MCP_OAUTH_AUTHORIZATION_CODE_EXPIRE_MINUTES", "1", with(func(c *Config) { c.AuthorizationCodeTTL = time.Minute })},
		"codes, most":        {"MCP_OAUTH_AUTHORIZATION_CODE_EXPIRE_MINUTES", "60", with(func(c *Config) { c.AuthorizationCodeTTL = time.Hour })},
		"access tokens":      {"MCP_OAUTH_ACCESS_TOKEN_EXPIRE_MINUTES", "1440", with(func(c *Config) { c.AccessTokenTTL = day })},
		"refresh tokens":     {"MCP_OAUTH_REFRESH_TOKEN_EXPIRE_DAYS", "365", with(func(c *Config) { c.RefreshTokenTTL = 365 * day })},
		"strict":             {"MCP_OAUTH_REFRESH_GRACE", "0", with(func(c *Config) { c.RefreshGrace = -1 })},
		"grace":              {"MCP_OAUTH_REFRESH_GRACE", "90s", with(func(c *Config) { c.RefreshGrace = 90 * time.Second })},
		"no cleanup":         {"MCP_OAUTH_CLEANUP_INTERVAL", "0", with(func(c *Config) { c.CleanupInterval = -1 })},
		"base directory set": {"MCP_BASE_DIR", "/other", with(func(c *Config) { c.SQLitePath = filepath.FromSlash("/other/oauth.db") })},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			environ := []string{"MCP_BASE_DIR=/base"}
			if tt.name != "" {
				environ = append(environ, tt.name+"="+tt.value)
			}
			got, err := load(merged(nil, environ))
			if err != nil || got != tt.want {
				t.Errorf("%s=%q gives\n%+v %v, want\n%+v", tt.name, tt.value, got, err, tt.want)
			}
		})
	}
}

func TestEveryWrongVariableIsNamedAtOnce(t *testing.T) {
	wrong := map[string]string{
		"MCP_OAUTH_STORAGE_BACKEND":                   "redis",
		"MCP_OAUTH_SQLITE_SYNCHRONOUS":                "OFF",
		"MCP_OAUTH_SQLITE_ALLOW_NETWORK":              "yes",
		"MCP_OAUTH_AUTHORIZATION_CODE_EXPIRE_MINUTES": "61",
		"MCP_OAUTH_ACCESS_TOKEN_EXPIRE_MINUTES":       "1h",
		"MCP_OAUTH_REFRESH_TOKEN_EXPIRE_DAYS":         "99999999999999999999",
		"MCP_OAUTH_REFRESH_GRACE":                     "-1s",
		"MCP_OAUTH_CLEANUP_INTERVAL":                  "5",
	}
	got, err := load(wrong)
	if err == nil || got != (Config{}) {
		t.Fatalf("%+v %v", got, err)
	}
	for name, value := range wrong {
		if want := fmt.Sprintf("%s is %q, not ", name, value); !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing from: %v", want, err)
		}
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(wrong) {
		t.Errorf("%d lines for %d variables: %v", lines, len(wrong), err)
	}
	if v, ok := errors.AsType[*ValueError](err); !ok || v.Allowed == "" {
		t.Errorf("%v holds no ValueError", err)
	}
}

func TestAWrongValueIsRefused(t *testing.T) {
	tests := map[string][]string{
		"MCP_OAUTH_STORAGE_BACKEND":                   {"sqlite3", "memory,sqlite", "postgresql", "mariadb"},
		"MCP_OAUTH_SQLITE_SYNCHRONOUS":                {"EXTRA", "1"},
		"MCP_OAUTH_SQLITE_ALLOW_NETWORK":              {"yes", "NFS"},
		"MCP_OAUTH_AUTHORIZATION_CODE_EXPIRE_MINUTES": {"0", "-1", "10.5", "10m", "0x10", "1e1"},
		"MCP_OAUTH_ACCESS_TOKEN_EXPIRE_MINUTES":       {"0", "1441"},
		"MCP_OAUTH_REFRESH_TOKEN_EXPIRE_DAYS":         {"0", "366"},
		"MCP_OAUTH_REFRESH_GRACE":                     {"2", "25h", "two"},
		"MCP_OAUTH_CLEANUP_INTERVAL":                  {"-5m", "1ms"},
	}
	for _, backend := range []string{"postgres", "mysql"} {
		for _, value := range []string{"", "http://ada:hunter2@h/d", "sqlite:///x", "ada:hunter2"} {
			_, err := load(map[string]string{"MCP_OAUTH_STORAGE_BACKEND": backend, "MCP_OAUTH_DATABASE_URL": value})
			if err == nil || !strings.Contains(err.Error(), "MCP_OAUTH_DATABASE_URL") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s with %q: %v", backend, value, err)
			}
		}
	}
	for name, values := range tests {
		for _, value := range values {
			if _, err := load(map[string]string{name: value}); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

func TestAURLInTheWrongVariableIsShownWithoutItsPassword(t *testing.T) {
	for _, value := range []string{"postgres://ada:hunter2@h/d", "ada:hunter2@tcp(h)/d"} {
		c := with(func(c *Config) { c.Backend = Backend(value) })
		for _, name := range []string{"MCP_OAUTH_STORAGE_BACKEND", "MCP_OAUTH_SQLITE_SYNCHRONOUS", "MCP_OAUTH_REFRESH_GRACE"} {
			_, err := load(map[string]string{name: value})
			for _, err := range []error{err, c.Validate()} {
				if err == nil || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

func TestALongValueIsCut(t *testing.T) {
	_, err := load(map[string]string{"MCP_OAUTH_REFRESH_GRACE": strings.Repeat("é", 5000)})
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("%v", err)
	}
}

func TestTheDefaultPathIsInTheUsersDataDirectory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the directory differs by system")
	}
	tests := map[string]struct {
		environment map[string]string
		want        string
	}{
		"home":               {map[string]string{"HOME": "/u/ada"}, "/u/ada/.local/share/oauthstore/oauth.db"},
		"data home":          {map[string]string{"HOME": "/u/ada", "XDG_DATA_HOME": "/data"}, "/data/oauthstore/oauth.db"},
		"relative data home": {map[string]string{"HOME": "/u/ada", "XDG_DATA_HOME": "data"}, "/u/ada/.local/share/oauthstore/oauth.db"},
		"base directory":     {map[string]string{"HOME": "/u/ada", "MCP_BASE_DIR": "~/mcp"}, "/u/ada/mcp/oauth.db"},
		"path":               {map[string]string{"HOME": "/u/ada", "MCP_BASE_DIR": "/b", "MCP_OAUTH_SQLITE_PATH": "~/o.db"}, "/u/ada/o.db"},
	}
	for name, tt := range tests {
		if c, err := load(tt.environment); err != nil || c.SQLitePath != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, c.SQLitePath, err, tt.want)
		}
	}
	_, err := load(map[string]string{"MCP_OAUTH_STORAGE_BACKEND": "sqlite"})
	if err == nil || !strings.Contains(err.Error(), "MCP_BASE_DIR") {
		t.Errorf("without a home: %v", err)
	}
	if _, err := load(nil); err != nil {
		t.Errorf("memory needs no home: %v", err)
	}
}

func TestTheEnvironmentWinsOverDotenv(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".env", "\ufeff# ours\nexport MCP_OAUTH_REFRESH_GRACE='30s'\nMCP_OAUTH_CLEANUP_INTERVAL=\"1m\" # often\n"+
		"MCP_OAUTH_ACCESS_TOKEN_EXPIRE_MINUTES=5\n")
	t.Setenv("MCP_OAUTH_REFRESH_GRACE", "1m")
	t.Setenv("MCP_OAUTH_CLEANUP_INTERVAL", "")
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.RefreshGrace != time.Minute || c.CleanupInterval != time.Minute || c.AccessTokenTTL != 5*time.Minute {
		t.Errorf("%+v", c)
	}
	if os.Getenv("MCP_OAUTH_ACCESS_TOKEN_EXPIRE_MINUTES") != "" {
		t.Error("Load changed the environment")
	}
}

func TestTheBackendOfLoadWithIsTheOneThatNobodyNames(t *testing.T) {
	for dotenv, want := range map[string]Backend{"": SQLite, "OTHER=1": SQLite, "MCP_OAUTH_STORAGE_BACKEND=memory": Memory} {
		t.Run(dotenv, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv("MCP_BASE_DIR", "/base")
			if err := os.WriteFile(".env", []byte(dotenv), 0o600); err != nil {
				t.Fatal(err)
			}
			if c, err := LoadWith(SQLite); err != nil || c.Backend != want {
				t.Errorf("the backend is %q %v, want %q", c.Backend, err, want)
			}
			t.Setenv(backendVariable, "memory")
			if c, err := LoadWith(SQLite); err != nil || c.Backend != Memory {
				t.Errorf("the backend is %q %v, want the environment's", c.Backend, err)
			}
		})
	}
}

func TestABrokenDotenvIsNamedWithItsLineAlone(t *testing.T) {
	const secret = "hunter2"
	for name, text := range map[string]string{
		"name":             "A=1\n\nPASS WORD-" + secret + "=x\n",
		"no equals sign":   "A=1\n# here\n" + secret + "\nB=2\n",
		"unclosed quote":   "A=1\nB=2\nPASSWORD='" + secret + "\n",
		"at the very end":  "A=1\nB=2\n=" + secret,
		"a byte-order":     "A=1\nB=2\n\xff\xfe" + secret + "=2\n",
		"a NUL in a name":  "A=1\nB=2\nPASS\x00" + secret + "=2\n",
		"a name of digits": "A=1\nB=2\n1" + secret + "=2\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, ".env", text)
			_, err := Load()
			if err == nil || !strings.Contains(err.Error(), ".env: line 3 ") || strings.Contains(err.Error(), secret) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestADotenvThatIsNoSmallFileIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".env", strings.Repeat("#\n", maxDotenv))
	if _, err := Load(); err == nil || !strings.Contains(err.Error(), ".env") {
		t.Errorf("large: %v", err)
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir(".env", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(); err == nil || !strings.Contains(err.Error(), ".env") {
		t.Errorf("directory: %v", err)
	}
}

func TestOpenGivesTheStoreOfTheBackend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "oauth.db")
	for name, c := range map[string]Config{
		"memory":                  defaults,
		"memory, without cleanup": with(func(c *Config) { c.CleanupInterval = -1 }),
		"sqlite":                  with(func(c *Config) { c.Backend, c.SQLitePath = SQLite, path }),
	} {
		t.Run(name, func(t *testing.T) {
			store, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Clients().Create(t.Context(), domain.Client{ID: "app", Kind: domain.Dynamic}); err != nil {
				t.Error(err)
			}
			for range 2 {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := store.Ping(t.Context()); !errors.Is(err, repository.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestAnOpenStoreIsCleanedUp(t *testing.T) { isCleanedUp(t, time.Second, func(repository.Store) {}) }

func TestAStoreThatStaysOpenIsStillCleanedUp(t *testing.T) {
	isCleanedUp(t, time.Hour, func(store repository.Store) {
		if err := store.Close(); !errors.Is(err, repository.ErrInvalid) {
			t.Errorf("Close within InTx: %v", err)
		}
	})
}

// isCleanedUp stores a code that has expired, in a transaction that calls inside first, and waits
// until it is gone.
func isCleanedUp(t *testing.T, interval time.Duration, inside func(store repository.Store)) {
	t.Helper()
	store, err := Open(t.Context(), with(func(c *Config) { c.CleanupInterval = interval }))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	code := domain.AuthorizationCode{Digest: domain.DigestOf("x"), GrantID: "g", ClientID: "c", ExpiresAt: time.Unix(1, 0)}
	err = store.InTx(t.Context(), func(tx repository.Repositories) error {
		inside(store)
		return errors.Join(
			tx.Clients().Create(t.Context(), domain.Client{ID: "c", Kind: domain.Dynamic}),
			tx.Grants().Create(t.Context(), domain.Grant{ID: "g", ClientID: "c"}),
			tx.AuthorizationCodes().Create(t.Context(), code),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !errors.Is(err, repository.ErrNotFound) {
		if _, err = store.AuthorizationCodes().Get(ctx, code.Digest); ctx.Err() != nil {
			t.Fatalf("the expired code is still there: %v", err)
		}
	}
}

func TestOpenRefusesAWrongConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"zero":     {},
		"postgres": with(func(c *Config) { c.Backend = Postgres }),
		"no path":  with(func(c *Config) { c.Backend, c.SQLitePath = SQLite, "" }),
	} {
		if store, err := Open(t.Context(), c); store != nil || err == nil {
			t.Errorf("%s: %v, %v", name, store, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if store, err := Open(ctx, defaults); store != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("ended ctx: %v, %v", store, err)
	}
}

func TestAZeroConfigIsOneError(t *testing.T) {
	c, errLoad := load(map[string]string{"MCP_OAUTH_REFRESH_GRACE": "120"})
	_, errOpen := Open(t.Context(), c)
	err := errors.Join(errLoad, errOpen)
	if !errors.Is(err, errZero) || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v", err)
	}
}

func TestAFieldIsToldWhatAFieldMayBe(t *testing.T) {
	err := with(func(c *Config) { c.AccessTokenTTL = 30 * time.Second }).Validate()
	if err == nil || err.Error() != `config: AccessTokenTTL is "30s", not from 1m0s to 24h0m0s` {
		t.Errorf("got %v", err)
	}
}

func TestAnAddressThatCannotBeUsedIsNamedWithItsVariable(t *testing.T) {
	for variable, c := range map[string]Config{
		"MCP_OAUTH_SQLITE_PATH":  with(func(c *Config) { c.Backend, c.SQLitePath = SQLite, t.TempDir() }),
		"MCP_OAUTH_DATABASE_URL": with(func(c *Config) { c.Backend, c.DatabaseURL = MySQL, "mysql://h/d?tls=nonsense" }),
	} {
		if _, err := Open(t.Context(), c); !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s: got %v", variable, err)
		}
	}
}

func TestTheDatabaseOfAnotherProgramIsNamedWithTheVariableThatLeadsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oauth.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("CREATE TABLE oauth_clients (client_id TEXT PRIMARY KEY)")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), with(func(c *Config) { c.Backend, c.SQLitePath = SQLite, path }))
	for _, wants := range []string{"MCP_OAUTH_SQLITE_PATH", path, "another program"} {
		if !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), wants) {
			t.Errorf("the error does not say %q: %v", wants, err)
		}
	}
}

func TestAURLOfTheOtherBackendIsToldTheFormOfItsOwn(t *testing.T) {
	for backend, url := range map[Backend]DatabaseURL{Postgres: "mysql://h/d", MySQL: "postgres://h/d"} {
		err := with(func(c *Config) { c.Backend, c.DatabaseURL = backend, url }).Validate()
		v, ok := errors.AsType[*ValueError](err)
		if !ok || !strings.Contains(v.Allowed, string(backend)+"://") || strings.Contains(v.Allowed, string(url[:4])) {
			t.Errorf("%s with %s: %v", backend, url, err)
		}
	}
}

func TestNoPrintedConfigHoldsThePassword(t *testing.T) {
	c := with(func(c *Config) { c.DatabaseURL = "mysql://oauth:hunter2@db/x?password=hunter2" })
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("", "config", c, "url", c.DatabaseURL)
	slog.New(slog.NewTextHandler(&log, nil)).Info("", "config", c, "url", c.DatabaseURL)
	printed := fmt.Sprintf("%v %+v %#v", c, c, c) + log.String()
	if strings.Contains(printed, "hunter2") || !strings.Contains(printed, "mysql://oauth@db/x") {
		t.Error(printed)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%c", "%40.3s", "%!"} {
		if printed := fmt.Sprintf(verb, c.DatabaseURL); !strings.HasPrefix(printed, "mysql://oauth@db/x") {
			t.Errorf("%s prints %s", verb, printed)
		}
	}
}

func TestADatabaseURLShowsNothingOfWhatMayBeAPassword(t *testing.T) {
	for url, want := range map[DatabaseURL]string{
		"postgresql://ada:hunter2@h:1/d": "postgresql://ada@h:1/d",
		"mysql://ada:hunter2@h:1/d?x=y":  "mysql://ada@h:1/d",
		"root://hunter2@tcp(h)/d":        "",
		"mysql://hunter2@tcp(h)/d":       "", // of the driver's form: user mysql, password //hunter2
		"MYSQL://hunter2@unix/d":         "",
		"root://hunter2@h/d":             "",
		"ada:hunter2@tcp(h)/d":           "",
		"mysql://ada:12#hunter2@h/d":     "",
		"mysql://ada:12?hunter2@h/d":     "",
		"mysql://ada:12/hunter2@h/d":     "",
		"host=h password=hunter2":        "",
		"host=h password=x://hunter2@h":  "",
	} {
		if want == "" {
			want = DatabaseURL("?").String()
		}
		if got := url.String(); got != want {
			t.Errorf("%q shows %s, want %s", string(url), got, want)
		}
	}
}

func TestADatabaseURLIsOneOfItsBackend(t *testing.T) {
	for url, want := range map[DatabaseURL]Backend{
		"postgres://h/d":          Postgres,
		"postgresql://h/d":        Postgres,
		"host=localhost user=ada": Postgres,
		"service=ada":             Postgres,
		"user = ada password='x y' application_name=a": Postgres,
		"host=h password=a://b@c/d dbname=d":           Postgres,
		"myapp.setting=1":                              Postgres,
		"mysql://h/d":                                  MySQL,
		"ada@tcp(h)/d?charset=utf8mb4":                 MySQL,
		"/d":                                           MySQL,
		"http://h/d?dbname=x":                          "",
		"mysql":                                        "",
		"postgres":                                     "",
		"localhost user=ada":                           "",
		"=":                                            "",
	} {
		for _, backend := range []Backend{Postgres, MySQL} {
			_, err := load(map[string]string{"MCP_OAUTH_STORAGE_BACKEND": string(backend), "MCP_OAUTH_DATABASE_URL": string(url)})
			if (err == nil) != (backend == want) {
				t.Errorf("%s is %q: %v", backend, string(url), err)
			}
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func FuzzDotenv(f *testing.F) {
	f.Add("A=1\n", "2m")
	f.Add("export A='x y' # z\r\n", "0")
	f.Add("=\n", "$A")
	f.Add(" ", "\\")
	f.Fuzz(func(t *testing.T, text, grace string) {
		values, err := parseDotenv([]byte(text))
		if err != nil && (values != nil || !strings.HasPrefix(err.Error(), "line ")) {
			t.Errorf("%v %v", values, err)
		}
		if c, err := load(values); err == nil && c.Validate() != nil {
			t.Errorf("%q gives an invalid %+v", text, c)
		}
		if strings.ContainsAny(grace, "'\\\r\n\x00") || err != nil { // in quotes, a backslash escapes the quote
			return
		}
		again, err := parseDotenv([]byte("GRACE='" + grace + "'\n"))
		if err != nil || again["GRACE"] != grace {
			t.Errorf("%q is read as %q, %v", grace, again["GRACE"], err)
		}
	})
}

func FuzzDatabaseURL(f *testing.F) {
	f.Add("postgres", "oauth", "geheim", "db:5432", "/oauth?sslmode=require")
	f.Add("mysql", "root", "12/34@5", "db", "/x")
	f.Add("mysql", "root", "1?2#3", "", "")
	f.Add("", "root", "//", "h", "/x")
	f.Fuzz(func(t *testing.T, scheme, user, password, host, rest string) {
		const mark = "7Sesame7"
		password += mark
		for _, written := range []string{password, mark + password, url.QueryEscape(password), url.UserPassword("", password).String()[1:]} {
			u := DatabaseURL(scheme + "://" + user + ":" + written + "@" + host + rest)
			if strings.Contains(scheme+user+host+rest, mark) {
				continue
			}
			native := DatabaseURL(user + ":" + written + "@tcp(" + host + ")" + rest)
			for _, u := range []DatabaseURL{u, native} {
				for _, verb := range []string{"%v", "%#v", "%d", "%x", "%!"} {
					if printed := fmt.Sprintf(verb, u); printed != u.String() || strings.Contains(printed, mark) {
						t.Errorf("the password of %q shows in %q", string(u), printed)
					}
				}
			}
		}
	})
}
