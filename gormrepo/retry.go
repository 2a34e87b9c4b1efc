package gormrepo

import (
	"context"
	"math/rand/v2"
	"time"
)

// outcome is how an attempt at a transaction, or at a read, has ended.
type outcome int

const (
	committed   outcome = iota // or read; there is no error
	rolledBack                 // nothing was done, and the error says why
	mayRunAgain                // nothing was done, and the same may succeed
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
	busyTimeout  = 10 * time.Second
	shortestWait = 200 * time.Microsecond
	longestWait  = 20 * time.Millisecond
)

// retry makes attempts until one ends otherwise than with mayRunAgain, ctx ends, or busyTimeout is
// over.
func retry(ctx context.Context, attempt func() (outcome, error)) (outcome, error) {
	deadline := time.Now().Add(busyTimeout)
	for wait := shortestWait; ; wait = min(2*wait, longestWait) {
		if err := ended(ctx); err != nil {
			return rolledBack, err
		}
		result, err := attempt()
		if result != mayRunAgain || time.Now().After(deadline) {
			return result, err
		}
		timer := time.NewTimer(wait/2 + rand.N(wait)) //nolint:gosec // jitter is no secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return rolledBack, ended(ctx)
		}
	}
}
