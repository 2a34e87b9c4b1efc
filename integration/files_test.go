package integration_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

func TestAnExistingFileThatOthersCanReadIsTakenFromThem(t *testing.T) {
	path := dbPath(t)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	wantMode(t, path, 0o600)
}

func TestWhatCannotBeOpenedIsRefusedAtOnceAndLeftAsItWas(t *testing.T) {
	for name, prepare := range map[string]struct {
		path  func(t *testing.T) string
		wants string
	}{
		"a directory that cannot be made": {func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "file")
			write(t, file, "in the way")
			return filepath.Join(file, "oauth.db")
		}, "not a directory"},
		"a file that is not a database": {func(t *testing.T) string {
			path := dbPath(t)
			write(t, path, strings.Repeat("This is a letter and not a database. ", 200))
			return path
		}, "not a database"},
		"a short file that is not a database": {func(t *testing.T) string {
			path := dbPath(t)
			write(t, path, "a letter")
			return path
		}, "not a database"},
		"a read-only file": {func(t *testing.T) string {
			path := dbPath(t)
			closedDatabase(t, path)
			if err := os.Chmod(path, 0o400); err != nil {
				t.Fatal(err)
			}
			return path
		}, "read-only"},
		"a table with another case in its name": {func(t *testing.T) string {
			path := dbPath(t)
			execRaw(t, path, "CREATE TABLE OAuth_Clients (a TEXT)")
			return path
		}, "has no column"},
		"a view with the name of a table": {func(t *testing.T) string {
			path := dbPath(t)
			execRaw(t, path, "CREATE VIEW oauth_tokens AS SELECT 1 AS a")
			return path
		}, "has no column"},
		"another program's table beside our migrations": {func(t *testing.T) string {
			path := dbPath(t)
			execRaw(t, path, "CREATE TABLE oauth_migrations (id TEXT)", "INSERT INTO oauth_migrations VALUES ('0001')",
				"CREATE TABLE oauth_clients (a TEXT)")
			return path
		}, "has no column"},
		"a table that is missing": {func(t *testing.T) string {
			path := dbPath(t)
			closedDatabase(t, path)
			execRaw(t, path, "DROP TABLE oauth_tokens")
			return path
		}, "oauth_tokens is missing"},
		"a directory in place of a file": {func(t *testing.T) string { return t.TempDir() }, "is a directory"},
		"a schema from the future": {func(t *testing.T) string {
			path := dbPath(t)
			closedDatabase(t, path)
			execRaw(t, path, "INSERT INTO oauth_migrations (id) VALUES ('9999')")
			return path
		}, "newer than this program"},
		"a schema from the future that is not in WAL mode": {func(t *testing.T) string {
			path := dbPath(t)
			execRaw(t, path, "CREATE TABLE oauth_migrations (id TEXT PRIMARY KEY)", "INSERT INTO oauth_migrations VALUES ('0001'), ('9999')")
			return path
		}, "newer than this program"},
		"the database of MCP Memory Service": {func(t *testing.T) string {
			path := dbPath(t)
			execRaw(t, path, memoryService...)
			if err := os.Chmod(path, 0o640); err != nil {
				t.Fatal(err)
			}
			return path
		}, "MCP Memory Service"},
		"a database with a table of our name, in WAL mode": {func(t *testing.T) string {
			path := dbPath(t)
			execRaw(t, path, "PRAGMA journal_mode = WAL", "CREATE TABLE oauth_grants (id TEXT PRIMARY KEY, granted TEXT)")
			return path
		}, "table oauth_grants has no column client_id"},
		"a database with migrations that are not ours": {func(t *testing.T) string {
			path := dbPath(t)
			execRaw(t, path, "CREATE TABLE oauth_migrations (version INTEGER)")
			return path
		}, "table oauth_migrations has no column id"},
		"an empty path": {func(*testing.T) string { return "" }, "the path is empty"},
		"a URI":         {func(*testing.T) string { return "file:oauth.db?cache=shared" }, "is a URI"},
		"a path that is too long": {func(t *testing.T) string {
			return filepath.Join(t.TempDir(), strings.Repeat("x", 300))
		}, "too long"},
	} {
		for _, d := range sqliteDrivers {
			t.Run(d.name+" "+name, func(t *testing.T) {
				path := prepare.path(t)
				before := stateOf(t, path)
				began := time.Now()
				store, err := d.open(t.Context(), path, nil)
				if err == nil {
					_ = store.Close()
					t.Fatal("it opened")
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("it took %v", took)
				}
				if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), prepare.wants) {
					t.Errorf("the error does not say %q and the path: %v", prepare.wants, err)
				}
				for what, after := range stateOf(t, path) {
					if before[what] != after {
						t.Errorf("%s changed: %q to %q", what, before[what], after)
					}
				}
			})
		}
	}
}

// memoryService makes tables as MCP Memory Service (Python) has them: its settings have the names
// that ours have.
var memoryService = []string{
	`CREATE TABLE oauth_clients (client_id TEXT PRIMARY KEY, client_secret TEXT NOT NULL, client_name TEXT,
		redirect_uris TEXT NOT NULL, response_types TEXT NOT NULL, grant_types TEXT NOT NULL, scope TEXT,
		token_endpoint_auth_method TEXT, created_at REAL NOT NULL, metadata TEXT)`,
	`CREATE TABLE oauth_access_tokens (token TEXT PRIMARY KEY, client_id TEXT NOT NULL, expires_at REAL NOT NULL)`,
}

// stateOf describes a file, and what lies beside it.
func stateOf(t *testing.T, path string) map[string]string {
	t.Helper()
	is := make(map[string]string)
	if data, err := os.ReadFile(path); err == nil {
		is["the file"] = string(data)
	}
	if info, err := os.Stat(path); err == nil {
		is["its mode"] = info.Mode().String()
	}
	if filepath.IsAbs(path) {
		names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
		if err != nil {
			t.Fatal(err)
		}
		is["what is beside it"] = strings.Join(names, " ")
	}
	return is
}

func TestTablesOfAnotherProgramAreRefusedByEachDatabase(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.database(t)
			db := s.handle(t, address)
			if err := db.Exec("CREATE TABLE oauth_clients (client_id INTEGER PRIMARY KEY, secret INTEGER)").Error; err != nil {
				t.Fatal(err)
			}
			_, errOpen := s.open(t.Context(), address, nil)
			_, errNew := gormrepo.New(db, nil)
			for how, err := range map[string]error{"Open": errOpen, "New": errNew} {
				if !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), "table oauth_clients has no column id") {
					t.Errorf("%s: %v", how, err)
				}
			}
			if tables, err := db.Migrator().GetTables(); err != nil || len(tables) != 1 {
				t.Errorf("the tables are %q, %v", tables, err)
			}
		})
	}
}

func TestAStoreOnSQLiteIsClosedWhenItSaysSo(t *testing.T) {
	store, err := sqlite.Open(t.Context(), dbPath(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Ping(t.Context()); !errors.Is(err, repository.ErrClosed) {
		t.Errorf("Ping: %v", err)
	}
}

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Error(err)
		return
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s is %o, not %o", filepath.Base(path), got, want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// closedDatabase makes a database of this program's schema and closes it.
func closedDatabase(t *testing.T, path string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// execRaw runs statements on a database that nobody has open.
func execRaw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
}
