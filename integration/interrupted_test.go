package integration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/repository"
)

// looked is a context that has ended from the look at it on whose number is left.
type looked struct {
	context.Context
	left atomic.Int64
}

func (c *looked) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func endsAfter(ctx context.Context, looks int) context.Context {
	c := &looked{Context: ctx}
	c.left.Store(int64(looks))
	return c
}

// fillLive stores a client with a grant that has n live tokens, and as many codes that have expired.
func fillLive(t *testing.T, store repository.Store, n int) {
	t.Helper()
	ctx := t.Context()
	err := errors.Join(
		store.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}),
		store.Grants().Create(ctx, domain.Grant{ID: theBigGrant, ClientID: theClient, Subject: theUser}))
	for batch := range slices.Chunk(make([]domain.Token, n), 500) {
		for i := range batch {
			batch[i] = newToken(domain.RefreshToken, theBigGrant)
		}
		err = errors.Join(err, store.Tokens().Create(ctx, batch...), store.InTx(ctx, func(tx repository.Repositories) error {
			var errs []error
			for range batch {
				errs = append(errs, tx.AuthorizationCodes().Create(ctx, domain.AuthorizationCode{
					Digest: domain.DigestOf(domain.NewSecret()), GrantID: theBigGrant, ClientID: theClient, Subject: theUser,
					ExpiresAt: time.Unix(1, 0),
				}))
			}
			return errors.Join(errs...)
		}))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatAnInterruptedDeletionLeavesCanBeRevoked(t *testing.T) {
	eachDatabase(t, func(t *testing.T, store repository.Store) {
		t.Helper()
		const n = 1100 // more than one step; some drivers look at the context for each row
		fillLive(t, store, n)
		if err := second(store.AuthorizationCodes().DeleteExpired(t.Context(), 10_000)); err != nil {
			t.Fatal(err)
		}
		left := int64(n)
		for looks := 1; left == n; looks++ {
			if err := store.Clients().Delete(endsAfter(t.Context(), looks), theClient); !errors.Is(err, context.Canceled) {
				t.Fatalf("after %d looks: %v", looks, err)
			}
			stats, err := store.Stats(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			left = stats.RefreshTokens.Total
		}
		if n, err := store.Grants().Revoke(t.Context(), repository.GrantFilter{ClientID: theClient}, domain.ByOperator); n != 1 || err != nil {
			t.Errorf("Revoke: %d, %v", n, err)
		}
		if stats, err := store.Stats(t.Context()); err != nil || stats.RefreshTokens.Live > 0 {
			t.Errorf("%d of %d tokens are live after Revoke, %v", stats.RefreshTokens.Live, left, err)
		}
	})
}

func TestAMethodOfATransactionWhoseContextEndsChangesAllOrNothing(t *testing.T) {
	for name, remove := range map[string]func(ctx context.Context, tx repository.Repositories) error{
		"Clients.Delete": func(ctx context.Context, tx repository.Repositories) error {
			return tx.Clients().Delete(ctx, theClient)
		},
		"DeleteExpired": func(ctx context.Context, tx repository.Repositories) error {
			return second(tx.AuthorizationCodes().DeleteExpired(ctx, 10_000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachDatabase(t, func(t *testing.T, store repository.Store) {
				t.Helper()
				fillLive(t, store, 2500)
				before, err := store.Stats(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for looks := range 5 {
					var failed error
					err := store.InTx(t.Context(), func(tx repository.Repositories) error {
						failed = remove(endsAfter(t.Context(), looks), tx)
						return nil
					})
					after, errStats := store.Stats(t.Context())
					switch {
					case err != nil || errStats != nil:
						t.Fatal(err, errStats)
					case failed == nil && after.AuthorizationCodes.Total > 0, failed != nil && after != before:
						t.Errorf("after %d looks: %v, and %+v of %+v are left", looks, failed, after, before)
					case failed == nil:
						return
					}
				}
				t.Error("it never got through")
			})
		})
	}
}

// TestARevocationOfManyGrantsGetsThroughBesideTraffic revokes them while others write to each.
func TestARevocationOfManyGrantsGetsThroughBesideTraffic(t *testing.T) {
	const n = 20_000
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			opened(t, s.backend(), s.database(t), func(store repository.Store) {
				err := store.Clients().Create(t.Context(), domain.Client{ID: theClient, Kind: domain.Dynamic})
				for i := 0; i < n && err == nil; i += 500 {
					err = store.InTx(t.Context(), func(tx repository.Repositories) error {
						var errs []error
						for j := range 500 {
							g := domain.Grant{ID: fmt.Sprint("grant-", i+j), ClientID: theClient, Subject: theUser}
							errs = append(errs, tx.Grants().Create(t.Context(), g))
						}
						return errors.Join(errs...)
					})
				}
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				var writers sync.WaitGroup
				for w := range 48 {
					writers.Go(func() {
						for i := w; ctx.Err() == nil; i += 48 {
							_ = store.Tokens().Create(ctx, newToken(domain.AccessToken, fmt.Sprint("grant-", i%n)))
						}
					})
				}
				begun := time.Now()
				revoked, err := store.Grants().Revoke(t.Context(), repository.GrantFilter{ClientID: theClient}, domain.ByOperator)
				stop()
				writers.Wait()
				t.Logf("%d revoked in %v", revoked, time.Since(begun))
				if revoked != n || err != nil {
					t.Errorf("%d revoked, %v", revoked, err)
				}
				if stats, err := store.Stats(t.Context()); err != nil || stats.AccessTokens.Live > 0 {
					t.Errorf("%d tokens are live, %v", stats.AccessTokens.Live, err)
				}
			})
		})
	}
}

// TestNewNeedsOneConnectionOfAPool has others hold the rest of it, or open at the same time.
func TestNewNeedsOneConnectionOfAPool(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			db := s.handle(t, s.database(t))
			pool, err := db.DB()
			if err != nil {
				t.Fatal(err)
			}
			pool.SetMaxOpenConns(2)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if err := second(gormrepo.New(db, nil)); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			err = db.Connection(func(*gorm.DB) error { return second(gormrepo.New(db, nil)) })
			if err != nil {
				t.Error(err)
			}
		})
	}
}
