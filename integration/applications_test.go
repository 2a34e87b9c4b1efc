package integration_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

// choosesPools is a plugin that, like one for replicas, gives each statement outside of a transaction to a pool, by default
// that of the handle.
type choosesPools struct{ pool gorm.ConnPool }

func (choosesPools) Name() string { return "choosesPools" }

func (p choosesPools) Initialize(db *gorm.DB) error {
	pool := p.pool
	if pool == nil {
		pool = db.ConnPool
	}
	choose := func(tx *gorm.DB) {
		if _, inside := tx.Statement.ConnPool.(gorm.TxCommitter); !inside {
			tx.Statement.ConnPool = pool
		}
	}
	on := db.Callback()
	return errors.Join(
		on.Create().Before("*").Register("choose", choose), on.Query().Before("*").Register("choose", choose),
		on.Update().Before("*").Register("choose", choose), on.Delete().Before("*").Register("choose", choose),
		on.Row().Before("*").Register("choose", choose), on.Raw().Before("*").Register("choose", choose),
	)
}

func TestSessionsThatTheStoreCannotBeRightOnAreRefused(t *testing.T) {
	const setByOpen = "tx_isolation='READ-UNCOMMITTED'" // on each connection, whatever the address says
	unfit := map[string]map[string]string{
		"PostgreSQL": {"session_replication_role=replica": "foreign keys", "search_path=": "search_path", "search_path=nowhere": "search_path"},
		"MySQL": {
			"autocommit=0": "autocommit", "charset=utf8": "utf8mb4", "charset=latin1": "utf8mb4", "character_set_results=latin1": "utf8mb4",
			"foreign_key_checks=0": "foreign keys", setByOpen: "tx_isolation='READ-COMMITTED'",
			"sql_select_limit=2": "sql_select_limit", "sql_mode='EMPTY_STRING_IS_NULL'": "EMPTY_STRING_IS_NULL",
			"sql_big_selects=0": "sql_big_selects", "completion_type=1": "completion_type", "columnsWithAlias=true": "columnsWithAlias",
		},
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.database(t)
			for parameter, named := range unfit[s.name] {
				address := with(t, address, parameter)
				_, err := gormrepo.New(s.handle(t, address), nil)
				errs := []error{err}
				if parameter != setByOpen {
					_, err := s.open(t.Context(), address, nil)
					errs = append(errs, err)
				}
				for _, err := range errs {
					if !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), named) {
						t.Errorf("%s: got %v", parameter, err)
					}
				}
			}
			if tables := tablesIn(t, s.handle(t, address)); tables > 0 {
				t.Errorf("%d tables were made", tables)
			}
		})
	}
}

func TestASettingOfAnApplicationsConnectionComesBackAsItWas(t *testing.T) {
	for _, d := range sqliteDrivers {
		for _, before := range []string{"0", "1", "FAST"} {
			db := plainGORM(t, d, sqlite.Memory, &gorm.Config{})
			store, err := gormrepo.New(db, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Exec("PRAGMA secure_delete = " + before).Error; err != nil {
				t.Fatal(err)
			}
			if _, err := store.Clients().List(t.Context(), repository.Page{}); err != nil {
				t.Error(err)
			}
			var after string
			if err := db.Raw("PRAGMA secure_delete").Scan(&after).Error; err != nil || after != strings.Replace(before, "FAST", "2", 1) {
				t.Errorf("%s: secure_delete was %s and is %s, %v", d.name, before, after, err)
			}
		}
	}
}

// TestAHandleThatIsNoPoolIsRefused passes those of a transaction, which the application may roll back, and of one
// connection.
func TestAHandleThatIsNoPoolIsRefused(t *testing.T) {
	check := func(t *testing.T, db *gorm.DB) {
		refused := func(what string, handle *gorm.DB) {
			if _, err := gormrepo.New(handle, nil); !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), "the handle") {
				t.Errorf("%s: got %v", what, err)
			}
		}
		tx := db.Begin()
		refused("of a transaction", tx)
		refused("of a transaction, with prepared statements", tx.Session(&gorm.Session{PrepareStmt: true}))
		if err := tx.Rollback().Error; err != nil {
			t.Error(err)
		}
		err := db.Connection(func(one *gorm.DB) error {
			refused("of a connection", one)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) { check(t, plainGORM(t, d, dbPath(t), &gorm.Config{})) })
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) { check(t, s.handle(t, s.database(t))) })
	}
	if _, err := gormrepo.New(&gorm.DB{}, nil); !errors.Is(err, repository.ErrInvalid) {
		t.Errorf("one that was never opened: got %v", err)
	}
}

// TestAColumnOfANewerProgramIsNoTrouble adds one while this program works.
func TestAColumnOfANewerProgramIsNoTrouble(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.database(t)
			store, err := s.open(t.Context(), address, &postgres.Options{MaxConns: 1}) // which has its statements prepared
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			list := func() error {
				_, errClients := store.Clients().List(t.Context(), repository.Page{})
				_, errGrants := store.Grants().List(t.Context(), repository.GrantFilter{}, repository.Page{})
				_, errTokens := store.Tokens().List(t.Context(), repository.TokenFilter{}, repository.Page{})
				return errors.Join(errClients, errGrants, errTokens)
			}
			if err := list(); err != nil {
				t.Fatal(err)
			}
			for _, table := range []string{"clients", "grants", "tokens"} {
				if err := s.handle(t, address).Exec("ALTER TABLE oauth_" + table + " ADD COLUMN newer INTEGER").Error; err != nil {
					t.Fatal(err)
				}
			}
			if err := list(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAPluginThatChoosesPoolsLeavesTheStoreOnItsOwn has one that gives what is outside of a transaction to the pool of
// another database, as it would be with a replica that is behind.
func TestAPluginThatChoosesPoolsLeavesTheStoreOnItsOwn(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			db := s.handle(t, s.database(t))
			if err := db.Use(choosesPools{s.handle(t, s.database(t)).ConnPool}); err != nil {
				t.Fatal(err)
			}
			for range 2 { // with the migration, and without
				store, err := gormrepo.New(db, nil)
				if err != nil {
					t.Fatal(err)
				}
				id := domain.NewID()
				if err := store.Clients().Create(t.Context(), domain.Client{ID: id, Kind: domain.Dynamic}); err != nil {
					t.Error(err)
				}
				if _, err := store.Clients().Get(t.Context(), id); err != nil {
					t.Error(err)
				}
				if all, err := store.Clients().List(t.Context(), repository.Page{}); err != nil || len(all) == 0 {
					t.Errorf("%d clients, %v", len(all), err)
				}
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestASchemaThatTheSearchPathLeadsToIsFound(t *testing.T) {
	address := postgreSQL.database(t)
	opened(t, postgreSQL.backend(), address, func(repository.Store) {})
	db := postgreSQL.handle(t, address)
	if err := db.Exec("CREATE SCHEMA own").Error; err != nil {
		t.Fatal(err)
	}
	opened(t, postgreSQL.backend(), address+"&search_path=own,public", func(repository.Store) {})
	var own int
	if err := db.Raw("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'own'").Scan(&own).Error; err != nil || own > 0 {
		t.Errorf("%d tables in another schema, %v", own, err)
	}
}

// TestAClientThatTheApplicationHoldsIsNotSaidToBeMissing lets a table of the application refer to a grant.
func TestAClientThatTheApplicationHoldsIsNotSaidToBeMissing(t *testing.T) {
	check := func(t *testing.T, db *gorm.DB, idType string) {
		store, err := gormrepo.New(db, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		err = errors.Join(
			store.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}),
			store.Grants().Create(ctx, domain.Grant{ID: "held", ClientID: theClient}),
			db.Exec("CREATE TABLE notes (grant_id "+idType+" NOT NULL, FOREIGN KEY (grant_id) REFERENCES oauth_grants (id))").Error,
			db.Exec("INSERT INTO notes VALUES ('held')").Error,
		)
		if err != nil {
			t.Fatal(err)
		}
		err = store.Clients().Delete(ctx, theClient)
		if err == nil || errors.Is(err, repository.ErrNotFound) || strings.Contains(err.Error(), "notes") {
			t.Errorf("got %v", err)
		}
		err = store.InTx(ctx, func(tx repository.Repositories) error {
			if tx.Clients().Delete(ctx, theClient) == nil {
				t.Error("it was deleted in a transaction")
			}
			return tx.Clients().Create(ctx, domain.Client{ID: "after", Kind: domain.Dynamic})
		})
		if err != nil {
			t.Errorf("a transaction that goes on after it: %v", err)
		}
		for _, id := range []string{theClient, "after"} {
			if _, err := store.Clients().Get(ctx, id); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) { check(t, plainGORM(t, d, dbPath(t), &gorm.Config{}), "TEXT") })
		t.Run(d.name+" with TranslateError", func(t *testing.T) {
			check(t, plainGORM(t, d, dbPath(t), &gorm.Config{TranslateError: true}), "TEXT")
		})
	}
	types := map[string]string{"PostgreSQL": "TEXT", "MySQL": "VARBINARY(255)"}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) { check(t, s.handle(t, s.database(t)), types[s.name]) })
		t.Run(s.name+" with TranslateError", func(t *testing.T) {
			check(t, s.handleWith(t, s.database(t), gorm.Config{TranslateError: true}), types[s.name])
		})
	}
}

// TestATransactionWhoseReadFailsIsNotCommitted lets PostgreSQL end a read by its statement_timeout, and passes over that.
func TestATransactionWhoseReadFailsIsNotCommitted(t *testing.T) {
	address := postgreSQL.database(t)
	opened(t, postgreSQL.backend(), address, func(store repository.Store) {
		opened(t, postgreSQL.backend(), address+"&statement_timeout=200", func(hurried repository.Store) {
			lock := postgreSQL.handle(t, address).Begin()
			defer lock.Rollback()
			if err := lock.Exec("LOCK TABLE oauth_grants IN ACCESS EXCLUSIVE MODE").Error; err != nil {
				t.Fatal(err)
			}
			var read, after error
			err := hurried.InTx(t.Context(), func(tx repository.Repositories) error {
				if err := tx.Clients().Create(t.Context(), domain.Client{ID: "first", Kind: domain.Dynamic}); err != nil {
					return err
				}
				_, read = tx.Grants().Get(t.Context(), "locked")
				after = tx.Clients().Create(t.Context(), domain.Client{ID: "second", Kind: domain.Dynamic})
				return nil
			})
			if read == nil || !errors.Is(after, repository.ErrClosed) || err == nil || errors.Is(err, repository.ErrUnknownOutcome) {
				t.Errorf("the read ended with %v, what followed with %v, and the transaction with %v", read, after, err)
			}
		})
		for _, id := range []string{"first", "second"} {
			if _, err := store.Clients().Get(context.WithoutCancel(t.Context()), id); !errors.Is(err, repository.ErrNotFound) {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}

func TestATableOfAnotherProgramIsLeftAloneAndTheErrorSaysSo(t *testing.T) {
	for _, s := range servers {
		for _, table := range []string{"oauth_clients", "oauth_tokens"} {
			t.Run(s.name+" "+table, func(t *testing.T) {
				address := s.database(t)
				db := s.handle(t, address)
				if err := db.Exec("CREATE TABLE " + table + " (mine INTEGER)").Error; err != nil {
					t.Fatal(err)
				}
				for range 2 {
					if _, err := s.open(t.Context(), address, nil); !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), "TablePrefix") {
						t.Errorf("got %v", err)
					}
				}
				if err := db.Exec("INSERT INTO " + table + " (mine) VALUES (1)").Error; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestASchemaFromTheFutureIsRefusedOnServersToo(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.database(t)
			opened(t, s.backend(), address, func(repository.Store) {})
			db := s.handle(t, address)
			if err := db.Exec("INSERT INTO oauth_migrations (id) VALUES ('9999')").Error; err != nil {
				t.Fatal(err)
			}
			for _, skip := range []bool{false, true} {
				_, errOpen := s.open(t.Context(), address, &postgres.Options{SkipMigrate: skip})
				_, errNew := gormrepo.New(db, &gormrepo.Options{SkipMigrate: skip})
				for _, err := range []error{errOpen, errNew} {
					if !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), "newer than this program") {
						t.Errorf("SkipMigrate %v: got %v", skip, err)
					}
				}
			}
			var applied int64
			if err := db.Table("oauth_migrations").Count(&applied).Error; err != nil || applied != 2 {
				t.Errorf("%d steps, %v", applied, err)
			}
		})
	}
}

// wrapped is a dialect around another one, of which GORM knows no more than the interface.
type wrapped struct{ gorm.Dialector }

func TestADialectThatWrapsAnotherServesAsWell(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			plain := d.plain
			d.plain = func(dsn string) gorm.Dialector { return wrapped{plain(dsn)} }
			store, err := gormrepo.New(plainGORM(t, d, dbPath(t), &gorm.Config{}), nil)
			if err != nil {
				t.Fatal(err)
			}
			code := domain.AuthorizationCode{Digest: domain.DigestOf("code"), GrantID: "none", ClientID: "c", ExpiresAt: time.Now().Add(time.Hour)}
			if err := store.AuthorizationCodes().Create(t.Context(), code); !errors.Is(err, repository.ErrNotFound) {
				t.Errorf("without a grant: %v", err)
			}
		})
	}
}

// TestARowThatCannotBeReadIsNotConsumed has lists in the database that are no JSON.
func TestARowThatCannotBeReadIsNotConsumed(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			ctx, db := t.Context(), plainGORM(t, d, dbPath(t), &gorm.Config{})
			store, err := gormrepo.New(db, nil)
			if err != nil {
				t.Fatal(err)
			}
			token := domain.Token{Digest: domain.DigestOf("old"), Kind: domain.RefreshToken, GrantID: "g", ClientID: "c"}
			next := domain.Token{Digest: domain.DigestOf("next"), Kind: domain.RefreshToken, GrantID: "g", ClientID: "c"}
			if err := errors.Join(
				store.Clients().Create(ctx, domain.Client{ID: "c", Kind: domain.Dynamic}),
				store.Grants().Create(ctx, domain.Grant{ID: "g", ClientID: "c"}),
				store.Tokens().Create(ctx, token),
				db.Exec("UPDATE oauth_tokens SET scopes = '{'").Error,
			); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Tokens().Rotate(ctx, token.Digest, domain.Replay{}, next); err == nil {
				t.Error("the token was rotated")
			}
			if _, err := store.Tokens().Get(ctx, next.Digest); !errors.Is(err, repository.ErrNotFound) {
				t.Errorf("its successor: %v", err)
			}
			if err := db.Exec("UPDATE oauth_tokens SET scopes = NULL").Error; err != nil {
				t.Fatal(err)
			}
			if _, err := store.Tokens().Get(ctx, token.Digest); err != nil {
				t.Errorf("the token, once it can be read: %v", err)
			}
		})
	}
}

// TestStatsWhoseContextEndsReturnAnError ends ctx after the first of its statements, also where GORM prepares them.
func TestStatsWhoseContextEndsReturnAnError(t *testing.T) {
	check := func(t *testing.T, open func(log *slog.Logger) (repository.Store, error)) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		log := &afterStatement{text: "SELECT count(*)"}
		store, err := open(slog.New(log))
		if err != nil {
			t.Fatal(err)
		}
		log.then = cancel
		if _, err := store.Stats(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if log.then != nil {
			t.Error("ctx has not ended")
		}
		if _, err := store.Stats(t.Context()); err != nil {
			t.Errorf("after it: %v", err)
		}
	}
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			check(t, func(log *slog.Logger) (repository.Store, error) {
				store, err := d.open(t.Context(), dbPath(t), &sqlite.Options{Logger: log})
				if err == nil {
					t.Cleanup(func() { _ = store.Close() })
				}
				return store, err
			})
		})
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			check(t, func(log *slog.Logger) (repository.Store, error) {
				return gormrepo.New(s.handleWith(t, s.database(t), gorm.Config{PrepareStmt: true}), &gormrepo.Options{Logger: log})
			})
		})
	}
}
