package gormrepo

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// groupCommit lets writes that arrive while a commit is on its way share the next one. A commit
// waits for the disk, so that many calls wait for it together instead of one after the other.
//
// The first call that finds nobody writing leads: it begins the transaction and runs, by itself so
// far. Then each call that waits joins, in the order of arrival, on its own goroutine, so that one
// that panics takes nobody along; one that may fail halfway has a savepoint of its own. Then the
// leader commits, and everybody gets an answer; the next call that waits leads. A lone writer waits
// for nobody.
//
//   - A call that leads: lock, BEGIN, run, let the waiting calls run, COMMIT.
//   - A call that joins: wait for its turn, savepoint, run, release, wait for the COMMIT.
//   - A call that fails: back to its savepoint, or the whole transaction is given up.
//   - The transaction is given up: each of its calls runs again, in a transaction of its own.
type groupCommit struct {
	lock    func(ctx context.Context) (unlock func(), err error)
	begin   func(ctx context.Context) (*session, error)
	session func(ctx context.Context) *session // in the transaction that has begun
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
	fn    func(q *session) error
	kind  writeKind
	alone bool           // it shares its transaction with nobody
	turn  chan *sharedTx // the transaction to join, or nil to lead; one value, sent without waiting
}

// write runs fn in a transaction that it may share: should that be given up, again in one of its
// own, to succeed or fail by itself.
func (g *groupCommit) write(ctx context.Context, kind writeKind, fn func(q *session) error) error {
	c := pendingWrite{ctx: ctx, fn: fn, kind: kind, turn: make(chan *sharedTx, 1)}
	result, err := g.attempt(&c)
	if result == mayRunAgain {
		c.alone = true
		_, err = g.attempt(&c)
	}
	return err
}

func (g *groupCommit) attempt(c *pendingWrite) (outcome, error) {
	shared, err := g.waitTurn(c)
	switch {
	case err != nil:
		return rolledBack, err
	case shared == nil:
		return g.lead(c)
	}
	err = g.runJoined(c, shared)
	<-shared.done
	// What a call has failed for (ErrConsumed, for example) may be what another one has changed: it
	// counts only if that is committed.
	if shared.result != committed {
		return mayRunAgain, nil
	}
	if err != nil {
		return rolledBack, err
	}
	return committed, nil
}

// waitTurn returns the transaction to join, or nil when c leads. If ctx ends first, c takes no
// part.
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
	case <-c.ctx.Done():
	}
	g.mu.Lock()
	i := slices.Index(g.waiting, c)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	g.mu.Unlock()
	if i >= 0 {
		return nil, ended(c.ctx)
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
	ran     chan struct{} // one value each time that a call has run on its own goroutine
	givenUp bool          // a change cannot be undone by itself
	done    chan struct{} // closed when result is set
	result  outcome
}

// lead runs c and the calls that wait. It needs no savepoint for c: nobody has joined yet when c
// fails.
func (g *groupCommit) lead(c *pendingWrite) (outcome, error) {
	defer g.handOver()
	unlock, err := g.lock(c.ctx)
	if err != nil {
		return rolledBack, err
	}
	defer unlock()
	q, err := g.begin(c.ctx)
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
	return committed, nil
}

// end rolls back what is not committed and tells the calls.
func (g *groupCommit) end(q *session, t *sharedTx) {
	if t.result != committed {
		_ = q.run("ROLLBACK") // the error says why
	}
	close(t.done)
}

// runWaiting lets the calls that wait join t, one after the other.
func (g *groupCommit) runWaiting(t *sharedTx) {
	for range largestBatch {
		next := g.nextToJoin()
		if next == nil {
			return
		}
		next.turn <- t
		<-t.ran
		if t.givenUp {
			return
		}
	}
}

// runJoined runs a call on its own goroutine while the leader waits.
func (g *groupCommit) runJoined(c *pendingWrite, t *sharedTx) error {
	defer func() { t.ran <- struct{}{} }()
	return g.run(c, t)
}

// run runs c, and undoes what it has changed if it fails, panics or ends its goroutine: to its
// savepoint, or else with the whole transaction. If ctx ends meanwhile, a call with a savepoint is
// undone, and any other is done.
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
			t.givenUp = t.givenUp || q.changed > 0
		}
	}()
	if err := c.fn(q); err != nil {
		t.givenUp = t.givenUp || g.meaning(err).ended
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
