package repotest

import (
	"runtime"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func storeChecks() []check {
	return []check{
		{"a fresh store is empty and answers", storeFresh},
		{"Stats counts what is stored and what of it is live", storeStats},
		{"after Close every method says closed, and closing again is nil", storeClosed},
		{"Close waits for a transaction under way", storeClosesAfter},
		{"Close by the function of a transaction is invalid, and both go on", storeClosedInside},
		{"Now is the store's clock, and one reading in a transaction, by which its methods judge", storeNow},
		{"a clock before 1970 or after 9999 is invalid, and nothing is done", storeClock},
	}
}

func storeFresh(t *testing.T, f *fixture) {
	must(t, f.Ping(f.ctx))
	stats, err := f.Stats(f.ctx)
	must(t, err)
	want(t, stats, repository.Stats{})
	for _, l := range listings() {
		got, err := l.keys(f, repository.Page{})
		wantCount(t, len(got), err, 0)
	}
}

func storeStats(t *testing.T, f *fixture) {
	a, b, alone := aClient("-a"), aClient("-b"), aClient("-alone")
	f.put(t, a, b, alone)
	grants := severalGrants(a, b)
	for _, g := range grants {
		f.put(t, g)
	}
	for _, token := range severalTokens(grants[0], grants[4]) {
		f.put(t, token)
	}
	live, consumed, revoked, expired := aCode("1", grants[0]), aCode("2", grants[0]), aCode("3", grants[0]), aCode("4", grants[4])
	consumed.ConsumedAt, revoked.RevokedAt, expired.ExpiresAt = start, start, start
	f.put(t, live, aCode("5", grants[4]), consumed, revoked, expired)
	f.wantStats(t, repository.Stats{
		Clients: 3, Grants: repository.Count{Total: 5, Live: 3}, AuthorizationCodes: repository.Count{Total: 5, Live: 2},
		AccessTokens: repository.Count{Total: 3, Live: 1}, RefreshTokens: repository.Count{Total: 3, Live: 2},
	})
	_, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ID: grants[4].ID}, domain.ByUser)
	must(t, err)
	f.clock.Advance(time.Hour)
	f.wantStats(t, repository.Stats{
		Clients: 3, Grants: repository.Count{Total: 5, Live: 2}, AuthorizationCodes: repository.Count{Total: 5},
		AccessTokens: repository.Count{Total: 3}, RefreshTokens: repository.Count{Total: 3, Live: 1},
	})
	must(t, f.Clients().Delete(f.ctx, a.ID))
	f.wantStats(t, repository.Stats{
		Clients: 2, Grants: repository.Count{Total: 3, Live: 1}, AuthorizationCodes: repository.Count{Total: 2},
		AccessTokens: repository.Count{Total: 1}, RefreshTokens: repository.Count{Total: 1},
	})
}

func (f *fixture) wantStats(t *testing.T, wanted repository.Stats) {
	t.Helper()
	got, err := f.Stats(f.ctx)
	must(t, err)
	want(t, got, wanted)
}

func storeClosed(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	must(t, f.Close())
	for i, call := range w.calls(f.Store) {
		if wantError(t, call(f.ctx), repository.ErrClosed); t.Failed() {
			t.Fatalf("in call %d", i)
		}
	}
	must(t, f.Close())
}

func storeClosedInside(t *testing.T, f *fixture) {
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
		wantError(t, f.Close(), repository.ErrInvalid)
		return put(f.ctx, tx, aClient(""))
	}))
	_, err := f.Clients().Get(f.ctx, aClient("").ID)
	must(t, err)
}

func storeNow(t *testing.T, f *fixture) {
	for range 2 {
		f.clock.Advance(time.Hour + time.Nanosecond)
		want(t, f.Store.Now(), domain.Microsecond(f.clock.Now()))
	}
	c := aClient("")
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
		before := tx.Now()
		f.clock.Advance(time.Hour)
		if err := tx.Clients().Create(f.ctx, c); err != nil {
			return err
		}
		stored, err := tx.Clients().Get(f.ctx, c.ID)
		want(t, tx.Now(), before)
		want(t, stored.CreatedAt, before)
		f.clock.Advance(-time.Hour)
		return err
	}))
}

func storeClock(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	began := f.clock.Now()
	for _, wrong := range []time.Time{
		{}, time.Unix(-1, 0), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		f.clock.Set(wrong)
		for i, call := range w.calls(f.Store) {
			if wantError(t, call(f.ctx), repository.ErrInvalid); t.Failed() {
				t.Fatalf("in call %d at %v", i, wrong)
			}
		}
		f.clock.Set(began)
		f.wantWorld(t, w)
	}
}

// storeClosesAfter checks that Close waits for a transaction under way, which goes on to its end.
func storeClosesAfter(t *testing.T, f *fixture) {
	var finished, before bool
	closed, calling := make(chan error, 1), make(chan struct{})
	err := f.InTx(f.ctx, func(tx repository.Repositories) error {
		go func() {
			close(calling)
			err := f.Close()
			before = finished
			closed <- err
		}()
		<-calling
		for range 100 {
			runtime.Gosched()
		}
		err := put(f.ctx, tx, aClient("-last"))
		finished = err == nil
		return err
	})
	must(t, err)
	must(t, <-closed)
	want(t, before, true)
}
