package flow

import (
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/repository"
)

// DefaultGrace is the grace period of New without options.
const DefaultGrace = 2 * time.Minute

// Options sets up a Flow. With nil, Grace is DefaultGrace; in an Options, it is what it says.
type Options struct {
	// Now is the clock, the same one as the store's. Default: time.Now.
	Now func() time.Time

	// Grace is how long after a rotation the old refresh token gets the same answer again. The zero
	// value is strict: a second presentation is reuse at once. Most servers want DefaultGrace.
	Grace time.Duration

	// NoRotation keeps the refresh token on each Refresh and adds access tokens alone, for clients
	// that never save a new one. Public clients should rotate (RFC 9700 §4.14.2). Default: rotate.
	NoRotation bool
}

// Flow runs the steps over one store. It has no state of its own: any number of processes that
// share the store may run one, and all methods may be called concurrently.
type Flow struct {
	store      repository.Store
	now        func() time.Time
	grace      time.Duration
	noRotation bool
}

// New returns a Flow over store, which stays the caller's to close.
func New(store repository.Store, opts *Options) *Flow {
	if opts == nil {
		opts = &Options{Grace: DefaultGrace}
	}
	f := &Flow{store: store, now: opts.Now, grace: opts.Grace, noRotation: opts.NoRotation}
	if f.now == nil {
		f.now = time.Now
	}
	return f
}

// refusal carries an error of Check or Issue through InTx, to be told from those of the store.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// failed returns the error of an operation: a refusal unchanged, any other wrapped, nil as nil.
func failed(operation string, err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.err
	}
	return fmt.Errorf("flow: %s: %w", operation, err)
}

// found reports whether err came with an entity: nil, or the reason why that is not live.
func found(err error) bool {
	return err == nil || repository.IsInactive(err) && !errors.Is(err, repository.ErrNotFound)
}

func invalid(problem string) error { return fmt.Errorf("%w: %s", repository.ErrInvalid, problem) }
