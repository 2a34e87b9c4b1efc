package integration_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/cleanup"
)

// filledLongAgo creates grants in a new database, each with a code and two tokens, all of which cleanup may remove by now,
// and returns its URL.
func (s server) filledLongAgo(t *testing.T, grants ...string) string {
	t.Helper()
	address, ctx := s.database(t), t.Context()
	then := time.Now().Add(-2 * cleanup.DefaultRetention)
	store, err := s.open(ctx, address, &postgres.Options{Now: func() time.Time { return then }})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}); err != nil {
		t.Fatal(err)
	}
	for chunk := range slices.Chunk(grants, 100) {
		err := store.InTx(ctx, func(tx repository.Repositories) error {
			for _, grant := range chunk {
				if err := createFamily(ctx, tx, grant, then.Add(time.Hour)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return address
}

func createFamily(ctx context.Context, r repository.Repositories, grant string, expires time.Time) error {
	if err := r.Grants().Create(ctx, domain.Grant{ID: grant, ClientID: theClient}); err != nil {
		return err
	}
	if err := r.AuthorizationCodes().Create(ctx, domain.AuthorizationCode{
		Digest: domain.DigestOf(grant + "code"), GrantID: grant, ClientID: theClient, ExpiresAt: expires,
	}); err != nil {
		return err
	}
	token := func(kind domain.TokenKind) domain.Token {
		return domain.Token{
			Digest: domain.DigestOf(grant + string(kind)), Kind: kind, GrantID: grant, ClientID: theClient, ExpiresAt: expires,
		}
	}
	return r.Tokens().Create(ctx, token(domain.AccessToken), token(domain.RefreshToken))
}

// TestCleanupWaitsForNoTransaction cleans up while a transaction holds what has expired, adds a code to a grant that had
// ended by being idle, and revokes a token of another one.
func TestCleanupWaitsForNoTransaction(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.filledLongAgo(t, "held", "revived", "signed out", "ended")
			opened(t, s.backend(), address, func(store repository.Store) {
				revived := domain.AuthorizationCode{
					Digest: domain.DigestOf("new code"), GrantID: "revived", ClientID: theClient, ExpiresAt: time.Now().Add(time.Hour),
				}
				err := store.InTx(t.Context(), func(tx repository.Repositories) error {
					if _, err := tx.Grants().Revoke(t.Context(), repository.GrantFilter{ID: "held"}, domain.ByUser); err != nil {
						return err
					}
					if err := tx.AuthorizationCodes().Create(t.Context(), revived); err != nil {
						return err
					}
					if err := tx.Tokens().Revoke(t.Context(), domain.DigestOf("signed out"+string(domain.AccessToken))); err != nil {
						return err
					}
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					removed, err := cleanup.Run(ctx, store, nil)
					if expected := (cleanup.Result{AuthorizationCodes: 3, Tokens: 5, Grants: 1}); removed != expected {
						t.Errorf("beside the transaction: removed %+v, want %+v", removed, expected)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
				removed, err := cleanup.Run(t.Context(), store, nil)
				if expected := (cleanup.Result{AuthorizationCodes: 1, Tokens: 3, Grants: 1}); err != nil || removed != expected {
					t.Errorf("after the transaction: removed %+v, want %+v, %v", removed, expected, err)
				}
				if _, err := store.AuthorizationCodes().Get(t.Context(), revived.Digest); err != nil {
					t.Errorf("the code that was added: %v", err)
				}
			})
		})
	}
}

// TestInstancesThatCleanUpAtOnceRemoveEachEntityOnce counts what four stores on one database remove in small batches.
func TestInstancesThatCleanUpAtOnceRemoveEachEntityOnce(t *testing.T) {
	const instances, families = 4, 1000
	var grants []string
	for i := range families {
		grants = append(grants, fmt.Sprint("grant-", i))
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.filledLongAgo(t, grants...)
			var removed [instances]cleanup.Result
			var begun, all sync.WaitGroup
			begun.Add(instances)
			for i := range instances {
				all.Go(func() {
					opened(t, s.backend(), address, func(store repository.Store) {
						begun.Done()
						begun.Wait()
						var err error
						if removed[i], err = cleanup.Run(t.Context(), store, &cleanup.Options{Batch: 20}); err != nil {
							t.Error(err)
						}
					})
				})
			}
			all.Wait()
			var sum cleanup.Result
			busy := 0
			for _, r := range removed {
				sum.AuthorizationCodes += r.AuthorizationCodes
				sum.Tokens += r.Tokens
				sum.Grants += r.Grants
				busy += min(1, r.Tokens)
			}
			// A grant that one of them removes takes along the codes and tokens that nobody has counted yet.
			if sum.Grants != families || sum.AuthorizationCodes > families || sum.Tokens > 2*families {
				t.Errorf("removed %+v in all, of %d families", sum, families)
			}
			opened(t, s.backend(), address, func(store repository.Store) {
				if left, err := store.Stats(t.Context()); err != nil || left != (repository.Stats{Clients: 1}) {
					t.Errorf("left: %+v, %v", left, err)
				}
			})
			if busy < 2 {
				t.Error("one instance did it alone")
			}
		})
	}
}
