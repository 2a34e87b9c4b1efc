package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

// TestARevokedGrantHasNoLiveTokenWhateverTheIsolation races Grants.Revoke against what adds tokens, with each level
// of isolation as the server's default.
func TestARevokedGrantHasNoLiveTokenWhateverTheIsolation(t *testing.T) {
	races := 100
	if long() {
		races = 1_000
	}
	for _, s := range servers {
		for _, level := range []string{"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"} {
			t.Run(s.name+" "+level, func(t *testing.T) {
				address := s.atLevel(t, level)
				opened(t, s.backend(), address, func(store repository.Store) { raceWithRevoke(t, store, races) })
				if s.name == "PostgreSQL" { // everything locks the grant first; InnoDB's indexes have locks of their own
					hadNoDeadlock(t, s.handle(t, address))
				}
			})
		}
	}
}

// atLevel returns the URL of a new database whose sessions begin with that isolation.
func (s server) atLevel(t *testing.T, level string) string {
	t.Helper()
	parameter := "default_transaction_isolation=" + strings.ReplaceAll(strings.ToLower(level), " ", "%20")
	if s.name == "MySQL" {
		parameter = "tx_isolation='" + strings.ReplaceAll(level, " ", "-") + "'"
	}
	return with(t, s.database(t), parameter)
}

// hadNoDeadlock checks that PostgreSQL had none in a database, once the sessions there have ended: then they are counted.
func hadNoDeadlock(t *testing.T, db *gorm.DB) {
	t.Helper()
	var open, deadlocks int
	ask := func(n *int, question string) {
		if err := db.Raw(question).Scan(n).Error; err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for open = 1; open > 0 && ctx.Err() == nil; within(t, 10*time.Millisecond) {
		ask(&open, "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND "+
			"backend_type = 'client backend' AND pid <> pg_backend_pid()")
	}
	ask(&deadlocks, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
	if open > 0 || deadlocks > 0 {
		t.Errorf("%d deadlocks, and %d sessions left", deadlocks, open)
	}
}

func raceWithRevoke(t *testing.T, store repository.Store, races int) {
	t.Helper()
	ctx := t.Context()
	if err := store.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}); err != nil {
		t.Fatal(err)
	}
	oauth := flow.New(store, nil)
	add := map[string]func(id string) error{
		"rotate": func(id string) error {
			next := domain.Token{Digest: domain.DigestOf(id + "next"), Kind: domain.RefreshToken, GrantID: id, ClientID: theClient}
			_, err := store.Tokens().Rotate(ctx, domain.DigestOf(id+"token"), domain.Replay{}, next)
			return err
		},
		"exchange": func(id string) error {
			_, err := oauth.ExchangeCode(ctx, flow.CodeExchange{
				Code:  id + "code",
				Check: func(domain.AuthorizationCode) error { return nil },
				Issue: func(domain.AuthorizationCode, domain.Grant) (flow.Issued, error) {
					raw := domain.NewSecret()
					return flow.Issued{
						Tokens:   []domain.Token{{Digest: domain.DigestOf(raw), Kind: domain.AccessToken}},
						Response: flow.Response{AccessToken: raw},
					}, nil
				},
			})
			return err
		},
	}
	add["create code"] = func(id string) error {
		return store.AuthorizationCodes().Create(ctx, domain.AuthorizationCode{
			Digest: domain.DigestOf(id + "another code"), GrantID: id, ClientID: theClient, ExpiresAt: time.Now().Add(time.Hour),
		})
	}
	for kind, call := range add {
		added, late := 0, 0
		var mu sync.Mutex
		var all sync.WaitGroup
		next := make(chan int)
		for range 8 {
			all.Go(func() {
				for i := range next {
					ok, err := raceOnce(ctx, store, fmt.Sprint(kind, i), call)
					mu.Lock()
					if ok {
						added++
					} else {
						late++
					}
					mu.Unlock()
					if err != nil {
						t.Errorf("%s: %v", kind, err)
					}
				}
			})
		}
		for i := range races {
			next <- i
		}
		close(next)
		all.Wait()
		t.Logf("%s: %d came before Revoke, %d after", kind, added, late)
		if added == 0 || late == 0 {
			t.Errorf("%s: %d came before Revoke, %d after: there was no race", kind, added, late)
		}
	}
	live, err := store.Tokens().List(ctx, repository.TokenFilter{State: repository.Live}, repository.Page{})
	if err != nil || len(live) > 0 {
		t.Errorf("%d tokens are live, %v", len(live), err)
	}
}

// raceOnce reports whether call was ahead of Grants.Revoke, and an error that neither may have, or a token that lives
// on.
func raceOnce(ctx context.Context, store repository.Store, id string, call func(id string) error) (added bool, err error) {
	err = store.InTx(ctx, func(tx repository.Repositories) error {
		return errors.Join(
			tx.Grants().Create(ctx, domain.Grant{ID: id, ClientID: theClient}),
			tx.AuthorizationCodes().Create(ctx, domain.AuthorizationCode{
				Digest: domain.DigestOf(id + "code"), GrantID: id, ClientID: theClient, ExpiresAt: time.Now().Add(time.Hour),
			}),
			tx.Tokens().Create(ctx, domain.Token{
				Digest: domain.DigestOf(id + "token"), Kind: domain.RefreshToken, GrantID: id, ClientID: theClient,
			}),
		)
	})
	if err != nil {
		return false, err
	}
	var both sync.WaitGroup
	var errCall, errRevoke error
	both.Go(func() { errCall = call(id) })
	both.Go(func() { _, errRevoke = store.Grants().Revoke(ctx, repository.GrantFilter{ID: id}, domain.ByUser) })
	both.Wait()
	if errors.Is(errCall, repository.ErrRevoked) {
		errCall = nil
	} else {
		added = errCall == nil
	}
	live, err := store.Tokens().List(ctx, repository.TokenFilter{GrantID: id, State: repository.Live}, repository.Page{})
	if len(live) > 0 {
		err = errors.Join(err, errors.New("a token of a revoked grant is live"))
	}
	for _, code := range []string{"code", "another code"} {
		if _, alive := store.AuthorizationCodes().Get(ctx, domain.DigestOf(id+code)); alive == nil {
			err = errors.Join(err, errors.New("a code of a revoked grant is live"))
		}
	}
	return added, errors.Join(errCall, errRevoke, err)
}

// TestARotateThatWaitedForARevocationReturnsTheTokenAsItIs lets a rotation that has read its token wait for the grant.
func TestARotateThatWaitedForARevocationReturnsTheTokenAsItIs(t *testing.T) {
	waiters := map[string]string{
		"PostgreSQL": "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
		"MySQL": "SELECT COUNT(*) FROM information_schema.innodb_trx JOIN information_schema.processlist ON id = trx_mysql_thread_id " +
			"WHERE trx_state = 'LOCK WAIT' AND db = DATABASE()",
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address, ctx := s.database(t), t.Context()
			if s.name == "MySQL" {
				address = with(t, address, "innodb_lock_wait_timeout=3") // the server waits, not the store, which reads anew
			}
			opened(t, s.backend(), address, func(store repository.Store) {
				refresh := domain.Token{Digest: domain.DigestOf("token"), Kind: domain.RefreshToken, GrantID: "grant", ClientID: theClient}
				err := errors.Join(
					store.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}),
					store.Grants().Create(ctx, domain.Grant{ID: refresh.GrantID, ClientID: theClient}),
					store.Tokens().Create(ctx, refresh),
				)
				if err != nil {
					t.Fatal(err)
				}
				db := s.handle(t, address)
				var rotated domain.Token
				ended := make(chan error, 1)
				err = store.InTx(ctx, func(tx repository.Repositories) error {
					_, err := tx.Grants().Revoke(ctx, repository.GrantFilter{ID: refresh.GrantID}, domain.ByUser)
					go func() {
						var err error
						rotated, err = store.Tokens().Rotate(ctx, refresh.Digest, domain.Replay{})
						ended <- err
					}()
					waiting := 0
					for tries := 0; waiting == 0 && tries < 20 && err == nil; tries++ {
						within(t, 150*time.Millisecond) // InnoDB shows what it showed before if it is asked sooner
						err = db.Raw(waiters[s.name]).Scan(&waiting).Error
					}
					if waiting == 0 {
						t.Error("the rotation did not wait")
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := <-ended; !errors.Is(err, repository.ErrRevoked) {
					t.Errorf("got %v", err)
				}
				if now, _ := store.Tokens().Get(ctx, refresh.Digest); rotated.RevokedAt.IsZero() || !rotated.RevokedAt.Equal(now.RevokedAt) {
					t.Errorf("revoked at %v, and Rotate returned %v", now.RevokedAt, rotated.RevokedAt)
				}
			})
		})
	}
}

// TestATransactionThatTheServerHasUndoneRunsAgain lets two transactions lock each other's grants, and pass over the
// error that one of them gets.
func TestATransactionThatTheServerHasUndoneRunsAgain(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			opened(t, s.backend(), s.database(t), func(store repository.Store) { deadlock(t, store) })
		})
	}
}

func deadlock(t *testing.T, store repository.Store) {
	t.Helper()
	ctx := t.Context()
	if err := store.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}); err != nil {
		t.Fatal(err)
	}
	grants := []string{"first", "second"}
	for _, id := range grants {
		if err := store.Grants().Create(ctx, domain.Grant{ID: id, ClientID: theClient}); err != nil {
			t.Fatal(err)
		}
	}
	token := func(grant string, by int) domain.Token {
		return domain.Token{Digest: domain.DigestOf(fmt.Sprint(grant, by)), Kind: domain.AccessToken, GrantID: grant, ClientID: theClient}
	}
	var both, locked sync.WaitGroup
	var times [2]int
	locked.Add(2)
	for i := range grants {
		both.Go(func() {
			ready := sync.OnceFunc(locked.Done)
			defer ready() // if it failed before
			err := store.InTx(ctx, func(tx repository.Repositories) error {
				err := tx.Tokens().Create(ctx, token(grants[i], i))
				times[i]++
				ready()
				locked.Wait()
				_ = tx.Tokens().Create(ctx, token(grants[1-i], i)) // what comes of it is not fn's to say
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if times[0]+times[1] < 3 {
		t.Errorf("the transactions ran %v times: there was no deadlock", times)
	}
	all, err := store.Tokens().List(ctx, repository.TokenFilter{State: repository.Live}, repository.Page{})
	if err != nil || len(all) != 4 {
		t.Errorf("%d tokens, %v", len(all), err)
	}
}

// TestATransactionSeesWhatOthersHaveCommitted holds READ COMMITTED on servers whose default is stricter.
func TestATransactionSeesWhatOthersHaveCommitted(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			opened(t, s.backend(), s.atLevel(t, "REPEATABLE READ"), func(store repository.Store) {
				err := store.InTx(t.Context(), func(tx repository.Repositories) error {
					if _, err := tx.Clients().Get(t.Context(), theClient); !errors.Is(err, repository.ErrNotFound) {
						t.Errorf("before: %v", err)
					}
					if err := store.Clients().Create(t.Context(), domain.Client{ID: theClient, Kind: domain.Dynamic}); err != nil {
						return err
					}
					_, err := tx.Clients().Get(t.Context(), theClient)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestARotationThatWaitsForItsGrant has another transaction hold the grant: a token that is consumed already needs no lock,
// and one that is live comes back as it is when ctx ends the wait.
func TestARotationThatWaitsForItsGrant(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			ctx, address := t.Context(), s.database(t)
			opened(t, s.backend(), address, func(store repository.Store) {
				refresh := func(name string) domain.Token {
					return domain.Token{Digest: domain.DigestOf(name), Kind: domain.RefreshToken, GrantID: "g", ClientID: "c"}
				}
				err := errors.Join(
					store.Clients().Create(ctx, domain.Client{ID: "c", Kind: domain.Dynamic}),
					store.Grants().Create(ctx, domain.Grant{ID: "g", ClientID: "c"}),
					store.Tokens().Create(ctx, refresh("consumed"), refresh("live")),
				)
				if err == nil {
					_, err = store.Tokens().Rotate(ctx, domain.DigestOf("consumed"), domain.Replay{})
				}
				if err != nil {
					t.Fatal(err)
				}
				holder := s.handle(t, address).Begin()
				defer holder.Rollback()
				var held string
				if err := holder.Raw("SELECT id FROM oauth_grants FOR UPDATE").Scan(&held).Error; err != nil {
					t.Fatal(err)
				}
				within, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				for _, tt := range []struct {
					name string
					want error
				}{{"consumed", repository.ErrConsumed}, {"live", context.DeadlineExceeded}} {
					name, want := tt.name, tt.want
					old, err := store.Tokens().Rotate(within, domain.DigestOf(name), domain.Replay{}, refresh("next "+name))
					if !errors.Is(err, want) || old.Digest != domain.DigestOf(name) || old.ConsumedAt.IsZero() != (name == "live") {
						t.Errorf("%s: %v, with a token: %v, consumed at %v", name, err, !old.Digest.IsZero(), old.ConsumedAt)
					}
				}
			})
		})
	}
}
