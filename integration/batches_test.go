package integration_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

const (
	theBigClient = "big"
	theBigGrant  = "big grant"
)

// removals are the verbs that may have to remove more than one transaction should.
var removals = map[string]func(ctx context.Context, store repository.Repositories) error{
	"Clients.Delete": func(ctx context.Context, store repository.Repositories) error {
		return store.Clients().Delete(ctx, theBigClient)
	},
	"Grants.DeleteEnded": func(ctx context.Context, store repository.Repositories) error {
		_, err := store.Grants().DeleteEnded(ctx, time.Now().Add(time.Hour), 10)
		return err
	},
}

// fillBig stores a client that has a grant with n tokens, and which is revoked; and another client with
// a grant that lives.
func fillBig(t testing.TB, store repository.Store, n int) {
	t.Helper()
	ctx := t.Context()
	err := errors.Join(
		store.Clients().Create(ctx, domain.Client{ID: theBigClient, Kind: domain.Dynamic}),
		store.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}),
		store.Grants().Create(ctx, domain.Grant{ID: theBigGrant, ClientID: theBigClient, Subject: theUser}),
		store.Grants().Create(ctx, domain.Grant{ID: "other", ClientID: theClient, Subject: theUser}))
	tokens := make([]domain.Token, n)
	for i := range tokens {
		tokens[i] = newToken(domain.RefreshToken, theBigGrant)
		tokens[i].ClientID, tokens[i].Scopes, tokens[i].Resources = theBigClient, nil, nil
	}
	for batch := range slices.Chunk(tokens, 500) {
		if err == nil {
			err = store.Tokens().Create(ctx, batch...)
		}
	}
	if err == nil {
		_, err = store.Grants().Revoke(ctx, repository.GrantFilter{ID: theBigGrant}, domain.ByUser)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// beside calls write until during has returned, and returns how often that was and the longest time
// that a call has taken.
func beside(t testing.TB, write func() error, during func()) (calls int, longest time.Duration) {
	t.Helper()
	over := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			begun := time.Now()
			if err := write(); err != nil {
				t.Error(err)
				return
			}
			calls, longest = calls+1, max(longest, time.Since(begun))
			select {
			case <-over:
				return
			default:
			}
		}
	})
	during()
	close(over)
	writer.Wait()
	return calls, longest
}

func eachDatabase(t *testing.T, run func(t *testing.T, store repository.Store)) {
	t.Helper()
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			opened(t, d.backend(), dbPath(t), func(store repository.Store) { run(t, store) })
		})
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			opened(t, s.backend(), s.database(t), func(store repository.Store) { run(t, store) })
		})
	}
}

func TestOthersWriteBetweenTheBatchesOfALargeRemoval(t *testing.T) {
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) {
			eachDatabase(t, func(t *testing.T, store repository.Store) {
				t.Helper()
				fillBig(t, store, 20_000)
				calls, _ := beside(t, func() error {
					return store.Tokens().Create(t.Context(), newToken(domain.AccessToken, "other"))
				}, func() {
					if err := remove(t.Context(), store); err != nil {
						t.Error(err)
					}
				})
				if calls < 10 {
					t.Errorf("another writer had %d turns", calls)
				}
				if stats, err := store.Stats(t.Context()); err != nil || stats.RefreshTokens.Total != 0 || stats.AccessTokens.Total != int64(calls) {
					t.Errorf("%+v after %d calls of the other writer, %v", stats, calls, err)
				}
			})
		})
	}
}

// TestALargeRemovalEndsWithItsContextAndTheNextCallGoesOn ends the context as soon as something is
// gone.
func TestALargeRemovalEndsWithItsContextAndTheNextCallGoesOn(t *testing.T) {
	const n = 20_000
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) {
			eachDatabase(t, func(t *testing.T, store repository.Store) {
				t.Helper()
				fillBig(t, store, n)
				ctx, cancel := context.WithCancel(t.Context())
				var watching sync.WaitGroup
				watching.Go(func() {
					defer cancel()
					for stats := (repository.Stats{}); ctx.Err() == nil && (stats.RefreshTokens.Total == 0 || stats.RefreshTokens.Total == n); {
						stats, _ = store.Stats(ctx)
					}
				})
				err := remove(ctx, store)
				cancel()
				watching.Wait()
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("interrupted: %v", err)
				}
				if stats, err := store.Stats(t.Context()); err != nil || stats.RefreshTokens.Total == 0 || stats.RefreshTokens.Total == n {
					t.Errorf("%d of %d tokens are left after an interrupted call, %v", stats.RefreshTokens.Total, n, err)
				}
				if _, err = store.Grants().Get(t.Context(), theBigGrant); !errors.Is(err, repository.ErrRevoked) {
					t.Errorf("the grant: %v", err)
				}
				for errors.Is(err, repository.ErrRevoked) { // DeleteEnded skips what a server has locked still
					if err := remove(t.Context(), store); err != nil {
						t.Fatalf("the next call: %v", err)
					}
					_, err = store.Grants().Get(t.Context(), theBigGrant)
				}
				if stats, errStats := store.Stats(t.Context()); stats.RefreshTokens.Total != 0 || !errors.Is(err, repository.ErrNotFound) {
					t.Errorf("after the next call: %v, %+v %v", err, stats, errStats)
				}
			})
		})
	}
}

// TestALargeRemovalInATransactionIsAllOrNothing rolls one back.
func TestALargeRemovalInATransactionIsAllOrNothing(t *testing.T) {
	refused := errors.New("refused")
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) {
			eachDatabase(t, func(t *testing.T, store repository.Store) {
				t.Helper()
				fillBig(t, store, 3000)
				err := store.InTx(t.Context(), func(tx repository.Repositories) error {
					return errors.Join(remove(t.Context(), tx), refused)
				})
				if err == nil || err.Error() != refused.Error() {
					t.Fatal(err)
				}
				if stats, err := store.Stats(t.Context()); err != nil || stats.RefreshTokens.Total != 3000 || stats.Grants.Total != 2 {
					t.Errorf("%+v %v", stats, err)
				}
			})
		})
	}
}

// BenchmarkLongestWait reports how long a lone writer waits at most while a client with -expired
// tokens is deleted, and while a subject with a tenth as many grants is revoked, in one transaction.
func BenchmarkLongestWait(b *testing.B) {
	for name, work := range map[string]func(b *testing.B, store repository.Store) func() error{
		"delete=client": func(b *testing.B, store repository.Store) func() error {
			b.Helper()
			fillBig(b, store, *expiredTokens)
			return func() error { return store.Clients().Delete(b.Context(), theBigClient) }
		},
		"revoke=subject": func(b *testing.B, store repository.Store) func() error {
			b.Helper()
			fillBig(b, store, 0)
			manyGrants(b, store, "many", *expiredTokens/10)
			return func() error {
				_, err := store.Grants().Revoke(b.Context(), repository.GrantFilter{Subject: "many"}, domain.ByUser)
				return err
			}
		},
	} {
		for _, d := range sqliteDrivers {
			b.Run(name+"/"+d.name, func(b *testing.B) { benchmarkLongestWait(b, d.backend(), dbPath(b), work) })
		}
		for _, s := range servers {
			b.Run(name+"/"+s.name, func(b *testing.B) { benchmarkLongestWait(b, s.backend(), s.database(b), work) })
		}
	}
}

func benchmarkLongestWait(b *testing.B, with backend, address string,
	prepare func(b *testing.B, store repository.Store) func() error,
) {
	b.Helper()
	store, err := with.open(b.Context(), address)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	work := prepare(b, store)
	create := func() error { return store.Tokens().Create(b.Context(), newToken(domain.AccessToken, "other")) }
	var took time.Duration
	_, longest := beside(b, create, func() {
		begun := time.Now()
		if err := work(); err != nil {
			b.Error(err)
		}
		took = time.Since(begun)
	})
	b.ReportMetric(took.Seconds(), "s")
	b.ReportMetric(float64(longest.Milliseconds()), "longest-wait-ms")
}

// manyGrants stores n grants of a subject with two tokens each.
func manyGrants(b *testing.B, store repository.Store, subject string, n int) {
	b.Helper()
	for range n / 500 {
		err := store.InTx(b.Context(), func(tx repository.Repositories) error {
			for range 500 {
				id := domain.NewID()
				access, refresh := newToken(domain.AccessToken, id), newToken(domain.RefreshToken, id)
				access.Subject, refresh.Subject = subject, subject
				grant := domain.Grant{ID: id, ClientID: theClient, Subject: subject, Scopes: access.Scopes, Resources: access.Resources}
				if err := tx.Grants().Create(b.Context(), grant); err != nil {
					return err
				}
				if err := tx.Tokens().Create(b.Context(), access, refresh); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
