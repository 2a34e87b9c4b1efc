package integration_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

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
}

var (
	postgreSQL = server{
		"PostgreSQL", "OAUTHSTORE_TEST_POSTGRES_URL", postgres.Open, postgresgorm.Open, "DROP DATABASE %s WITH (FORCE)",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s' ORDER BY random() LIMIT 3", "OAUTHSTORE_TEST_POSTGRES_RESTART",
		"SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
	}
	mySQL = server{
		"MySQL", "OAUTHSTORE_TEST_MYSQL_URL", mysql.Open, func(u string) gorm.Dialector { return mysqlgorm.Open(nativeMySQL(u)) }, "DROP DATABASE %s",
		"SELECT id FROM information_schema.processlist WHERE db = '%s' ORDER BY RAND() LIMIT 3", "OAUTHSTORE_TEST_MYSQL_RESTART",
		"SELECT COUNT(*) FROM information_schema.innodb_trx JOIN information_schema.processlist ON trx_mysql_thread_id = id " +
			"WHERE trx_state = 'LOCK WAIT' AND db = DATABASE()",
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

// database returns the URL of a new database of the test's own, or skips the test if there is no server.
func (s server) database(t testing.TB) string {
	t.Helper()
	base := os.Getenv(s.variable)
	if base == "" {
		t.Skipf("%s is not set: no %s to test on", s.variable, s.name)
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatalf("%s is not a URL", s.variable)
	}
	name := "oauthstore_" + strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(domain.NewID()))
	s.admin(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { s.admin(t, fmt.Sprintf(s.drop, name)) })
	u.Path = "/" + name
	return u.String()
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
		t.Run(s.name+" through the application's own gorm.DB", func(t *testing.T) {
			db := s.handle(t, s.database(t))
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

// handle returns a pool as an application may have it.
func (s server) handle(t *testing.T, address string) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(s.plain(address), &gorm.Config{Logger: logger.Discard})
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

// prefix makes tables of one's own in a database that tests share.
func prefix() string {
	return "t" + strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(domain.NewID()))[:12] + "_"
}
