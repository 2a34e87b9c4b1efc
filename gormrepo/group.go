package gormrepo

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// group lets writes that arrive while a commit is on its way share the next one: group commit. A commit waits
// for the disk, so that many calls wait for it together instead of one after the other.
//
// The first call that finds nobody writing leads: it begins the transaction and runs, by itself so far. Then
// each call that waits joins, in the order of arrival, on its own goroutine, so that one that panics takes nobody
// along; one that may fail halfway has a savepoint of its own. Then the leader commits, and everybody gets an answer;
// the next call that waits leads. A lone writer waits for nobody.
type group struct {
	mu      sync.Mutex
	leading bool
	waiting []*call
}

// largestBatch bounds how long the first of a batch waits for the last.
const largestBatch = 128

// call is a write.
type call struct {
	fn func(c conn) error

	// savepoint makes what fn has changed undone alone if it fails. Without it, fn is one statement, or undoing
	// it takes the whole batch along.
	savepoint bool

	alone bool
	turn  chan *batch // the batch to join, or nil to lead; one value, sent without waiting
}

// enter returns when it is the turn of c, or when ctx ends first: then c takes no part.
func (g *group) enter(ctx context.Context, c *call) (*batch, error) {
	g.mu.Lock()
	if !g.leading {
		g.leading = true
		g.mu.Unlock()
		return nil, nil
	}
	g.waiting = append(g.waiting, c)
	g.mu.Unlock()
	select {
	case b := <-c.turn:
		return b, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	i := slices.Index(g.waiting, c)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	g.mu.Unlock()
	if i >= 0 {
		return nil, ended(ctx)
	}
	return <-c.turn, nil // it had come; who runs looks at ctx again
}

// invite returns the call that joins next, nil if there is none.
func (g *group) invite() *call {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 || g.waiting[0].alone {
		return nil
	}
	return g.pop()
}

// pass ends the lead of a call.
func (g *group) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.leading = false
		return
	}
	g.pop().turn <- nil
}

func (g *group) pop() *call {
	first := g.waiting[0]
	g.waiting[0] = nil
	g.waiting = g.waiting[1:]
	return first
}

// batch is the transaction that calls share.
type batch struct {
	begun
	ran    chan struct{} // one value each time that a call has run
	broken bool          // a savepoint is lost, and with it the transaction
	done   chan struct{} // closed when failed is set for good
	failed bool
}

// errAlone says that the transaction was undone because of another call, or because of the commit: each call
// runs again in one of its own, to succeed or fail by itself.
var errAlone = errors.New("gormrepo: the shared transaction failed")

// shared makes a call in a transaction that it may share. It may be made again.
func (s *Store) shared(ctx context.Context, c call) error {
	c.turn = make(chan *batch, 1)
	err := s.takePart(ctx, &c)
	if err == errAlone { //nolint:errorlint // it is never wrapped
		c.alone = true
		return s.takePart(ctx, &c)
	}
	return err
}

func (s *Store) takePart(ctx context.Context, c *call) error {
	b, err := s.group.enter(ctx, c)
	switch {
	case err != nil:
		return err
	case b == nil:
		return s.lead(ctx, c)
	default:
		return s.join(ctx, c, b)
	}
}

// lead makes the call and lets whoever waits join. It needs no savepoint: when it fails, nobody has joined yet.
func (s *Store) lead(ctx context.Context, c *call) error {
	defer s.group.pass()
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	b := &batch{ran: make(chan struct{}), done: make(chan struct{})}
	err = s.again(ctx, func() (err error) {
		if err := ended(ctx); err != nil {
			return err
		}
		b.begun, err = s.session(ctx).begin()
		return err
	})
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			_ = b.rollback() // what went wrong is told already
		}
		b.failed = !committed
		close(b.done)
	}()
	if err := c.fn(s.session(ctx)); err != nil {
		return err
	}
	if err := ended(ctx); err != nil {
		return err
	}
	if !c.alone {
		s.group.gather(b)
	}
	if b.broken {
		return errAlone
	}
	if err := b.commit(); err != nil {
		if c.alone {
			return err
		}
		return errAlone
	}
	committed = true
	return nil
}

// gather lets the calls that wait join b, one after the other.
func (g *group) gather(b *batch) {
	for range largestBatch {
		next := g.invite()
		if next == nil {
			return
		}
		next.turn <- b
		<-b.ran
		if b.broken {
			return
		}
	}
}

// join makes the call in b and waits for the commit: even a refusal can rest on what others in the batch have
// written.
func (s *Store) join(ctx context.Context, c *call, b *batch) error {
	err := b.run(ctx, c, s.session(ctx))
	<-b.done
	if b.failed {
		return errAlone
	}
	return err
}

// run makes the call, and undoes what it has changed if it fails, panics or ends its goroutine: by its savepoint, or
// else with the whole batch. If ctx ends meanwhile, a call with a savepoint is undone, and any other is done.
func (b *batch) run(ctx context.Context, c *call, db conn) error {
	defer func() { b.ran <- struct{}{} }()
	if err := ended(ctx); err != nil {
		return err
	}
	var wrote, kept bool
	db.wrote = &wrote
	if c.savepoint {
		if _, err := db.exec("SAVEPOINT joined"); err != nil {
			b.broken = true
			return err
		}
	}
	defer func() {
		switch {
		case kept:
		case c.savepoint:
			b.undo(db)
		default:
			b.broken = b.broken || wrote
		}
	}()
	if err := c.fn(db); err != nil {
		b.broken = b.broken || undoesAll(err)
		return err
	}
	if c.savepoint {
		if err := ended(ctx); err != nil {
			return err
		}
		if _, err := db.exec("RELEASE SAVEPOINT joined"); err != nil {
			return err
		}
	}
	kept = true
	return nil
}

// undo takes a savepoint back. Where that fails, the transaction is lost.
func (b *batch) undo(c conn) {
	for _, text := range []string{"ROLLBACK TO SAVEPOINT joined", "RELEASE SAVEPOINT joined"} {
		if _, err := c.exec(text); err != nil {
			b.broken = true
		}
	}
}

// session is the handle that writes, with a reading of the clock, for statements that run to their end whatever
// becomes of ctx.
func (s *Store) session(ctx context.Context) conn {
	return conn{db: s.write.WithContext(context.WithoutCancel(ctx)), now: s.now(), tables: s.tables}
}
