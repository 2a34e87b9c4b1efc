package integration_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/oauthstore/oauthstore/repository"
)

// crew is sixteen writers on one store. Each takes families of its own through their lives, looks
// at what it has done, and goes on when a call is refused.
type crew [16]writer

type writer struct {
	first   int // its families begin with this one
	events  []event
	refused []error
}

// looks are the calls that look at what a call has done.
var looks = map[string]string{
	opCreate: opGetCode, opConsume: opGetCode, opIssue: opGetToken, opRotate: opGetToken, opRevokeGrant: opGetGrant,
}

func newCrew() *crew {
	var c crew
	for i := range c {
		c[i].first = i * ownFamilies
	}
	return &c
}

// call makes the next call. If it is refused, nothing was done: isKept holds the store to that.
func (w *writer) call(ctx context.Context, store repository.Store) {
	n := len(w.events)
	e := nextCall(n / 2)
	if n%2 == 1 {
		e.Op = looks[e.Op]
	}
	e.Family += w.first
	e.Began = clock()
	result, err := e.run(ctx, store)
	switch {
	case errors.Is(err, repository.ErrUnknownOutcome): // it was done, or it was not
	case err != nil:
		w.refused = append(w.refused, err)
		e.Result, e.Ended = failed, clock()
	default:
		e.Result, e.Ended = result, clock()
	}
	w.events = append(w.events, e)
}

// each lets the writers work, all at once, and returns what was refused meanwhile.
func (c *crew) each(do func(w *writer)) []error {
	var refused []error
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range c {
		all.Go(func() {
			w, before := &c[i], len(c[i].refused)
			do(w)
			mu.Lock()
			defer mu.Unlock()
			refused = append(refused, w.refused[before:]...)
		})
	}
	all.Wait()
	return refused
}

// succeeds lets each writer make n calls, of which none may be refused.
func (c *crew) succeeds(t *testing.T, store repository.Store, n int, when string) {
	t.Helper()
	refused := c.each(func(w *writer) {
		for range n {
			w.call(t.Context(), store)
		}
	})
	if len(refused) > 0 {
		t.Errorf("%s: %d calls were refused, for example: %v", when, len(refused), refused[0])
	}
}

// fails lets each writer work until n of its calls are refused, and returns the errors.
func (c *crew) fails(t *testing.T, store repository.Store, n int) []error {
	t.Helper()
	const enough = 2000
	return c.each(func(w *writer) {
		before := len(w.refused)
		for calls := 0; len(w.refused) < before+n; calls++ {
			if calls == enough {
				t.Errorf("of %d calls, %d were refused", calls, len(w.refused)-before)
				return
			}
			w.call(t.Context(), store)
		}
	})
}

// isKept looks, with a store that it opens, whether the database at path holds all that was
// acknowledged and nothing that was refused, and returns how many writes were.
func (c *crew) isKept(t *testing.T, d sqliteDriver, path string) (acknowledged, refused int) {
	t.Helper()
	var events []event
	for i := range c {
		events = append(events, c[i].events...)
		refused += len(c[i].refused)
	}
	for _, op := range []string{opCreate, opConsume, opIssue, opRotate, opRevokeGrant} {
		acknowledged += count(events, op, done)
	}
	isLinearizable(t, withDatabase(t, d.backend(), path, events))
	isIntact(t, d, path)
	return acknowledged, refused
}
