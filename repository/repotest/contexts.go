package repotest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func contextChecks() []check {
	return []check{
		{"a ctx that has ended ends every method, and nothing is written", ctxEnded},
		{"a ctx that ends inside a transaction ends its methods and rolls back", ctxEndsInside},
		{"a ctx that ends before the commit leaves all or nothing, as the error says", ctxEndsBeforeCommit},
		{"a method whose ctx has ended changes nothing and the transaction goes on", ctxOfMethod},
		{"a writer that waits for a transaction ends with its ctx, and has written nothing", ctxWaiting},
	}
}

// brief is long enough for any call that does not wait, and what a call that must wait is given.
const brief = 50 * time.Millisecond

// reads is every method that changes nothing, on things that exist.
func (w world) reads() []func(ctx context.Context, r repository.Repositories) error {
	type repos = repository.Repositories
	return []func(ctx context.Context, r repos) error{
		func(ctx context.Context, r repos) error { _, err := r.Clients().Get(ctx, w.client.ID); return err },
		func(ctx context.Context, r repos) error { _, err := r.Grants().Get(ctx, w.grant.ID); return err },
		func(ctx context.Context, r repos) error {
			_, err := r.AuthorizationCodes().Get(ctx, w.code.Digest)
			return err
		},
		func(ctx context.Context, r repos) error { _, err := r.Tokens().Get(ctx, w.access.Digest); return err },
		func(ctx context.Context, r repos) error {
			_, err := r.Clients().List(ctx, repository.Page{})
			return err
		},
		func(ctx context.Context, r repos) error {
			_, err := r.Grants().List(ctx, repository.GrantFilter{}, repository.Page{})
			return err
		},
		func(ctx context.Context, r repos) error {
			_, err := r.Tokens().List(ctx, repository.TokenFilter{}, repository.Page{})
			return err
		},
	}
}

// calls is every method of store that takes a ctx.
func (w world) calls(store repository.Store) []func(ctx context.Context) error {
	var out []func(ctx context.Context) error
	for _, call := range append(w.reads(), w.writes()...) {
		out = append(out, func(ctx context.Context) error { return call(ctx, store) })
	}
	return append(out,
		store.Ping,
		func(ctx context.Context) error { _, err := store.Stats(ctx); return err },
		func(ctx context.Context) error {
			return store.InTx(ctx, func(tx repository.Repositories) error { return w.writeAll(ctx, tx) })
		},
		func(ctx context.Context) error {
			return store.InTx(ctx, func(tx repository.Repositories) error { return nil })
		},
	)
}

func ctxEnded(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	late, cancel := context.WithDeadline(f.ctx, time.Now().Add(-time.Second))
	defer cancel()
	for i, call := range w.calls(f.Store) {
		for ctx, wanted := range map[context.Context]error{ended: context.Canceled, late: context.DeadlineExceeded} {
			err := call(ctx)
			if !errors.Is(err, wanted) {
				t.Fatalf("call %d with an ended ctx returned %v, want %v in its chain", i, err, wanted)
			}
			wantDiscreet(t, err)
		}
	}
	f.wantWorld(t, w)
}

func ctxEndsInside(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	var inside error
	err := f.InTx(ctx, func(tx repository.Repositories) error {
		if err := w.writeAll(ctx, tx); err != nil {
			return err
		}
		cancel()
		inside = tx.Clients().Create(ctx, aClient("-late"))
		return inside
	})
	if !errors.Is(inside, context.Canceled) || err != inside {
		t.Errorf("InTx returned %v and the method inside %v, want both the same, with context.Canceled", err, inside)
	}
	f.wantWorld(t, w)
	f.wantGone(t, aClient("-late"))
}

func ctxEndsBeforeCommit(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	err := f.InTx(ctx, func(tx repository.Repositories) error {
		if err := w.writeAll(ctx, tx); err != nil {
			return err
		}
		cancel()
		return nil
	})
	if err == nil {
		f.wantIs(t, repository.ErrRevoked, w.grant, w.refresh)
		return
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("InTx returned %v, want nil or context.Canceled in its chain", err)
	}
	f.wantWorld(t, w)
}

func ctxOfMethod(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	var inside []error
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
		inside = nil
		for _, call := range append(w.reads(), w.writes()...) {
			inside = append(inside, call(ended, tx))
		}
		return put(f.ctx, tx, aClient("-other"))
	}))
	for i, err := range inside {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d returned %v, want context.Canceled in its chain", i, err)
		}
	}
	f.wantWorld(t, w)
	f.wantIs(t, nil, aClient("-other"))
}

// during calls fn while a transaction, that has done write, waits to be committed, and returns what came of it.
func (f *fixture) during(write func(tx repository.Repositories) error, fn func()) error {
	var once sync.Once
	written, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		err := f.InTx(f.ctx, func(tx repository.Repositories) error {
			if err := write(tx); err != nil {
				return err
			}
			once.Do(func() { close(written) })
			<-release
			return nil
		})
		once.Do(func() { close(written) })
		done <- err
	}()
	<-written
	fn()
	close(release)
	return <-done
}

// briefly calls fn with a ctx that ends soon.
func (f *fixture) briefly(fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(f.ctx, brief)
	defer cancel()
	return fn(ctx)
}

// ctxWaiting lets writers meet a transaction that has revoked their grant. A store with locks lets them wait for it; one
// that finds conflicts as it commits, on several nodes, may let them go first, and the transaction follow.
func ctxWaiting(t *testing.T, f *fixture) {
	_, g := f.family(t)
	f.put(t, aCode("code", g), aRefresh("old", g))
	late := []domain.Token{anAccess("late0", g), aRefresh("late1", g), anAccess("late2", g)}
	var errs []error
	revoke := func(tx repository.Repositories) error {
		_, err := tx.Grants().Revoke(f.ctx, repository.GrantFilter{ID: g.ID}, domain.ByUser)
		return err
	}
	must(t, f.during(revoke, func() {
		errs = []error{
			f.briefly(func(ctx context.Context) error { return f.Tokens().Create(ctx, late[0]) }),
			f.briefly(func(ctx context.Context) error {
				_, err := f.Tokens().Rotate(ctx, domain.DigestOf("old"), aReplay(), late[1])
				return err
			}),
			f.briefly(func(ctx context.Context) error {
				return f.InTx(ctx, func(tx repository.Repositories) error { return tx.Tokens().Create(ctx, late[2]) })
			}),
		}
	}))
	for i, err := range errs {
		switch {
		case err == nil:
			f.wantIs(t, repository.ErrRevoked, late[i])
		case errors.Is(err, context.DeadlineExceeded):
			f.wantGone(t, late[i])
		default:
			t.Errorf("waiting writer %d returned %v, want context.DeadlineExceeded in its chain", i, err)
		}
	}
	f.wantIs(t, repository.ErrRevoked, aRefresh("old", g), g)
}

func txInvisible(t *testing.T, f *fixture) {
	w := f.putWorld(t)
	var errs []error
	must(t, f.during(func(tx repository.Repositories) error { return w.writeAll(f.ctx, tx) }, func() {
		for _, entity := range append(w.arrivals(), w.grant, w.code) {
			errs = append(errs, f.briefly(func(ctx context.Context) error {
				g := *f
				g.ctx = ctx
				_, err := g.get(entity)
				return err
			}))
		}
	}))
	for i, err := range errs {
		if errors.Is(err, context.DeadlineExceeded) {
			continue // a store may let readers wait
		}
		if arrival := i < len(w.arrivals()); arrival {
			wantError(t, err, repository.ErrNotFound)
		} else if err != nil {
			t.Errorf("entity %d: %v, want as it was before the transaction", i, err)
		}
	}
}
