package main_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/gormrepo/sqlitecgo"
	"github.com/oauthstore/oauthstore/memoryrepo"
)

// contestant is a subject by name.
type contestant struct {
	name string
	open func(b *testing.B, dir string) (subject, error)
}

// onSQLite is a subject on a file that is filled through the store of this module and then opened anew, so that
// all begin with an empty WAL: one that has grown already is faster to write.
func onSQLite(b *testing.B, dir string, reopen func(path string) (subject, error)) subject {
	path := filepath.Join(dir, "oauth.db")
	var s subject
	s.fill = func(n int) error {
		store, err := sqlite.Open(b.Context(), path, nil)
		if err != nil {
			return err
		}
		if err := errors.Join(stocked(b.Context(), store, n), store.Close()); err != nil {
			return err
		}
		s, err = reopen(path)
		return err
	}
	return lazily(&s)
}

// openCgo is sqlitecgo.Open in the form of sqlite.Open.
func openCgo(ctx context.Context, path string, opts *sqlite.Options) (*gormrepo.Store, error) {
	return sqlitecgo.Open(ctx, path, (*sqlitecgo.Options)(opts))
}

func ours(open func(ctx context.Context, path string, o *sqlite.Options) (*gormrepo.Store, error), synchronous string) func(*testing.B, string) (subject, error) {
	return func(b *testing.B, dir string) (subject, error) {
		return onSQLite(b, dir, func(path string) (subject, error) {
			store, err := open(b.Context(), path, &sqlite.Options{Synchronous: synchronous})
			if err != nil {
				return subject{}, err
			}
			return of(b.Context(), store), nil
		}), nil
	}
}

func hand(driver, synchronous string) func(*testing.B, string) (subject, error) {
	return func(b *testing.B, dir string) (subject, error) {
		return onSQLite(b, dir, func(path string) (subject, error) {
			h, err := openHandwritten(b.Context(), driver, path, synchronous)
			if err != nil {
				return subject{}, err
			}
			return h.subject(), nil
		}), nil
	}
}

// lazily is a subject that is made by its fill.
func lazily(s *subject) subject {
	return subject{
		fill:        func(n int) error { return s.fill(n) },
		getClient:   func(i int) error { return s.getClient(i) },
		getToken:    func(i int) error { return s.getToken(i) },
		createToken: func(i int) error { return s.createToken(i) },
		consumeCode: func(i int) error { return s.consumeCode(i) },
		rotate:      func(i int) error { return s.rotate(i) },
		close:       func() error { return s.close() },
	}
}

var contestants = []contestant{
	{"ours-go-FULL", ours(sqlite.Open, sqlite.Full)},
	{"hand-go-FULL", hand("sqlite", "FULL")},
	{"hand-go-NORMAL", hand("sqlite", "NORMAL")},
	{"ours-cgo-FULL", ours(openCgo, sqlite.Full)},
	{"hand-cgo-FULL", hand("sqlite3", "FULL")},
	{"hand-cgo-NORMAL", hand("sqlite3", "NORMAL")},
	{"gorm-go-FULL", plainGORM},
	{"dex-cgo-FULL", dex},
	{"buntdb-FULL", goOAuth2},
	{"ours-memory", func(b *testing.B, _ string) (subject, error) { return of(b.Context(), memoryrepo.New(nil)), nil }},
	{"mutex-map", mutexMap},
}

func Benchmark(b *testing.B) {
	for _, op := range operations {
		for _, goroutines := range []int{1, 64} {
			for _, c := range contestants {
				b.Run(fmt.Sprintf("op=%s/goroutines=%d/store=%s", op.name, goroutines, c.name), func(b *testing.B) {
					measure(b, c, op, goroutines)
				})
			}
		}
	}
}

func measure(b *testing.B, c contestant, op operation, goroutines int) {
	b.StopTimer()
	s, err := c.open(b, b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			b.Error(err)
		}
	}()
	call := op.of(s)
	if call == nil {
		b.Skip("not among its operations")
	}
	stock := b.N
	if op.reads {
		stock = min(b.N, maxStock)
	}
	if err := s.fill(stock); err != nil {
		b.Fatal(err)
	}
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var all sync.WaitGroup
	b.StartTimer()
	for range goroutines {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				begun := time.Now()
				if err := call(i % stock); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(begun)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	report(b, took)
}
