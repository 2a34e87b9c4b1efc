package gormrepo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/oauthstore/oauthstore/repository"
)

// groupCommit lets several writes to SQLite share one commit. Each commit waits for the disk; calls
// that arrive during that wait all go into the next commit, instead of one commit each.
//
// A call that finds no other call writing leads. It begins a transaction, runs its own writes, runs
// the calls that wait, in the order of arrival, and commits. Then the first call that still waits
// leads. A call that is the only one waits for no other.
//
//   - A call without a savepoint runs on the goroutine of the leader.
//   - A call with a savepoint may run code of an application. It runs on its own goroutine while
//     the leader waits, so that a panic ends only that call.
//   - If a call with a savepoint fails, it goes back to the savepoint. If one without fails after a
//     change, the whole transaction is given up.
//   - If a transaction is given up, each of its calls runs again in a transaction of its own.
type groupCommit struct {
	lock    func(ctx context.Context) (unlock func(), err error)
	begin   func(ctx context.Context) (*session, error)
	session func(ctx context.Context) *session // on the connection that writes
	intact  func() error                       // looks, after the COMMIT, whether anybody can read it
	meaning func(err error) meaning

	mu      sync.Mutex
	leading bool
	waiting []*pendingWrite
}

// largestBatch bounds how long the first of a batch waits for the last.
const largestBatch = 128

// pendingWrite is a call.
type pendingWrite struct {
	ctx   context.Context // of the call, for whoever runs it
	waits context.Context // its patience
	fn    func(q *session) error
	kind  writeKind
	alone bool           // it shares its transaction with nobody
	turn  chan *sharedTx // the transaction to join, or nil to lead; one value, sent without waiting
	led   bool           // the leader has run it in that transaction, which is over
	err   error          // what it has returned then
}

// write runs fn in a transaction that other calls may share. If that is given up, write runs fn
// again in a transaction of its own.
func (g *groupCommit) write(ctx context.Context, kind writeKind, fn func(q *session) error) error {
	waits, stop := patience(ctx)
	defer stop()
	c := pendingWrite{ctx: ctx, waits: waits, fn: fn, kind: kind, turn: make(chan *sharedTx, 1)}
	result, err := g.attempt(&c)
	if result == mayRunAgain {
		c.alone, c.led = true, false
		_, err = g.attempt(&c)
	}
	return err
}

// alone runs fn on the connection that writes, outside of a transaction, while nobody else writes.
func (g *groupCommit) alone(ctx context.Context, fn func(q *session) error) error {
	waits, stop := patience(ctx)
	defer stop()
	c := pendingWrite{ctx: ctx, waits: waits, alone: true, turn: make(chan *sharedTx, 1)}
	if _, err := g.waitTurn(&c); err != nil {
		return err
	}
	defer g.handOver()
	unlock, err := g.lock(waits)
	if err != nil {
		return cmp.Or(ended(waits), err)
	}
	defer unlock()
	return fn(g.session(ctx))
}

func (g *groupCommit) attempt(c *pendingWrite) (outcome, error) {
	shared, err := g.waitTurn(c)
	switch {
	case err != nil:
		return rolledBack, err
	case shared == nil:
		return g.lead(c)
	case !c.led:
		c.err = g.runJoined(c, shared)
		<-shared.done
	}
	// The error of a call (ErrConsumed, for example) may be due to a change by another call of the
	// same transaction. It is valid only if that change is committed.
	if shared.result != committed {
		return shared.result, shared.err
	}
	if c.err != nil {
		return rolledBack, c.err
	}
	return committed, nil
}

// waitTurn returns the transaction to join, or nil when c leads. If its patience ends first, c
// takes no part.
func (g *groupCommit) waitTurn(c *pendingWrite) (*sharedTx, error) {
	g.mu.Lock()
	if !g.leading {
		g.leading = true
		g.mu.Unlock()
		return nil, nil
	}
	g.waiting = append(g.waiting, c)
	g.mu.Unlock()
	select {
	case shared := <-c.turn:
		return shared, nil
	case <-c.waits.Done():
	}
	g.mu.Lock()
	i := slices.Index(g.waiting, c)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	g.mu.Unlock()
	if i >= 0 {
		return nil, ended(c.waits)
	}
	return <-c.turn, nil // it had come; who runs looks at ctx again
}

// nextToJoin returns nil if no call waits, or if the next one wants to be alone.
func (g *groupCommit) nextToJoin() *pendingWrite {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 || g.waiting[0].alone {
		return nil
	}
	return g.pop()
}

// handOver ends the lead of a call.
func (g *groupCommit) handOver() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.leading = false
		return
	}
	g.pop().turn <- nil
}

func (g *groupCommit) pop() *pendingWrite {
	first := g.waiting[0]
	g.waiting[0] = nil
	g.waiting = g.waiting[1:]
	return first
}

// sharedTx is the transaction that calls share.
type sharedTx struct {
	led     []*pendingWrite // the calls that the leader has run
	ran     chan struct{}   // one value each time that a call has run on its own goroutine
	givenUp bool            // a change cannot be undone by itself
	done    chan struct{}   // closed when result and err are set
	result  outcome         // committed, mayRunAgain, or unknown with err
	err     error
}

// lead runs c, then the calls that wait, and commits. c needs no savepoint: if c fails, no other
// call has joined yet, and the whole transaction is rolled back.
func (g *groupCommit) lead(c *pendingWrite) (outcome, error) {
	defer g.handOver()
	unlock, err := g.lock(c.waits)
	if err != nil {
		return rolledBack, cmp.Or(ended(c.waits), err)
	}
	defer unlock()
	q, err := g.begin(c.waits)
	if err != nil {
		return rolledBack, err
	}
	t := &sharedTx{ran: make(chan struct{}), done: make(chan struct{}), result: mayRunAgain}
	defer g.end(q, t)
	if err := c.fn(q); err != nil {
		return rolledBack, err
	}
	if err := ended(c.ctx); err != nil {
		return rolledBack, err
	}
	if !c.alone {
		g.runWaiting(t)
	}
	if t.givenUp {
		return mayRunAgain, nil
	}
	if err := q.run("COMMIT"); err != nil {
		if c.alone {
			return rolledBack, err
		}
		return mayRunAgain, err
	}
	t.result = committed
	if err := g.intact(); err != nil {
		t.result, t.err = unknown, fmt.Errorf("%w: %w", repository.ErrUnknownOutcome, err)
	}
	return t.result, t.err
}

// end rolls back what is not committed and tells the calls.
func (g *groupCommit) end(q *session, t *sharedTx) {
	if t.result == mayRunAgain {
		_ = q.run("ROLLBACK") // the error says why
	}
	for _, c := range t.led {
		c.led = true
		c.turn <- t
	}
	close(t.done)
}

// runWaiting runs the calls that wait, one after the other.
func (g *groupCommit) runWaiting(t *sharedTx) {
	for range largestBatch {
		next := g.nextToJoin()
		switch {
		case next == nil:
			return
		case next.kind == severalChanges:
			next.turn <- t
			<-t.ran
		default:
			t.led = append(t.led, next)
			next.err = g.runLed(next, t)
		}
		if t.givenUp {
			return
		}
	}
}

// runLed runs a call on the goroutine of the leader. A panic, of the clock or the logger, gives the
// transaction up: the call runs again on its own goroutine, and panics there.
func (g *groupCommit) runLed(c *pendingWrite, t *sharedTx) error {
	defer func() {
		if recover() != nil {
			t.givenUp = true
		}
	}()
	return g.run(c, t)
}

// runJoined runs a call on its own goroutine while the leader waits.
func (g *groupCommit) runJoined(c *pendingWrite, t *sharedTx) error {
	defer func() { t.ran <- struct{}{} }()
	return g.run(c, t)
}

// run runs c. If c fails, panics or ends its goroutine, run goes back to its savepoint; if c has
// none and has changed something, the transaction is given up. If ctx ends while c runs, a call
// with a savepoint is rolled back, and a call without one is kept.
func (g *groupCommit) run(c *pendingWrite, t *sharedTx) error {
	if err := ended(c.ctx); err != nil {
		return err
	}
	const savepoint = "oauthstore_call"
	q := g.session(c.ctx)
	inSavepoint, kept := c.kind == severalChanges, false
	if inSavepoint {
		if err := q.run("SAVEPOINT " + savepoint); err != nil {
			t.givenUp = true
			return err
		}
	}
	defer func() {
		switch {
		case kept:
		case inSavepoint:
			undone := errors.Join(q.run("ROLLBACK TO SAVEPOINT "+savepoint), q.run("RELEASE SAVEPOINT "+savepoint))
			t.givenUp = t.givenUp || undone != nil
		default:
			t.givenUp = t.givenUp || c.kind != oneChange && q.changed > 0
		}
	}()
	if err := c.fn(q); err != nil {
		t.givenUp = t.givenUp || g.meaning(err).txOver
		return err
	}
	if inSavepoint {
		if err := ended(c.ctx); err != nil {
			return err
		}
		if err := q.run("RELEASE SAVEPOINT " + savepoint); err != nil {
			return err
		}
	}
	kept = true
	return nil
}
