package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/cleanup"
)

// BenchmarkCleanup removes -tokens expired tokens while eight goroutines create and read tokens, and reports their p99
// without it and during it, and how large the WAL became.
func BenchmarkCleanup(b *testing.B) {
	for name, open := range openers {
		b.Run("driver="+name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "oauth.db")
			typical(b, path, *large)
			// The tokens that typical makes live for a day: a clock that is two days ahead sees them expired.
			ahead := func() time.Time { return time.Now().Add(48 * time.Hour) }
			store, err := open(b.Context(), path, &sqlite.Options{Now: ahead})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			alone := workload(b, store, func() { time.Sleep(5 * time.Second) })
			var wal int64
			var took time.Duration
			beside := workload(b, store, func() {
				ctx, stop := context.WithCancel(b.Context())
				defer stop()
				go func() {
					for ctx.Err() == nil {
						if info, err := os.Stat(path + "-wal"); err == nil {
							wal = max(wal, info.Size())
						}
						time.Sleep(10 * time.Millisecond)
					}
				}()
				begun := time.Now()
				removed, err := cleanup.Run(b.Context(), store, &cleanup.Options{Now: ahead})
				took = time.Since(begun)
				if err != nil || removed.Tokens < *large {
					b.Errorf("%+v %v", removed, err)
				}
			})
			b.ReportMetric(float64(alone), "p99-alone-ns")
			b.ReportMetric(float64(beside), "p99-beside-ns")
			b.ReportMetric(float64(wal), "wal-bytes")
			b.ReportMetric(took.Seconds(), "cleanup-s")
		})
	}
}

// workload creates and reads tokens with eight goroutines while during runs, and returns the p99 of a call.
func workload(b *testing.B, store repository.Store, during func()) time.Duration {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				t := token(domain.NewID(), domain.AccessToken, i)
				t.ExpiresAt = time.Time{}
				begun := time.Now()
				err := store.Tokens().Create(b.Context(), t)
				created := time.Since(begun)
				begun = time.Now()
				if err == nil {
					_, err = store.Tokens().Get(b.Context(), t.Digest)
				}
				mu.Lock()
				took = append(took, created, time.Since(begun))
				mu.Unlock()
				if err != nil {
					b.Error(fmt.Errorf("work: %w", err))
					return
				}
			}
		})
	}
	during()
	stop()
	all.Wait()
	slices.Sort(took)
	return took[len(took)*99/100]
}
