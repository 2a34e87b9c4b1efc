package gormrepo_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/repository"
)

// gate is a Database.Lock that a test holds, so that calls gather behind it.
type gate struct {
	mu     sync.Mutex
	asking chan struct{} // a value each time that a leader asks for the lock
	store  *gormrepo.Store
}

func (g *gate) lock(context.Context) (func(), error) {
	select {
	case g.asking <- struct{}{}:
	default:
	}
	g.mu.Lock()
	return g.mu.Unlock, nil
}

// commits counts the transactions that were committed, from the log of the statements.
type commits struct {
	slog.Handler
	n   atomic.Int64
	ran func(statement string) // nil, or called after each
}

func (c *commits) Enabled(context.Context, slog.Level) bool { return true }

func (c *commits) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "sql" {
			return true
		}
		if strings.HasPrefix(a.Value.String(), "COMMIT") {
			c.n.Add(1)
		}
		if c.ran != nil {
			c.ran(a.Value.String())
		}
		return true
	})
	return nil
}

// groupStore is a store whose writes share commits, the handle that writes, and what was counted.
func groupStore(t *testing.T) (*gormrepo.Store, *gorm.DB, *gate, *commits) {
	t.Helper()
	return groupStoreWithClock(t, nil)
}

func groupStoreWithClock(t *testing.T, now func() time.Time) (*gormrepo.Store, *gorm.DB, *gate, *commits) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "oauth.db")
	open := func(conns int) *gorm.DB {
		db, err := gorm.Open(sqlite.Open(path+"?_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)"), &gorm.Config{Logger: logger.Discard})
		if err != nil {
			t.Fatal(err)
		}
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		pool.SetMaxOpenConns(conns)
		t.Cleanup(func() { _ = pool.Close() })
		return db
	}
	g, count := &gate{asking: make(chan struct{}, 1)}, &commits{}
	write := open(1)
	store, err := gormrepo.Open(t.Context(), gormrepo.Database{Write: write, Read: open(4), Lock: g.lock},
		&gormrepo.Options{Logger: slog.New(count), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	g.store = store
	<-g.asking // the migration did
	count.n.Store(0)
	return store, write, g, count
}

func newClient(id string) domain.Client { return domain.Client{ID: id, Kind: domain.Dynamic} }

// together starts calls that write while nobody can, waits until the first one leads and all others wait, and lets them go.
func (g *gate) together(calls ...func()) {
	g.mu.Lock()
	var all sync.WaitGroup
	for i, call := range calls {
		all.Go(call)
		if i == 0 {
			<-g.asking // the first one leads, so its place is known
		}
	}
	g.await(len(calls) - 1)
	g.mu.Unlock()
	all.Wait()
}

// await returns when so many calls wait behind the one that leads.
func (g *gate) await(calls int) {
	for g.store.Waiting() != calls {
		runtime.Gosched()
	}
}

func TestWritesThatWaitShareACommit(t *testing.T) {
	store, _, g, count := groupStore(t)
	var calls []func()
	for i := range 50 {
		calls = append(calls, func() {
			if err := store.Clients().Create(t.Context(), newClient(fmt.Sprint("c", i))); err != nil {
				t.Error(err)
			}
		})
	}
	g.together(calls...)
	if n := count.n.Load(); n < 1 || n > 5 {
		t.Errorf("50 writes made %d commits", n)
	}
	if stats, err := store.Stats(t.Context()); err != nil || stats.Clients != 50 {
		t.Errorf("%d clients, %v", stats.Clients, err)
	}
}

func TestALoneWriterWaitsForNobody(t *testing.T) {
	store, _, _, count := groupStore(t)
	for i := range 5 {
		if err := store.Clients().Create(t.Context(), newClient(fmt.Sprint("c", i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := count.n.Load(); n != 5 {
		t.Errorf("5 writes, one after the other, made %d commits", n)
	}
}

// badCalls fail in one way each, and check that they do; each would leave a client whose ID begins with "bad".
func badCalls(t *testing.T, store repository.Store) []func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	inTx := func(ctx context.Context, id string, end func() error) error {
		return store.InTx(ctx, func(tx repository.Repositories) error {
			return errors.Join(tx.Clients().Create(ctx, newClient(id)), end())
		})
	}
	refused := errors.New("refused")
	return []func(){
		func() {
			if err := inTx(t.Context(), "bad-refused", func() error { return refused }); !errors.Is(err, refused) {
				t.Errorf("got %v", err)
			}
		},
		func() {
			defer func() {
				if got := recover(); got != "no way" {
					t.Errorf("the panic went on as %v", got)
				}
			}()
			_ = inTx(t.Context(), "bad-panicked", func() error { panic("no way") })
		},
		func() {
			defer func() {
				if recover() != nil {
					t.Error("Goexit became a panic")
				}
			}()
			_ = inTx(t.Context(), "bad-gone", func() error { runtime.Goexit(); return nil })
			t.Error("the goroutine goes on")
		},
		func() {
			if err := inTx(ctx, "bad-ended", func() error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		},
	}
}

// TestACallWhoseContextEndsInABatchSaysWhatItDid ends the ctx of a call that has joined, right after its statement.
func TestACallWhoseContextEndsInABatchSaysWhatItDid(t *testing.T) {
	code := domain.AuthorizationCode{Digest: domain.DigestOf("code"), GrantID: "g", ClientID: "c", ExpiresAt: time.Now().Add(time.Hour)}
	token := domain.Token{Digest: domain.DigestOf("token"), Kind: domain.RefreshToken, GrantID: "g", ClientID: "c"}
	next := domain.Token{Digest: domain.DigestOf("next"), Kind: domain.RefreshToken, GrantID: "g", ClientID: "c"}
	tests := []struct {
		statement string // what it begins with, quotes left out
		call      func(ctx context.Context, store repository.Store) error
		done      func(ctx context.Context, store repository.Store) bool
	}{
		{
			"INSERT INTO oauth_clients",
			func(ctx context.Context, store repository.Store) error {
				return store.Clients().Create(ctx, newClient("new"))
			},
			func(ctx context.Context, store repository.Store) bool { return has(store.Clients().Get(ctx, "new")) },
		},
		{
			"DELETE FROM oauth_clients",
			func(ctx context.Context, store repository.Store) error { return store.Clients().Delete(ctx, "c") },
			func(ctx context.Context, store repository.Store) bool { return !has(store.Clients().Get(ctx, "c")) },
		},
		{
			"UPDATE oauth_authorization_codes",
			func(ctx context.Context, store repository.Store) error {
				_, err := store.AuthorizationCodes().Consume(ctx, code.Digest)
				return err
			},
			func(ctx context.Context, store repository.Store) bool {
				return !has(store.AuthorizationCodes().Get(ctx, code.Digest))
			},
		},
		{
			"UPDATE oauth_grants",
			func(ctx context.Context, store repository.Store) error {
				_, err := store.Grants().Revoke(ctx, repository.GrantFilter{ID: "g"}, domain.ByUser)
				return err
			},
			func(ctx context.Context, store repository.Store) bool { return !has(store.Grants().Get(ctx, "g")) },
		},
		{
			"INSERT INTO oauth_tokens",
			func(ctx context.Context, store repository.Store) error {
				_, err := store.Tokens().Rotate(ctx, token.Digest, domain.Replay{}, next)
				return err
			},
			func(ctx context.Context, store repository.Store) bool {
				return has(store.Tokens().Get(ctx, next.Digest))
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.statement, func(t *testing.T) {
			store, _, g, log := groupStore(t)
			if err := errors.Join(
				store.Clients().Create(t.Context(), newClient("c")),
				store.Grants().Create(t.Context(), domain.Grant{ID: "g", ClientID: "c"}),
				store.AuthorizationCodes().Create(t.Context(), code),
				store.Tokens().Create(t.Context(), token),
			); err != nil {
				t.Fatal(err)
			}
			select {
			case <-g.asking:
			default:
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ran := false
			log.ran = func(statement string) {
				if strings.HasPrefix(strings.ReplaceAll(statement, "`", ""), tt.statement) {
					ran = true
					cancel()
				}
			}
			var err error
			g.together(
				func() {
					if _, err := store.Grants().Revoke(t.Context(), repository.GrantFilter{ID: "none"}, domain.ByUser); err != nil {
						t.Error(err)
					}
				},
				func() { err = tt.call(ctx, store) },
			)
			if !ran {
				t.Fatal("its statement has not run")
			}
			if done := tt.done(t.Context(), store); done != (err == nil) {
				t.Errorf("done: %v, and it said %v", done, err)
			}
		})
	}
}

// has reports whether an entity came back alive.
func has[T any](_ T, err error) bool { return err == nil }

func TestACallThatFailsPanicsOrEndsItsGoroutineHurtsNoOtherInTheBatch(t *testing.T) {
	for lead := range badCalls(t, nil) {
		store, _, g, _ := groupStore(t)
		good := func(id string) func() {
			return func() {
				if err := store.Clients().Create(t.Context(), newClient(id)); err != nil {
					t.Error(err)
				}
			}
		}
		bad := badCalls(t, store)
		calls := []func(){bad[lead]}
		for i := range bad {
			calls = append(calls, good(fmt.Sprint("before", i)))
			if i != lead {
				calls = append(calls, bad[i])
			}
			calls = append(calls, good(fmt.Sprint("after", i)))
		}
		g.together(calls...)
		list, err := store.Clients().List(t.Context(), repository.Page{})
		if err != nil || len(list) != 2*len(bad) {
			t.Errorf("led by %d: %d clients, %v", lead, len(list), err)
		}
		for _, c := range list {
			if strings.HasPrefix(c.ID, "bad") {
				t.Errorf("led by %d: %s is there", lead, c.ID)
			}
		}
	}
}

func TestAClockThatPanicsInABatchHurtsItsOwnCallAlone(t *testing.T) {
	var armed, always atomic.Bool
	store, _, g, _ := groupStoreWithClock(t, func() time.Time {
		led := strings.Contains(string(debug.Stack()), "runLed")
		if led && armed.CompareAndSwap(true, false) || always.Load() {
			panic("no time")
		}
		return time.Now()
	})
	const calls = 20
	var panics atomic.Int64
	create := func(round int) []func() {
		var all []func()
		for i := range calls {
			all = append(all, func() {
				defer func() {
					if recover() != nil {
						panics.Add(1)
					}
				}()
				if err := store.Clients().Create(t.Context(), newClient(fmt.Sprint("round", round, "-", i))); err != nil {
					t.Error(err)
				}
			})
		}
		return all
	}
	armed.Store(true)
	g.together(create(1)...)
	stats, err := store.Stats(t.Context())
	if err != nil || stats.Clients != calls || panics.Load() > 0 || armed.Load() {
		t.Errorf("%d clients, %d panics, none by the leader: %v, %v", stats.Clients, panics.Load(), armed.Load(), err)
	}
	always.Store(true)
	g.together(create(2)[1:]...)
	always.Store(false)
	after, err := store.Stats(t.Context())
	if err != nil || panics.Load() != calls-1 || after.Clients != stats.Clients {
		t.Errorf("%d clients were %d before, %d panics, %v", after.Clients, stats.Clients, panics.Load(), err)
	}
}

func TestARotationThatItsGrantRefusesLeavesTheOthersOfTheBatchTheirCommit(t *testing.T) {
	var later atomic.Int64
	store, _, g, count := groupStoreWithClock(t, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	ctx := t.Context()
	old := domain.Token{Digest: domain.DigestOf("old"), Kind: domain.RefreshToken, GrantID: "ends", ClientID: "app"}
	if err := errors.Join(
		store.Clients().Create(ctx, newClient("app")),
		store.Grants().Create(ctx, domain.Grant{ID: "ends", ClientID: "app", ExpiresAt: time.Now().Add(time.Hour)}),
		store.Tokens().Create(ctx, old),
	); err != nil {
		t.Fatal(err)
	}
	later.Store(int64(2 * time.Hour))
	select {
	case <-g.asking:
	default:
	}
	count.n.Store(0)
	var calls []func()
	for i := range 30 {
		calls = append(calls, func() {
			if i%3 > 0 {
				if err := store.Clients().Create(ctx, newClient(fmt.Sprint("c", i))); err != nil {
					t.Error(err)
				}
				return
			}
			next := domain.Token{Digest: domain.DigestOf(fmt.Sprint(i)), Kind: domain.RefreshToken, GrantID: "ends", ClientID: "app"}
			got, err := store.Tokens().Rotate(ctx, old.Digest, domain.Replay{}, next)
			if !errors.Is(err, repository.ErrExpired) || got.Digest != old.Digest || !got.ConsumedAt.IsZero() {
				t.Errorf("%v, with a token consumed at %v", err, got.ConsumedAt)
			}
		})
	}
	g.together(calls...)
	if n := count.n.Load(); n > 5 {
		t.Errorf("30 writes made %d commits", n)
	}
}

func TestConsumesInOneBatchHaveOneWinner(t *testing.T) {
	store, _, g, _ := groupStore(t)
	ctx := t.Context()
	if err := store.Clients().Create(ctx, newClient("app")); err != nil {
		t.Fatal(err)
	}
	if err := store.Grants().Create(ctx, domain.Grant{ID: "g", ClientID: "app"}); err != nil {
		t.Fatal(err)
	}
	d := domain.DigestOf("token")
	if err := store.Tokens().Create(ctx, domain.Token{Digest: d, Kind: domain.RefreshToken, GrantID: "g", ClientID: "app"}); err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	var calls []func()
	for i := range 50 {
		calls = append(calls, func() {
			next := domain.Token{Digest: domain.DigestOf(fmt.Sprint(i)), Kind: domain.RefreshToken, GrantID: "g", ClientID: "app"}
			switch _, err := store.Tokens().Rotate(ctx, d, domain.Replay{}, next); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, repository.ErrConsumed):
				t.Error(err)
			}
		})
	}
	g.together(calls...)
	if won.Load() != 1 {
		t.Errorf("%d rotations won", won.Load())
	}
}

func TestACallWhoseContextEndsWhileItWaitsTakesNoPart(t *testing.T) {
	store, _, g, _ := groupStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	g.mu.Lock()
	var all sync.WaitGroup
	for i, id := range []string{"leads", "stays"} {
		all.Go(func() {
			if err := store.Clients().Create(t.Context(), newClient(id)); err != nil {
				t.Error(err)
			}
		})
		if i == 0 {
			<-g.asking
		}
	}
	go func() { left <- store.Clients().Create(ctx, newClient("left")) }()
	g.await(2)
	cancel()
	select {
	case err := <-left:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("ctx did not end the wait")
	}
	g.mu.Unlock()
	all.Wait()
	for id, want := range map[string]error{"leads": nil, "left": repository.ErrNotFound, "stays": nil} {
		if _, err := store.Clients().Get(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
}

// When the disk is full, SQLite may roll back all that others in the batch have done.
func TestWhenTheDiskIsFullEachCallOfTheBatchGetsItsOwnAnswer(t *testing.T) {
	store, write, g, _ := groupStore(t)
	var pages int
	if err := write.Raw("PRAGMA page_count").Scan(&pages).Error; err != nil {
		t.Fatal(err)
	}
	if err := write.Exec(fmt.Sprint("PRAGMA max_page_count = ", pages+2)).Error; err != nil {
		t.Fatal(err)
	}
	var calls []func()
	var stored, full atomic.Int64
	for i := range 30 {
		c := newClient(fmt.Sprint("c", i))
		if i%3 == 1 {
			c.Metadata.ClientName = strings.Repeat("long", 5000)
		}
		calls = append(calls, func() {
			err := store.Clients().Create(t.Context(), c)
			_, errGet := store.Clients().Get(t.Context(), c.ID)
			switch {
			case (err == nil) != (errGet == nil):
				t.Errorf("%s: create says %v, get says %v", c.ID, err, errGet)
			case err == nil:
				stored.Add(1)
			default:
				full.Add(1)
			}
		})
	}
	g.together(calls...)
	if stored.Load() < 10 || full.Load() < 5 {
		t.Errorf("%d were stored, %d were not", stored.Load(), full.Load())
	}
}

func TestATransactionThatSQLiteRolledBackTakesNoMoreWrites(t *testing.T) {
	store, write, _, _ := groupStore(t)
	var pages int
	if err := write.Raw("PRAGMA page_count").Scan(&pages).Error; err != nil {
		t.Fatal(err)
	}
	if err := write.Exec(fmt.Sprint("PRAGMA max_page_count = ", pages+2)).Error; err != nil {
		t.Fatal(err)
	}
	large := newClient("large")
	large.Metadata.ClientName = strings.Repeat("long", 5000)
	err := store.InTx(t.Context(), func(tx repository.Repositories) error {
		if err := tx.Clients().Create(t.Context(), newClient("before")); err != nil {
			t.Error(err)
		}
		if err := tx.Clients().Create(t.Context(), large); err == nil {
			t.Error("the disk is not full")
		}
		if err := tx.Clients().Create(t.Context(), newClient("after")); !errors.Is(err, repository.ErrClosed) {
			t.Errorf("a write into a transaction that is gone: %v", err)
		}
		return nil
	})
	if err == nil {
		t.Error("a transaction that was rolled back is reported as committed")
	}
	if list, err := store.Clients().List(t.Context(), repository.Page{}); err != nil || len(list) > 0 {
		t.Errorf("%d clients are there, %v", len(list), err)
	}
}
