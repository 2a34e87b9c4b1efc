package cleanup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/oauthstore/oauthstore/repository"
)

// The defaults of Options.
const (
	DefaultInterval  = 5 * time.Minute
	DefaultBatch     = 10_000
	DefaultRetention = 30 * 24 * time.Hour
)

// Options sets up Run and Start. nil means all defaults.
type Options struct {
	// Interval is the time between two passes of Start. Each is up to a tenth shorter or longer, so
	// that instances do not fall in step. Default, also for a negative one: DefaultInterval.
	Interval time.Duration

	// Batch is how many entities one call of the store removes at most. gormrepo removes up to 100 in
	// one transaction, but searches once a call: a large batch reads the old grants less often.
	// Default: DefaultBatch.
	Batch int

	// Retention is how long a grant is kept after it has ended, and how long one is kept that nobody uses: without a live
	// code or token, and none stored for that time. Default: DefaultRetention; negative is not at all.
	Retention time.Duration

	// Logger gets the counts of Start's passes, at level Info, or Debug if there was nothing to remove,
	// and errors at level Warn. Default: slog.Default().
	Logger *slog.Logger
}

// Result counts what was removed.
type Result struct {
	AuthorizationCodes int
	Tokens             int // and replays that were erased
	Grants             int
}

// Run does one full pass: it removes expired codes and tokens, erases replays whose time has passed, and
// removes ended and unused grants, in batches of a minute at most, until it finds nothing more; on a database server it leaves to the next pass
// what somebody else is working on. ctx ends it between batches too. An error
// with one kind of entity does not keep it from the others; the Result counts what was removed.
func Run(ctx context.Context, store repository.Store, opts *Options) (Result, error) {
	return run(ctx, store, withDefaults(opts))
}

func run(ctx context.Context, store repository.Store, o Options) (Result, error) {
	var r Result
	before := store.Now().Add(-max(o.Retention, 0))
	err := errors.Join(
		drain(ctx, "authorization codes", &r.AuthorizationCodes, func(ctx context.Context) (int, error) {
			return store.AuthorizationCodes().DeleteExpired(ctx, o.Batch)
		}),
		drain(ctx, "tokens", &r.Tokens, func(ctx context.Context) (int, error) {
			return store.Tokens().DeleteExpired(ctx, o.Batch)
		}),
		drain(ctx, "grants", &r.Grants, func(ctx context.Context) (int, error) {
			return store.Grants().DeleteEnded(ctx, before, o.Batch)
		}),
	)
	return r, err
}

// batchTime is how long a batch may take. A message that a network has swallowed would end the
// cleanup otherwise.
const batchTime = time.Minute

var errBatchTime = fmt.Errorf("a batch took longer than %v: %w", batchTime, context.DeadlineExceeded)

// drain calls batch until it removes nothing, and counts what it removed.
func drain(ctx context.Context, what string, count *int, batch func(ctx context.Context) (int, error)) error {
	inTime := func() (int, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, batchTime, errBatchTime)
		defer cancel()
		return batch(ctx)
	}
	for {
		n, err := 0, ctx.Err()
		if err == nil {
			n, err = inTime()
		}
		*count += max(n, 0)
		if err != nil {
			return fmt.Errorf("cleanup: remove %s: %w", what, err)
		}
		if n <= 0 {
			return nil
		}
	}
}

// Cleaner is a cleanup in the background.
type Cleaner struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// Start begins a goroutine that does a pass at once and another after each Interval. An error is logged and
// does not end it; it ends with Stop, and by itself once the store is closed. Stop it before closing.
func Start(store repository.Store, opts *Options) *Cleaner {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Cleaner{cancel: cancel, done: make(chan struct{})}
	o := withDefaults(opts)
	go func() {
		defer close(c.done)
		defer cancel()
		loop(ctx, store, o)
	}()
	return c
}

// Stop cancels the pass under way and waits until the goroutine has ended. It may be called again.
func (c *Cleaner) Stop() {
	c.cancel()
	<-c.done
}

func loop(ctx context.Context, store repository.Store, o Options) {
	for {
		result, err := run(ctx, store, o)
		if ctx.Err() != nil {
			return
		}
		report(ctx, o.Logger, result, err)
		if errors.Is(err, repository.ErrClosed) || !wait(ctx, jittered(o.Interval)) {
			return
		}
	}
}

func report(ctx context.Context, log *slog.Logger, r Result, err error) {
	if err != nil {
		log.WarnContext(ctx, "oauthstore: cleanup failed", "error", err)
	}
	level := slog.LevelInfo
	if r == (Result{}) {
		level = slog.LevelDebug
	}
	log.Log(ctx, level, "oauthstore: cleanup",
		"authorization_codes", r.AuthorizationCodes, "tokens", r.Tokens, "grants", r.Grants)
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jittered returns d, up to a tenth shorter or longer.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // jitter is no secret
}

func withDefaults(opts *Options) Options {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	if o.Batch <= 0 {
		o.Batch = DefaultBatch
	}
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}
