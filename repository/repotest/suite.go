package repotest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/repository"
)

// Options is what the suite wants of the store that it asks for.
type Options struct {
	Now func() time.Time // the clock of the store; safe for concurrent use; the suite moves it
}

// Run runs the whole suite. It asks newStore for a fresh, empty store in each subtest, and closes it. Where that does not
// give new stores with the clock of opt, it says so and does no more.
func Run(t *testing.T, newStore func(t *testing.T, opt Options) repository.Store) {
	t.Helper()
	if !t.Run("newStore", func(t *testing.T) { isFit(t, newStore) }) {
		return // every check would fail
	}
	for _, subject := range subjects() {
		t.Run(subject.name, func(t *testing.T) {
			for _, c := range subject.checks {
				t.Run(c.sentence, func(t *testing.T) { c.run(t, open(t, newStore)) })
			}
		})
	}
}

// isFit checks that newStore does what it is asked for: each time a new store, with the clock of opt.
func isFit(t *testing.T, newStore func(t *testing.T, opt Options) repository.Store) {
	for _, sentence := range []string{"returns a store that reads opt.Now", "returns another one, which is empty, each time"} {
		fit := t.Run(sentence, func(t *testing.T) {
			f := open(t, newStore)
			switch err := f.Clients().Create(f.ctx, aClient("")); {
			case errors.Is(err, repository.ErrClosed), errors.Is(err, repository.ErrAlreadyExists):
				t.Fatalf("newStore has returned one that was used before: %v", err)
			case err != nil:
				t.Fatal(err)
			}
			c, err := f.Clients().Get(f.ctx, aClient("").ID)
			must(t, err)
			if away := c.CreatedAt.Sub(start).Abs(); away > 24*time.Hour {
				t.Fatalf("a client was created at %v, and opt.Now says %v", c.CreatedAt, start)
			}
		})
		if !fit {
			return
		}
	}
}

// subject is what the checks of one file are about.
type subject struct {
	name   string
	checks []check
}

type check struct {
	sentence string
	run      func(t *testing.T, f *fixture)
}

func subjects() []subject {
	return []subject{
		{"clients", clientChecks()},
		{"grants", grantChecks()},
		{"revocation", revocationChecks()},
		{"codes", codeChecks()},
		{"redemption", redemptionChecks()},
		{"tokens", tokenChecks()},
		{"rotation", rotationChecks()},
		{"round trips", roundTripChecks()},
		{"values", aliasChecks()},
		{"errors", errorChecks()},
		{"limits", limitChecks()},
		{"pages", pageChecks()},
		{"transactions", txChecks()},
		{"contexts", contextChecks()},
		{"cleanup", cleanupChecks()},
		{"store", storeChecks()},
		{"races", raceChecks()},
		{"flow", flowChecks()},
	}
}

// patience is how long a subtest may take before its ctx ends: a store that hangs fails by name.
const patience = time.Minute

// fixture is an empty store, the clock that it reads, and a ctx for its calls.
type fixture struct {
	repository.Store
	clock *clock
	ctx   context.Context
}

func open(t *testing.T, newStore func(t *testing.T, opt Options) repository.Store) *fixture {
	t.Helper()
	c := &clock{now: start}
	store := newStore(t, Options{Now: c.Now})
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &fixture{Store: store, clock: c, ctx: ctx}
}

// start is where every clock stands at first: an instant with all six digits of its microseconds.
var start = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)

// instant is the smallest step of a store's time.
const instant = time.Microsecond

// clock is moved by the suite and read by the store.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// together calls fn(0) to fn(n-1), each in a goroutine of its own, all let go at once, and waits.
func together(n int, fn func(i int)) {
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-gate
			fn(i)
		})
	}
	close(gate)
	wg.Wait()
}
