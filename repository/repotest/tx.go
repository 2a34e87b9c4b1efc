package repotest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func txChecks() []check {
	return []check{
		{"a transaction whose function returns nil is committed", txCommit},
		{"a transaction whose function fails is rolled back, every kind of write", txRollback},
		{"the function's error comes back unchanged", txErrorUnchanged},
		{"a panic rolls back and goes on", txPanic},
		{"a transaction sees its own work", txOwnWork},
		{"uncommitted work is not seen outside", txInvisible},
		{"a method that fails changes nothing and the transaction goes on", txGoesOn},
		{"a transaction reads the clock once", txClock},
		{"a transaction sees what was committed before it, and may see what is committed meanwhile", txSeesCommits},
		{"a row that a transaction has changed stays as it is until the end", txKeepsRows},
	}
}

var errRefused = errors.New("refused by the function")

// world is one of each, put by putWorld: what writeAll changes in every way that there is.
type world struct {
	client, spare domain.Client
	grant, fresh  domain.Grant
	ended         domain.Grant
	code, stale   domain.AuthorizationCode
	second        domain.AuthorizationCode
	access, dead  domain.Token
	refresh       domain.Token
}

func (f *fixture) putWorld(t *testing.T) world {
	t.Helper()
	var w world
	w.client, w.spare = stored(aClient("-client")), stored(aClient("-spare"))
	w.grant, w.fresh = stored(aGrant("-grant", w.client)), stored(aGrant("-fresh", w.client))
	w.ended = stored(aGrant("-ended", w.client))
	w.ended.ExpiresAt = start.Add(time.Second)
	w.code, w.stale = stored(aCode("code", w.grant)), stored(aCode("stale", w.grant))
	w.second = stored(aCode("second", w.grant))
	w.access, w.dead = stored(anAccess("access", w.grant)), stored(anAccess("dead", w.grant))
	w.refresh = stored(aRefresh("refresh", w.grant))
	w.stale.ExpiresAt, w.dead.ExpiresAt = start.Add(time.Second), start.Add(time.Second)
	f.put(t, w.client, w.spare, w.grant, w.fresh, w.ended, w.code, w.second, w.stale, w.access, w.dead, w.refresh)
	w.grant.LastUsedAt = start
	f.clock.Advance(time.Minute)
	return w
}

// wantWorld checks that nothing changed since putWorld, and nothing came.
func (f *fixture) wantWorld(t *testing.T, w world) {
	t.Helper()
	f.want(t, w.client, w.spare, w.grant, w.fresh, w.code, w.second, w.access, w.refresh)
	f.wantDead(t, w.ended, repository.ErrExpired)
	f.wantDead(t, w.stale, repository.ErrExpired)
	f.wantDead(t, w.dead, repository.ErrExpired)
	f.wantGone(t, w.arrivals()...)
}

// arrivals are what writes adds.
func (w world) arrivals() []any {
	return []any{
		aClient("-new"), aGrant("-new", w.client), aCode("new", w.grant), anAccess("new", w.fresh), aRefresh("next", w.grant),
		anAccess("redeemed", w.grant),
	}
}

// writes is every kind of write, in an order in which all succeed.
func (w world) writes() []func(ctx context.Context, r repository.Repositories) error {
	type repos = repository.Repositories
	counted := func(_ int, err error) error { return err }
	return []func(ctx context.Context, r repos) error{
		func(ctx context.Context, r repos) error { return put(ctx, r, w.arrivals()[:1]...) },
		func(ctx context.Context, r repos) error { return put(ctx, r, w.arrivals()[1]) },
		func(ctx context.Context, r repos) error { return put(ctx, r, w.arrivals()[2]) },
		func(ctx context.Context, r repos) error { return put(ctx, r, w.arrivals()[3]) },
		func(ctx context.Context, r repos) error {
			c := w.client
			c.Metadata.ClientName = canary
			_, err := r.Clients().Update(ctx, c)
			return err
		},
		func(ctx context.Context, r repos) error {
			_, err := r.AuthorizationCodes().Consume(ctx, w.code.Digest)
			return err
		},
		func(ctx context.Context, r repos) error {
			_, err := r.AuthorizationCodes().Redeem(ctx, w.second.Digest, anAccess("redeemed", w.grant))
			return err
		},
		func(ctx context.Context, r repos) error {
			_, err := r.Tokens().Rotate(ctx, w.refresh.Digest, aReplay(), aRefresh("next", w.grant))
			return err
		},
		func(ctx context.Context, r repos) error { return r.Tokens().Revoke(ctx, w.access.Digest) },
		func(ctx context.Context, r repos) error {
			return counted(r.AuthorizationCodes().DeleteExpired(ctx, 10))
		},
		func(ctx context.Context, r repos) error { return counted(r.Tokens().DeleteExpired(ctx, 10)) },
		func(ctx context.Context, r repos) error {
			return counted(r.Grants().DeleteEnded(ctx, start.Add(30*time.Second), 10))
		},
		func(ctx context.Context, r repos) error {
			return counted(r.Grants().Revoke(ctx, repository.GrantFilter{ID: w.grant.ID}, domain.ByUser))
		},
		func(ctx context.Context, r repos) error { return r.Clients().Delete(ctx, w.spare.ID) },
		func(ctx context.Context, r repos) error { return r.Clients().Delete(ctx, w.client.ID) },
	}
}

// writeAll does all of writes but the last one, which would hide the others.
func (w world) writeAll(ctx context.Context, r repository.Repositories) error {
	all := w.writes()
	for _, write := range all[:len(all)-1] {
		if err := write(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func txCommit(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error { return w.writeAll(f.ctx, tx) }))
	f.wantIs(t, nil, aClient("-new"), aGrant("-new", w.client), anAccess("new", w.fresh), w.client, w.fresh)
	f.wantIs(t, repository.ErrRevoked, w.grant, w.code, w.access, w.refresh, aRefresh("next", w.grant), aCode("new", w.grant),
		w.second, anAccess("redeemed", w.grant))
	f.wantGone(t, w.spare, w.stale, w.dead, w.ended)
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error { return nil }))
}

func txRollback(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	for i, write := range w.writes() {
		err := f.InTx(f.ctx, func(tx repository.Repositories) error {
			if err := write(f.ctx, tx); err != nil {
				return err
			}
			return errRefused
		})
		want(t, err, errRefused)
		if f.wantWorld(t, w); t.Failed() {
			t.Fatalf("after write %d was rolled back", i)
		}
	}
	err := f.InTx(f.ctx, func(tx repository.Repositories) error {
		return errors.Join(w.writeAll(f.ctx, tx), tx.Clients().Delete(f.ctx, w.client.ID), errRefused)
	})
	if !errors.Is(err, errRefused) || errors.Is(err, repository.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	f.wantWorld(t, w)
	stats, err := f.Stats(f.ctx)
	must(t, err)
	want(t, stats.Clients, int64(2))
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error { return w.writeAll(f.ctx, tx) }))
}

// severalErrors is of a type that cannot be compared, as packages have for what they find wrong with an input.
type severalErrors []error

func (e severalErrors) Error() string { return errors.Join(e...).Error() }

func txErrorUnchanged(t *testing.T, f *fixture) {
	for _, wanted := range []error{errRefused, repository.ErrNotFound, context.Canceled, repository.ErrClosed} {
		got := f.InTx(f.ctx, func(tx repository.Repositories) error { return wanted })
		if got != wanted {
			t.Errorf("InTx returned %v, want exactly %v", got, wanted)
		}
	}
	if got, ok := f.InTx(f.ctx, func(repository.Repositories) error { return severalErrors{errRefused} }).(severalErrors); !ok || len(got) != 1 {
		t.Error("InTx does not return an error of a type that cannot be compared as it is")
	}
	var inside error
	got := f.InTx(f.ctx, func(tx repository.Repositories) error {
		_, inside = tx.Clients().Get(f.ctx, canary+"-nobody")
		return inside
	})
	if got != inside {
		t.Errorf("InTx returned %v, want exactly %v", got, inside)
	}
	wantError(t, got, repository.ErrNotFound)
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	got = f.InTx(ctx, func(tx repository.Repositories) error {
		cancel()
		return inside
	})
	if got != inside {
		t.Errorf("InTx whose ctx has ended returned %v, want exactly %v", got, inside)
	}
}

func txPanic(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	thrown := func() (v any) {
		defer func() { v = recover() }()
		_ = f.InTx(f.ctx, func(tx repository.Repositories) error {
			if err := w.writeAll(f.ctx, tx); err != nil {
				return err
			}
			panic(errRefused)
		})
		return nil
	}()
	if thrown != errRefused {
		t.Errorf("InTx went on with panic %v, want %v", thrown, errRefused)
	}
	f.wantWorld(t, w)
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error { return w.writeAll(f.ctx, tx) }))
}

func txOwnWork(t *testing.T, f *fixture) {
	c := aClient("-client")
	g := aGrant("-grant", c)
	var clients []domain.Client
	var grants []domain.Grant
	var tokens []domain.Token
	var code domain.AuthorizationCode
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) (err error) {
		if err = put(f.ctx, tx, c, g, aCode("code", g), anAccess("token", g)); err != nil {
			return err
		}
		clients, err = tx.Clients().List(f.ctx, repository.Page{})
		if err != nil {
			return err
		}
		if grants, err = tx.Grants().List(f.ctx, repository.GrantFilter{}, repository.Page{}); err != nil {
			return err
		}
		if tokens, err = tx.Tokens().List(f.ctx, repository.TokenFilter{}, repository.Page{}); err != nil {
			return err
		}
		code, err = tx.AuthorizationCodes().Consume(f.ctx, domain.DigestOf("code"))
		return err
	}))
	used, redeemed := stored(g), stored(aCode("code", g))
	used.LastUsedAt, redeemed.ConsumedAt = start, start
	wantList(t, clients, []domain.Client{stored(c)})
	wantList(t, grants, []domain.Grant{used})
	wantList(t, tokens, []domain.Token{stored(anAccess("token", g))})
	want(t, code, redeemed)
}

// beside calls fn, which writes, from another goroutine, and returns its error: that of an ended
// context if it waits for the transaction under way.
func (f *fixture) beside(fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(f.ctx, 250*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	return <-done
}

// txSeesCommits looks at a list in a transaction, has another call add to it, and looks again. The
// other call may commit at once, or wait for the transaction; what it has committed may be seen, or
// not yet, as on another node of a cluster. Whoever has looked may rely on neither.
func txSeesCommits(t *testing.T, f *fixture) {
	c, _ := f.family(t)
	var before, after []domain.Grant
	var beside error
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) (err error) {
		filter := repository.GrantFilter{ClientID: c.ID}
		if before, err = tx.Grants().List(f.ctx, filter, repository.Page{}); err != nil {
			return err
		}
		id := "-" + domain.NewID() // the function may run again
		beside = f.beside(func(ctx context.Context) error { return f.Grants().Create(ctx, aGrant(id, c)) })
		after, err = tx.Grants().List(f.ctx, filter, repository.Page{})
		return err
	}))
	switch {
	case len(before) == 0:
		t.Error("the grant of before is not seen")
	case beside == nil && len(after) != len(before) && len(after) != len(before)+1:
		t.Errorf("%d grants are listed after another was committed beside %d", len(after), len(before))
	case beside != nil && len(after) != len(before):
		t.Errorf("%d grants are listed beside %d, and the other call says %v", len(after), len(before), beside)
	case beside != nil && !errors.Is(beside, context.DeadlineExceeded):
		t.Errorf("the other call says %v", beside)
	}
}

// txKeepsRows has another call update the client that a transaction has updated, and consume the code
// that it has consumed. Where that gets in first, the function runs again, and the transaction is the
// one that finds the code consumed.
func txKeepsRows(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	var others, consumed int // that succeeded, of the other calls
	var errConsume error
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
		c, err := tx.Clients().Get(f.ctx, w.client.ID)
		if err != nil {
			return err
		}
		if c, err = tx.Clients().Update(f.ctx, c); err != nil {
			return err
		}
		if _, errConsume = tx.AuthorizationCodes().Consume(f.ctx, w.code.Digest); errConsume != nil && !errors.Is(errConsume, repository.ErrConsumed) {
			return errConsume
		}
		if f.beside(func(ctx context.Context) error { _, err := f.Clients().Update(ctx, w.client); return err }) == nil {
			others++
		}
		if f.beside(func(ctx context.Context) error {
			_, err := f.AuthorizationCodes().Consume(ctx, w.code.Digest)
			return err
		}) == nil {
			consumed++
		}
		again, err := tx.Clients().Get(f.ctx, w.client.ID)
		if err == nil && again.Version != c.Version {
			t.Errorf("the client has version %d, and the transaction has written %d", again.Version, c.Version)
		}
		return err
	}))
	if errConsume == nil {
		consumed++
	}
	want(t, consumed, 1)
	c, err := f.Clients().Get(f.ctx, w.client.ID)
	must(t, err)
	want(t, c.Version, w.client.Version+1+int64(others))
}

func txGoesOn(t *testing.T, f *fixture) {
	c, g := f.family(t)
	old, taken, fresh := aRefresh("old", g), anAccess("taken", g), anAccess("fresh", g)
	f.put(t, old, taken)
	f.clock.Advance(time.Minute)
	var errs [6]error
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
		errs[0] = tx.Tokens().Create(f.ctx, fresh, taken)
		_, errs[1] = tx.Tokens().Rotate(f.ctx, old.Digest, aReplay(), fresh, taken)
		errs[2] = tx.Clients().Create(f.ctx, c)
		errs[3] = tx.Grants().Create(f.ctx, aGrant("-orphan", aClient("-nobody")))
		errs[4] = tx.AuthorizationCodes().Create(f.ctx, aCode("orphan", aGrant("-nothing", c)))
		_, errs[5] = tx.AuthorizationCodes().Consume(f.ctx, domain.DigestOf("nothing"))
		return put(f.ctx, tx, aClient("-other"))
	}))
	for i, sentinel := range []error{
		repository.ErrAlreadyExists, repository.ErrAlreadyExists, repository.ErrAlreadyExists,
		repository.ErrNotFound, repository.ErrNotFound, repository.ErrNotFound,
	} {
		wantError(t, errs[i], sentinel)
	}
	g = stored(g)
	g.LastUsedAt = start
	f.want(t, stored(c), g, stored(old), stored(taken))
	f.wantIs(t, nil, aClient("-other"))
	f.wantGone(t, fresh, aGrant("-orphan", c), aCode("orphan", g))
}

func txClock(t *testing.T, f *fixture) {
	a, b := aClient("-a"), aClient("-b")
	g := aGrant("-grant", a)
	g.ExpiresAt = start.Add(time.Minute)
	code, token := aCode("code", g), anAccess("token", g)
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
		f.clock.Set(start)
		if err := put(f.ctx, tx, a); err != nil {
			return err
		}
		f.clock.Set(start.Add(24 * time.Hour))
		if err := put(f.ctx, tx, b, g, code, token); err != nil {
			return err
		}
		_, err := tx.AuthorizationCodes().Consume(f.ctx, code.Digest)
		return err
	}))
	f.want(t, stored(a), stored(b))
	f.clock.Set(start)
	code.ConsumedAt = start
	g.LastUsedAt = start
	f.want(t, stored(g), stored(token))
	f.wantDead(t, stored(code), repository.ErrConsumed)
}
