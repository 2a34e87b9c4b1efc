package integration_test

import (
	"testing"

	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

func BenchmarkSQLite(b *testing.B) {
	for _, d := range sqliteDrivers {
		for _, synchronous := range []string{sqlite.Full, sqlite.Normal} {
			b.Run(d.name+"/"+synchronous, func(b *testing.B) {
				repotest.Benchmark(b, func(b *testing.B) repository.Store {
					store, err := d.open(b.Context(), dbPath(b), &sqlite.Options{Synchronous: synchronous})
					if err != nil {
						b.Fatal(err)
					}
					return store
				})
			})
		}
	}
}
