package integration_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

// TestAnUpdateUnderAnEndingContextReportsWhatItDid ends the ctx of an update at a random moment. The
// version of the client tells whether it was applied.
func TestAnUpdateUnderAnEndingContextReportsWhatItDid(t *testing.T) {
	times := 5_000
	if long() {
		times = 30_000
	}
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			store, err := d.open(t.Context(), dbPath(t), &sqlite.Options{Synchronous: sqlite.Normal})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			cancelUpdates(t, store, times)
		})
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			opened(t, s.backend(), s.database(t), func(store repository.Store) { cancelUpdates(t, store, times/10) })
		})
	}
}

func cancelUpdates(t *testing.T, store repository.Store, times int) {
	t.Helper()
	if err := store.Clients().Create(t.Context(), domain.Client{ID: "app", Kind: domain.Dynamic}); err != nil {
		t.Fatal(err)
	}
	applied, refused := 0, 0
	c, err := store.Clients().Get(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	long := time.Millisecond // within which an update ends about every second time
	for i := range times {
		c.Metadata.ClientName = strconv.Itoa(i)
		ctx, cancel := context.WithTimeout(t.Context(), rand.N(long))
		_, err := store.Clients().Update(ctx, c)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		stored, errGet := store.Clients().Get(t.Context(), "app")
		if errGet != nil {
			t.Fatal(errGet)
		}
		if done := stored.Version == c.Version+1 && stored.Metadata.ClientName == strconv.Itoa(i); done != (err == nil) {
			t.Fatalf("update %d: version %d became %d, and the error is %v", i, c.Version, stored.Version, err)
		}
		c = stored
		if err == nil {
			applied++
			long -= long / 100
		} else {
			refused++
			long += long/100 + 1
		}
	}
	t.Logf("%d applied, %d refused", applied, refused)
	if applied < times/20 || refused < times/20 {
		t.Errorf("%d applied, %d refused: the moments were not random", applied, refused)
	}
}

// waitingIsKept is how long InnoDB answers who waits without looking again, counted from when it was asked last.
const waitingIsKept = 150 * time.Millisecond

// TestACallThatGaveUpSoonLeavesTheServerToo lets a call wait for a transaction until its ctx ends, and the transaction go on
// until the server has nobody left who waits for it.
func TestACallThatGaveUpSoonLeavesTheServerToo(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.database(t)
			db := s.handle(t, address)
			waiting := func() (n int) {
				if err := db.Raw(s.waiting).Scan(&n).Error; err != nil {
					t.Error(err)
				}
				return n
			}
			opened(t, s.backend(), address, func(store repository.Store) {
				ctx, family := t.Context(), domain.Grant{ID: "family", ClientID: theClient}
				err := errors.Join(
					store.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}),
					store.Grants().Create(ctx, family),
				)
				if err != nil {
					t.Fatal(err)
				}
				revoke := func(ctx context.Context, r repository.Repositories) error {
					return second(r.Grants().Revoke(ctx, repository.GrantFilter{ID: family.ID}, domain.ByUser))
				}
				err = store.InTx(ctx, func(tx repository.Repositories) error {
					if err := revoke(ctx, tx); err != nil {
						return err
					}
					brief, cancel := context.WithTimeout(ctx, time.Second)
					defer cancel()
					var seen int
					var both sync.WaitGroup
					both.Go(func() {
						for brief.Err() == nil && seen == 0 {
							within(t, waitingIsKept)
							seen = waiting()
						}
					})
					if err := revoke(brief, store); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v", err)
					}
					both.Wait()
					if (seen == 0) != (s.name == mySQL.name) { // there the store waits
						t.Errorf("%d waited on the server", seen)
					}
					patience, cancel := context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
					for waiting() > 0 {
						if patience.Err() != nil {
							t.Fatal("the server still waits for the transaction on behalf of nobody")
						}
						within(t, waitingIsKept)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestACallUnderAnEndingContextReturnsTheErrorOfThatContext ends the ctx of calls at random moments.
func TestACallUnderAnEndingContextReturnsTheErrorOfThatContext(t *testing.T) {
	callers, times, longest := 16, 40, 100*time.Millisecond
	if long() {
		times = 160
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			opened(t, s.backend(), s.database(t), func(store repository.Store) {
				var all sync.WaitGroup
				var done, refused atomic.Int64
				for range callers {
					all.Go(func() {
						for _, call := range briefCalls(store) {
							for range times {
								ctx, cancel := context.WithTimeout(t.Context(), rand.N(longest))
								err := call(ctx)
								cancel()
								switch {
								case err == nil:
									done.Add(1)
								case errors.Is(err, context.DeadlineExceeded):
									refused.Add(1)
								default:
									t.Error(err)
								}
							}
						}
					})
				}
				all.Wait()
				t.Logf("%d done, %d refused", done.Load(), refused.Load())
				if refused.Load() == 0 {
					t.Error("no context ended in time")
				}
			})
		})
	}
}

func briefCalls(store repository.Store) []func(ctx context.Context) error {
	create := func(ctx context.Context, r repository.Repositories) error {
		return r.Clients().Create(ctx, domain.Client{ID: domain.NewID(), Kind: domain.Dynamic})
	}
	list := func(ctx context.Context, r repository.Repositories) error {
		return second(r.Clients().List(ctx, repository.Page{Limit: 1}))
	}
	return []func(ctx context.Context) error{
		func(ctx context.Context) error { return create(ctx, store) },
		func(ctx context.Context) error { return list(ctx, store) },
		func(ctx context.Context) error {
			return store.InTx(ctx, func(tx repository.Repositories) error {
				for range 3 {
					if err := create(ctx, tx); err != nil {
						return err
					}
					if err := list(ctx, tx); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}
