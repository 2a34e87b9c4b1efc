package gormrepo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/oauthstore/oauthstore/repository"
)

// outcome is how an attempt at a transaction, or at a read, has ended.
type outcome int

const (
	committed   outcome = iota // or read; there is no error
	rolledBack                 // nothing was done, and the error says why
	mayRunAgain                // nothing was done, and the same may succeed
	unconnected                // as mayRunAgain: no connection could be had
	unknown                    // the COMMIT was sent, and its answer was lost
)

// failed returns the outcome of an attempt that has failed with err before its COMMIT was sent.
func (c *common) failed(err error) (outcome, error) {
	if c.meaning(err).again {
		return mayRunAgain, err
	}
	return rolledBack, err
}

// The bounds of waiting until another attempt may succeed.
const (
	longestPatience = 10 * time.Second
	shortestWait    = 200 * time.Microsecond
	longestWait     = 20 * time.Millisecond
	longestRest     = 250 * time.Millisecond // for a server that takes no connection, which costs it more than a statement
)

// errPatience ends the waits of a call that has no deadline.
var errPatience = fmt.Errorf("%w: another call, process or program has not let go for %v", repository.ErrBusy, longestPatience)

// patience returns the context of the waits of a call: ctx if that has a deadline, else one that
// also ends longestPatience from now. It is made once, when the call arrives: however many calls
// wait before it, its waits end then. A statement runs with ctx, and may take longer.
func patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return ctx, func() {}
	}
	if end, arrived := ctx.Value(waitsUntil{}).(time.Time); arrived {
		return context.WithDeadlineCause(ctx, end, errPatience)
	}
	return context.WithTimeoutCause(ctx, longestPatience, errPatience)
}

// waitsUntil is the key of the time at which the waits of a call end that takes several transactions.
type waitsUntil struct{}

// arrived returns ctx for such a call, which arrives now.
func arrived(ctx context.Context) context.Context {
	return context.WithValue(ctx, waitsUntil{}, time.Now().Add(longestPatience))
}

// retry makes attempts until one ends otherwise than with mayRunAgain or unconnected, or waits ends,
// which is the patience of the call.
func (c *common) retry(waits context.Context, attempt func() (outcome, error)) (outcome, error) {
	for wait := shortestWait; ; wait *= 2 {
		if err := ended(waits); err != nil {
			return rolledBack, err
		}
		result, err := attempt()
		switch result {
		case mayRunAgain:
			wait = min(wait, longestWait)
		case unconnected:
			wait = min(max(wait, longestWait), longestRest)
		default:
			return result, err
		}
		timer := time.NewTimer(wait/2 + rand.N(wait)) //nolint:gosec // jitter is no secret
		select {
		case <-timer.C:
		case <-waits.Done():
			timer.Stop()
			return rolledBack, fmt.Errorf("%w: %w", ended(waits), c.withoutValues(err))
		}
	}
}
