package integration_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	mysqlgorm "gorm.io/driver/mysql"
	postgresgorm "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/mysql"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

// server is a database server that a variable of the environment names.
type server struct {
	name     string
	variable string
	open     func(ctx context.Context, url string, opts *postgres.Options) (*gormrepo.Store, error)
	plain    func(url string) gorm.Dialector // what an application gives to gorm.Open
	drop     string
	cut      string // ends some connections to a database, of its name
	restart  string // the variable of a shell command that restarts the server
	waiting  string // counts who waits for a lock in the database
	step     string // counts what the migration under way has made in the database
	steps    int    // of a migration, about
	newUser  string // makes a user of a name, with the password test
	noUser   string // and removes one, with its rights and tables
	unusual  string // parameters that an application may have in its URL
}

var (
	postgreSQL = server{
		name:     "PostgreSQL",
		variable: "OAUTHSTORE_TEST_POSTGRES_URL",
		open:     postgres.Open,
		plain:    postgresgorm.Open,
		drop:     "DROP DATABASE %s WITH (FORCE)",
		cut:      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s' ORDER BY random() LIMIT 3",
		restart:  "OAUTHSTORE_TEST_POSTGRES_RESTART",
		waiting:  "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
		step: "SELECT COUNT(*) FROM pg_locks WHERE mode IN ('ExclusiveLock', 'AccessExclusiveLock') AND granted AND " +
			"database = (SELECT oid FROM pg_database WHERE datname = current_database())",
		steps:   30,
		newUser: "CREATE ROLE %s LOGIN PASSWORD 'test'",
		noUser:  "DROP OWNED BY %[1]s; DROP ROLE %[1]s",
		unusual: "default_transaction_isolation=serializable",
	}
	mySQL = server{
		name:     "MySQL",
		variable: "OAUTHSTORE_TEST_MYSQL_URL",
		open: func(ctx context.Context, url string, opts *postgres.Options) (*gormrepo.Store, error) {
			return mysql.Open(ctx, url, (*mysql.Options)(opts))
		},
		plain:   func(u string) gorm.Dialector { return mysqlgorm.Open(nativeMySQL(u)) },
		drop:    "DROP DATABASE %s",
		cut:     "SELECT id FROM information_schema.processlist WHERE db = '%s' ORDER BY RAND() LIMIT 3",
		restart: "OAUTHSTORE_TEST_MYSQL_RESTART",
		waiting: "SELECT COUNT(*) FROM information_schema.innodb_trx JOIN information_schema.processlist ON trx_mysql_thread_id = id " +
			"WHERE trx_state = 'LOCK WAIT' AND db = DATABASE()",
		step:    "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()",
		steps:   6,
		newUser: "CREATE USER %s IDENTIFIED BY 'test'",
		noUser:  "DROP USER %s",
		unusual: "parseTime=true&loc=Local&sql_mode=%27ANSI_QUOTES%2CSTRICT_TRANS_TABLES%27&innodb_snapshot_isolation=1",
	}
	servers = []server{postgreSQL, mySQL}
)

// nativeMySQL turns a URL into what github.com/go-sql-driver/mysql reads.
func nativeMySQL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	password, _ := u.User.Password()
	return fmt.Sprintf("%s:%s@tcp(%s)%s?%s", u.User.Username(), password, u.Host, u.Path, u.RawQuery)
}

// url returns the URL of the server, or skips the test if there is none.
func (s server) url(t testing.TB) string {
	t.Helper()
	base := os.Getenv(s.variable)
	if base == "" {
		t.Skipf("%s is not set: no %s to test on", s.variable, s.name)
	}
	return base
}

// database returns the URL of a new database of the test's own, or skips the test if there is no server.
func (s server) database(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(s.url(t))
	if err != nil {
		t.Fatalf("%s is not a URL", s.variable)
	}
	name := "oauthstore_" + strings.ToLower(domain.NewID())
	s.admin(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { s.admin(t, fmt.Sprintf(s.drop, name)) })
	u.Path = "/" + name
	return u.String()
}

// databaseOf returns the name of the database in a URL.
func databaseOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

// admin runs a statement outside of the test's own database.
func (s server) admin(t testing.TB, statement string) {
	t.Helper()
	db, err := gorm.Open(s.plain(os.Getenv(s.variable)), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := db.Exec(statement).Error; err != nil {
		t.Fatal(err)
	}
}

func TestServersConform(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.database(t)
			repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
				store, err := s.open(t.Context(), address, &postgres.Options{Now: opt.Now, TablePrefix: prefix()})
				if err != nil {
					t.Fatal(err)
				}
				return store
			})
		})
		for _, own := range []struct {
			name, parameters string
			config           gorm.Config
		}{
			{name: "the application's own gorm.DB"},
			{"one with other settings", s.unusual, gorm.Config{
				PrepareStmt: true, TranslateError: true, Plugins: map[string]gorm.Plugin{"": choosesPools{}},
				DefaultTransactionTimeout: time.Nanosecond, DefaultContextTimeout: time.Nanosecond,
			}},
		} {
			t.Run(s.name+" through "+own.name, func(t *testing.T) {
				db := s.handleWith(t, with(t, s.database(t), own.parameters), own.config)
				repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
					store, err := gormrepo.New(db, &gormrepo.Options{Now: opt.Now, TablePrefix: prefix()})
					if err != nil {
						t.Fatal(err)
					}
					return store
				})
			})
		}
	}
}

// handle returns a pool as an application may have it.
func (s server) handle(t *testing.T, address string) *gorm.DB {
	t.Helper()
	return s.handleWith(t, address, gorm.Config{})
}

func (s server) handleWith(t *testing.T, address string, config gorm.Config) *gorm.DB {
	t.Helper()
	config.Logger = logger.Discard
	db, err := gorm.Open(s.plain(address), &config)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	pool.SetMaxOpenConns(20)
	return db
}

// with adds parameters to a URL.
func with(t *testing.T, address, parameters string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = strings.Trim(u.RawQuery+"&"+parameters, "&")
	return u.String()
}

// prefix makes tables of one's own in a database that tests share. It has a capital, which databases treat as they like.
func prefix() string {
	return "T" + strings.ToLower(domain.NewID())[14:] + "_"
}
