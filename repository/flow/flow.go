package flow

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/repository"
)

// DefaultGrace is how long a rotated refresh token gets its answer again where Options do not say.
const DefaultGrace = 2 * time.Minute

// Options sets up a Flow. nil means the defaults, and the zero value of a field means its default.
type Options struct {
	// Grace is how long after a rotation the old refresh token gets the same answer again. 0:
	// DefaultGrace. Negative: not at all, and a second presentation is reuse at once.
	Grace time.Duration

	// NoRotation keeps the refresh token on each Refresh and adds access tokens alone, for clients
	// that never save a new one. Public clients should rotate (RFC 9700 §4.14.2). Default: rotate.
	NoRotation bool
}

// Flow runs the steps over one store, by the clock of that store. It has no state of its own: any
// number of processes that share the store may run one, and all methods may be called concurrently.
type Flow struct {
	store      repository.Store
	grace      time.Duration
	noRotation bool
}

// New returns a Flow over store, which stays the caller's to close.
func New(store repository.Store, opts *Options) *Flow {
	if opts == nil {
		opts = &Options{}
	}
	return &Flow{store: store, grace: cmp.Or(opts.Grace, DefaultGrace), noRotation: opts.NoRotation}
}

// refusal marks an error of Check or Issue, to be told from those of the store.
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
