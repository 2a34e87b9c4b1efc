package memoryrepo

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore/repository"
)

// InTx runs fn once, alone: other writes wait, and reads do from the first write of fn on. Should ctx
// have ended when fn returns nil, the transaction rolls back and the error of ctx comes back. What
// fn got returns ErrClosed once InTx is over.
func (s *Store) InTx(ctx context.Context, fn func(tx repository.Repositories) error) error {
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	commit := false
	defer func() { t.end(commit) }() // after a panic or runtime.Goexit in fn too
	t.start()
	if err := fn(t); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		wrap("commit transaction", &err)
		return err
	}
	commit = true
	return nil
}

func (s *Store) begin(ctx context.Context) (_ *tx, err error) {
	defer wrap("begin transaction", &err)
	if err := s.beginWrite(ctx); err != nil {
		return nil, err
	}
	t := &tx{store: s}
	t.repo = repo{session: t, data: s.repo.data}
	return t, nil
}

// tx is a transaction: a session that holds the gate of the store from begin to end.
type tx struct {
	repo  repo
	store *Store
	at    time.Time

	mu    sync.Mutex    // held during each call, so that a stray one cannot meet end
	wrote chan struct{} // the store's pending, once the transaction has written
	ended bool
}

func (t *tx) Now() time.Time                                    { return t.at }
func (t *tx) Clients() repository.Clients                       { return clients{&t.repo} }
func (t *tx) Grants() repository.Grants                         { return grants{&t.repo} }
func (t *tx) AuthorizationCodes() repository.AuthorizationCodes { return codes{&t.repo} }
func (t *tx) Tokens() repository.Tokens                         { return tokens{&t.repo} }

// start reads the clock and begins to remember changes.
func (t *tx) start() {
	t.store.inTx.Store(true)
	t.at = t.store.Now()
	t.repo.remember = true
}

// end commits or rolls back, and lets the others go on.
func (t *tx) end(commit bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.repo.settle(commit)
	if t.wrote != nil {
		t.store.mu.Lock()
		t.store.pending = nil
		t.store.mu.Unlock()
		close(t.wrote)
	}
	t.store.inTx.Store(false)
	<-t.store.gate
}

// calledByInTx reports whether InTx, of this Store or another one, is among the callers.
func calledByInTx() bool {
	callers := make([]uintptr, 1000)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "/memoryrepo.(*Store).InTx") {
			return true
		}
		if !more {
			return false
		}
	}
}

func (t *tx) check(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.alive(ctx)
}

func (t *tx) alive(ctx context.Context) error {
	if t.ended {
		return repository.ErrClosed
	}
	return ctx.Err()
}

func (t *tx) beginRead(ctx context.Context) error {
	t.mu.Lock()
	if err := t.alive(ctx); err != nil {
		t.mu.Unlock()
		return err
	}
	return nil
}

func (t *tx) endRead() { t.mu.Unlock() }

func (t *tx) beginWrite(ctx context.Context) error { return t.beginRead(ctx) }

func (t *tx) change() {
	if t.wrote != nil {
		return
	}
	t.wrote = make(chan struct{})
	t.store.lock()
	t.store.pending = t.wrote
	t.store.mu.Unlock()
}

func (t *tx) endWrite() { t.mu.Unlock() }
