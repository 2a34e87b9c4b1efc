package memoryrepo

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

var _ repository.Store = (*Store)(nil)

// Options are the settings of a Store. nil means the defaults.
type Options struct {
	// Now is the clock. It may run while the store is locked and must not use the store.
	// Default: time.Now.
	Now func() time.Time
}

// Store is a repository.Store in memory. Make one with New.
type Store struct {
	repo  repo
	clock func() time.Time

	// gate holds one value while a write, a transaction or Close is under way. Who holds it may read
	// the rows, and change them after change.
	gate chan struct{}

	// mu guards the rows against readers without the gate.
	mu       sync.RWMutex
	changing bool           // the holder of the gate has locked mu
	pending  chan struct{}  // guarded by mu; nil unless a transaction has written; closed when that ends
	delayed  sync.WaitGroup // readers that wait for pending
	closed   atomic.Bool
	inTx     atomic.Bool // a transaction is under way
}

// New returns an empty Store. Nothing runs in the background.
func New(opts *Options) *Store {
	s := &Store{clock: time.Now, gate: make(chan struct{}, 1)}
	if opts != nil && opts.Now != nil {
		s.clock = opts.Now
	}
	s.repo = repo{session: s, data: newData()}
	return s
}

// Clients returns the registered clients.
func (s *Store) Clients() repository.Clients { return clients{&s.repo} }

// Grants returns the grants.
func (s *Store) Grants() repository.Grants { return grants{&s.repo} }

// AuthorizationCodes returns the authorization codes.
func (s *Store) AuthorizationCodes() repository.AuthorizationCodes { return codes{&s.repo} }

// Tokens returns the access and refresh tokens.
func (s *Store) Tokens() repository.Tokens { return tokens{&s.repo} }

// Stats counts what is stored. It looks at each row.
func (s *Store) Stats(ctx context.Context) (_ repository.Stats, err error) {
	defer wrap("stats", &err)
	if err := s.beginRead(ctx); err != nil {
		return repository.Stats{}, err
	}
	defer s.endRead()
	return s.repo.stats(s.Now()), nil
}

// Ping returns nil until the store is closed.
func (s *Store) Ping(ctx context.Context) (err error) {
	defer wrap("ping", &err)
	return s.check(ctx)
}

// Close waits for the calls under way and forgets everything. Closing again is nil. Within fn of
// InTx it would wait for itself: it returns ErrInvalid and does nothing.
func (s *Store) Close() (err error) {
	defer wrap("close", &err)
	if s.inTx.Load() && calledByInTx() {
		return fmt.Errorf("%w: Close within InTx would wait for itself", repository.ErrInvalid)
	}
	s.gate <- struct{}{}
	defer func() { <-s.gate }()
	s.lock()
	defer s.mu.Unlock()
	s.closed.Store(true)
	*s.repo.data = *newData()
	return nil
}

// check says why a call cannot begin, if it cannot.
func (s *Store) check(ctx context.Context) error {
	if s.closed.Load() {
		return repository.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return repository.CheckNow(s.clock())
}

// Now reads the clock.
func (s *Store) Now() time.Time { return domain.Microsecond(s.clock()) }

func (s *Store) beginRead(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	s.mu.RLock()
	if s.pending != nil {
		if err := s.awaitPending(ctx); err != nil {
			return err
		}
	}
	if s.closed.Load() {
		s.mu.RUnlock()
		return repository.ErrClosed
	}
	return nil
}

// awaitPending is called with mu read-locked while a transaction has changes pending. It returns so
// too, when that has ended, or unlocked with the error of ctx.
func (s *Store) awaitPending(ctx context.Context) error {
	s.delayed.Add(1)
	defer s.delayed.Done()
	pending := s.pending
	s.mu.RUnlock()
	select {
	case <-pending:
		s.mu.RLock()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lock shuts readers out, after those that a transaction delayed have had their turn: transactions in
// quick succession do not starve them. The caller holds the gate.
func (s *Store) lock() {
	s.delayed.Wait()
	s.mu.Lock()
}

func (s *Store) endRead() { s.mu.RUnlock() }

func (s *Store) beginWrite(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	select {
	case s.gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.check(ctx); err != nil {
		<-s.gate
		return err
	}
	return nil
}

func (s *Store) change() {
	if !s.changing {
		s.lock()
		s.changing = true
	}
}

func (s *Store) endWrite() {
	if s.changing {
		s.changing = false
		s.mu.Unlock()
	}
	<-s.gate
}

// session is how a repository gets at the rows: through the Store, each call on its own, or through a
// transaction. The begin methods check first and hold nothing when they return an error.
type session interface {
	// check returns ErrClosed or the error of ctx: before the arguments are looked at.
	check(ctx context.Context) error
	// Now reads the clock. A call reads it once.
	Now() time.Time

	beginRead(ctx context.Context) error
	endRead()

	// beginWrite makes the caller the only one who may change rows; change, which may be called again,
	// comes before the first one, and shuts readers out.
	beginWrite(ctx context.Context) error
	change()
	endWrite()
}

// repo is what the four repositories share.
type repo struct {
	session
	*data
}

// wrap adds the package and the operation to the error at err, if there is one.
func wrap(operation string, err *error) { *err = wrapped(operation, *err) }

func wrapped(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("memoryrepo: %s: %w", operation, err)
}
