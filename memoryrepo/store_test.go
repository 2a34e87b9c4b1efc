package memoryrepo_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
)

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func refresh(value string) domain.Token {
	return domain.Token{Digest: domain.DigestOf(value), Kind: domain.RefreshToken, GrantID: "g", ClientID: "c", Subject: "s"}
}

// family returns a store with a client, a grant, a code and the refresh token "r0" that expire in an hour.
func family(t testing.TB, now func() time.Time) *memoryrepo.Store {
	t.Helper()
	s := memoryrepo.New(&memoryrepo.Options{Now: now})
	must(t, s.Clients().Create(ctx, domain.Client{ID: "c", Kind: domain.Dynamic}))
	must(t, s.Grants().Create(ctx, domain.Grant{ID: "g", ClientID: "c", Subject: "s"}))
	must(t, s.AuthorizationCodes().Create(ctx, domain.AuthorizationCode{Digest: domain.DigestOf("code"),
		GrantID: "g", ClientID: "c", Subject: "s", ExpiresAt: now().Add(time.Hour)}))
	token := refresh("r0")
	token.ExpiresAt = now().Add(time.Hour)
	must(t, s.Tokens().Create(ctx, token))
	return s
}

type snapshot struct {
	Clients []domain.Client
	Grants  []domain.Grant
	Tokens  []domain.Token
	Code    domain.AuthorizationCode
	Stats   repository.Stats
}

func look(t testing.TB, s *memoryrepo.Store) (v snapshot) {
	t.Helper()
	var errs [4]error
	v.Clients, errs[0] = s.Clients().List(ctx, repository.Page{})
	v.Grants, errs[1] = s.Grants().List(ctx, repository.GrantFilter{ClientID: "c"}, repository.Page{})
	v.Tokens, errs[2] = s.Tokens().List(ctx, repository.TokenFilter{Subject: "s"}, repository.Page{})
	v.Stats, errs[3] = s.Stats(ctx)
	must(t, errors.Join(errs[:]...))
	v.Code, _ = s.AuthorizationCodes().Get(ctx, domain.DigestOf("code"))
	return v
}

func TestRollbackRestoresEverything(t *testing.T) {
	now := time.Now()
	s := family(t, func() time.Time { return now })
	defer s.Close()
	before := look(t, s)
	no := errors.New("no")
	replay := domain.Replay{Sealed: []byte("x"), ExpiresAt: now.Add(time.Minute)}
	change := func(tx repository.Repositories) error {
		_, err := tx.Tokens().Rotate(ctx, domain.DigestOf("r0"), replay, refresh("r1"))
		must(t, err)
		wantErr(t, tx.Tokens().Create(ctx, refresh("r2"), refresh("r1")), repository.ErrAlreadyExists)
		_, err = tx.AuthorizationCodes().Consume(ctx, domain.DigestOf("code"))
		must(t, err)
		_, err = tx.Grants().Revoke(ctx, repository.GrantFilter{Subject: "s"}, domain.ByUser)
		must(t, err)
		n, err := tx.Grants().DeleteEnded(ctx, now.Add(time.Hour), 10)
		must(t, err)
		if n != 1 {
			t.Errorf("deleted %d grants, want 1", n)
		}
		must(t, tx.Clients().Delete(ctx, "c"))
		return no
	}
	for range 3 {
		if err := s.InTx(ctx, change); err != no {
			t.Fatal(err)
		}
		if after := look(t, s); !reflect.DeepEqual(before, after) {
			t.Fatalf("got %+v\nwant %+v", after, before)
		}
	}
	func() {
		defer func() { _ = recover() }()
		_ = s.InTx(ctx, func(tx repository.Repositories) error { _ = change(tx); panic("out") })
	}()
	ended, cancel := context.WithCancel(ctx)
	wantErr(t, s.InTx(ended, func(tx repository.Repositories) error { _ = change(tx); cancel(); return nil }), context.Canceled)
	if after := look(t, s); !reflect.DeepEqual(before, after) {
		t.Fatalf("got %+v\nwant %+v", after, before)
	}
	now = now.Add(time.Hour)
	for range 2 { // rolled back, then for good
		_ = s.InTx(ctx, func(tx repository.Repositories) error {
			n, err := tx.Tokens().DeleteExpired(ctx, 10)
			must(t, err)
			if n != 1 {
				t.Errorf("deleted %d tokens, want 1", n)
			}
			return no
		})
	}
	if n, err := s.AuthorizationCodes().DeleteExpired(ctx, 10); n != 1 || err != nil {
		t.Errorf("deleted %d codes, %v", n, err)
	}
}

func TestWaitsEndWithTheirContext(t *testing.T) {
	s := family(t, time.Now)
	inside, release, stray := make(chan struct{}), make(chan struct{}), make(chan repository.Repositories, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		must(t, s.InTx(ctx, func(tx repository.Repositories) error {
			stray <- tx
			must(t, tx.Tokens().Revoke(ctx, domain.DigestOf("r0")))
			close(inside)
			<-release
			return nil
		}))
	})
	<-inside
	short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	_, err := s.Tokens().Get(short, domain.DigestOf("r0"))
	wantErr(t, err, context.DeadlineExceeded)
	short, cancel = context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	wantErr(t, s.Clients().Delete(short, "c"), context.DeadlineExceeded)
	wg.Go(func() {
		_, err := s.Tokens().Get(ctx, domain.DigestOf("r0"))
		if !errors.Is(err, repository.ErrRevoked) && !errors.Is(err, repository.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
	wg.Go(func() { _ = s.Close() })
	close(release)
	wg.Wait()
	tx := <-stray
	wantErr(t, tx.Clients().Create(ctx, domain.Client{}), repository.ErrClosed)
	wantErr(t, s.Clients().Create(ctx, domain.Client{}), repository.ErrClosed)
	wantErr(t, s.Ping(ctx), repository.ErrClosed)
	wantErr(t, s.InTx(ctx, nil), repository.ErrClosed)
	must(t, s.Close())
}

func TestReadersNeverSeeAnUncommittedTransaction(t *testing.T) {
	s := family(t, time.Now)
	defer s.Close()
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_ = s.InTx(ctx, func(tx repository.Repositories) error {
					must(t, tx.Tokens().Revoke(ctx, domain.DigestOf("r0")))
					return errors.New("no")
				})
			}
		})
		readers.Go(func() {
			for range 2000 {
				if _, err := s.Tokens().Get(ctx, domain.DigestOf("r0")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Wait() // although transactions follow one another without a pause
	close(stop)
	writers.Wait()
}

func TestPagesMeetEachTokenOnceInOrder(t *testing.T) {
	s := family(t, time.Now)
	for i := range 50 {
		must(t, s.Tokens().Create(ctx, refresh(fmt.Sprint(i))))
	}
	for _, limit := range []int{1, 7, 51, 100} {
		page, seen := repository.Page{Limit: limit}, 0
		for {
			list, err := s.Tokens().List(ctx, repository.TokenFilter{}, page)
			must(t, err)
			if len(list) == 0 {
				break
			}
			for _, token := range list {
				if token.Digest.Hex() <= page.After {
					t.Fatal("out of order")
				}
				page.After = token.Digest.Hex()
				seen++
			}
		}
		if seen != 51 {
			t.Errorf("limit %d: saw %d", limit, seen)
		}
	}
}

func BenchmarkGetParallel(b *testing.B) {
	s := family(b, time.Now)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = s.Tokens().Get(ctx, domain.DigestOf("r0"))
		}
	})
}

func BenchmarkCreateToken(b *testing.B) {
	s := family(b, time.Now)
	token := refresh("r0")
	for i := 0; b.Loop(); i++ {
		token.Digest[0], token.Digest[1], token.Digest[2], token.Digest[3] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24)
		_ = s.Tokens().Create(ctx, token)
	}
}
