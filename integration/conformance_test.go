package integration_test

import (
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

func TestSQLiteConforms(t *testing.T) {
	for _, d := range sqliteDrivers {
		for place, path := range map[string]func(t testing.TB) string{
			"on a file": dbPath,
			"in memory": func(testing.TB) string { return sqlite.Memory },
		} {
			t.Run(d.name+" "+place, func(t *testing.T) {
				repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
					store, err := d.open(t.Context(), path(t), &sqlite.Options{Now: opt.Now, Synchronous: sqlite.Normal})
					if err != nil {
						t.Fatal(err)
					}
					return store
				})
			})
			t.Run(d.name+" "+place+" through the application's own gorm.DB", func(t *testing.T) {
				repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
					db := plainGORM(t, d, path(t), &gorm.Config{})
					store, err := gormrepo.New(db, &gormrepo.Options{Now: opt.Now})
					if err != nil {
						t.Fatal(err)
					}
					return store
				})
			})
		}
	}
}

func TestTheSettingsOfAnApplicationsHandleDoNotMatter(t *testing.T) {
	for name, config := range map[string]func() *gorm.Config{
		"what is prepared, translated and timed": func() *gorm.Config {
			return &gorm.Config{
				PrepareStmt: true, TranslateError: true, DefaultContextTimeout: time.Nanosecond, DefaultTransactionTimeout: time.Nanosecond,
			}
		},
		"names and pools": func() *gorm.Config {
			return &gorm.Config{
				QueryFields: true, CreateBatchSize: 1, Plugins: map[string]gorm.Plugin{"": choosesPools{}},
				NamingStrategy: schema.NamingStrategy{NoLowerCase: true, NameReplacer: strings.NewReplacer("ID", "Key")},
			}
		},
		"what is allowed": func() *gorm.Config {
			return &gorm.Config{SkipDefaultTransaction: true, AllowGlobalUpdate: true, PropagateUnscoped: true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
				store, err := gormrepo.New(plainGORM(t, pureGo, sqlite.Memory, config()), &gormrepo.Options{Now: opt.Now, TablePrefix: "app_"})
				if err != nil {
					t.Fatal(err)
				}
				return store
			})
		})
	}
}
