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
// far. Then it runs each call that waits, in the order of arrival, commits, and tells everybody.
// The next call that waits leads. A lone writer waits for nobody.
//
//   - A call that leads: lock, BEGIN, run, run the calls that wait, COMMIT.
//   - A call with a savepoint, which may have code of an application in it, runs on its own
//     goroutine, so that a panic takes nobody along.
//   - A call that fails goes back to its savepoint. One that has none and has changed something
//     ends the transaction.
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
	ran   bool           // the leader has run it in that transaction, which is over
	err   error          // what it has returned then
}

// write runs fn in a transaction that it may share: should that be given up, again in one of its
// own, to succeed or fail by itself.
func (g *groupCommit) write(ctx context.Context, kind writeKind, fn func(q *session) error) error {
	c := pendingWrite{ctx: ctx, fn: fn, kind: kind, turn: make(chan *sharedTx, 1)}
	result, err := g.attempt(&c)
	if result == mayRunAgain {
		c.alone, c.ran = true, false
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
	case !c.ran:
		c.err = g.runJoined(c, shared)
		<-shared.done
	}
	// What a call has failed for (ErrConsumed, for example) may be what another one has changed: it
	// counts only if that is committed.
	if shared.result != committed {
		return mayRunAgain, nil
	}
	if c.err != nil {
		return rolledBack, c.err
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
	led     []*pendingWrite // the calls that the leader has run
	ran     chan struct{}   // one value each time that a call has run on its own goroutine
	givenUp bool            // a change cannot be undone by itself
	done    chan struct{}   // closed when result is set
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
	for _, c := range t.led {
		c.ran = true
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
