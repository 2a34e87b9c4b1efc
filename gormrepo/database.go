package gormrepo

import (
	"context"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"

	"github.com/oauthstore/oauthstore/repository"
)

// database is what one kind of database does in a way of its own. Each kind has a file; no other
// file asks which it is.
type database interface {
	// read calls fn with a session on which nothing is written. It may call fn again.
	read(ctx context.Context, fn func(q *session) error) error

	// write calls fn in one transaction, and again while the error says that the same may succeed.
	// nil: what fn has done is committed. ErrUnknownOutcome: the COMMIT was sent and not answered. Any
	// other error: nothing of it is done.
	write(ctx context.Context, kind writeKind, fn func(q *session) error) error

	// migrate calls step while no other process does, and in one transaction if the database can
	// create tables in one.
	migrate(ctx context.Context, step func(q *session) error) error

	// forget makes unreadable in the files what earlier writes have removed, as far as the database does
	// that when it is asked. If it cannot now, a later call can.
	forget(ctx context.Context)

	// check returns ErrInvalid, with the setting and its remedy, for a handle on which the contract
	// cannot hold.
	check(ctx context.Context) error
}

// dialects are the databases. Each has a file of its own.
var dialects = []dialect{sqliteDialect, postgresDialect, mysqlDialect}

// dialect is a database by the name that GORM has for it.
type dialect struct {
	name   string
	traits traits

	// open returns the database behind the handles. If lent, they belong to the application.
	open func(c *common, db Database, lent bool) database
}

func dialectOf(d gorm.Dialector) (dialect, error) {
	var known []string
	for _, ours := range dialects {
		if ours.name == d.Name() {
			return ours, nil
		}
		known = append(known, ours.name)
	}
	return dialect{}, fmt.Errorf("%w: the dialect is %q, not one of %q", repository.ErrInvalid, d.Name(), known)
}

// writeKind says what can remain if fn of a write fails and its transaction goes on: one that other
// calls share, or that of InTx.
type writeKind int

const (
	// oneStatement: nothing remains. fn runs one statement that writes, and needs no transaction.
	oneStatement writeKind = iota

	// oneChange: nothing remains that a caller can see. Only the last statement of fn changes that.
	oneChange

	// rarelyFails: a change can remain, but only in rare cases. InTx runs fn in a savepoint. A shared
	// transaction does without: if a change does remain, all of its calls are rolled back, and each
	// runs again. fn writes with exec and insert of session, which count changes.
	rarelyFails

	// severalChanges: a change can remain. fn runs in a savepoint, and may be code of an application.
	severalChanges
)

// leavesChanges reports whether a change can remain.
func (k writeKind) leavesChanges() bool { return k == rarelyFails || k == severalChanges }

// traits are the differences between databases that are data.
type traits struct {
	// schema begins the names of the files with the steps of the schema.
	schema string

	// hasTable counts the tables that have a name, where statements find them.
	hasTable string

	// readOnly selects whether the server takes no writes: 1 or on, else 0 or off. "" is for a file.
	readOnly string

	// smallNames: the case of names counts for nothing, and TablePrefix is made small.
	smallNames bool

	// clauses are those that GORM writes for this database. If UpdateClauses has no RETURNING, an
	// updated row is read with a second statement.
	clauses callbacks.Config

	// lockClause locks a grant that is read before something is added to it. lockStatements are those
	// that lock the grant of a code or token. With oneWriter, there are neither.
	lockClause     clause.Locking
	lockStatements func(c *compiler, grants, of string) grantLock

	// locksRows are the clauses of a SELECT that locks its rows, and waits for each. With oneWriter, there
	// are none.
	locksRows []clause.Expression

	// updatesMany are the clauses of an UPDATE of many rows, which others are writing to.
	updatesMany []clause.Expression

	// skipsLocked are the clauses of a SELECT that locks its rows, and leaves out those that another
	// transaction has locked. With oneWriter, there are none.
	skipsLocked []clause.Expression

	// fenceWrites are the columns that a fence writes beside last_used_at.
	fenceWrites map[string]any

	// oneWriter: while a transaction writes, no other transaction can write.
	oneWriter bool

	// insertsPairs: one statement stores two rows faster than two statements do.
	insertsPairs bool

	// abortsOnError: after a failed statement, the transaction accepts only a rollback to a savepoint.
	abortsOnError bool

	// meaning says what an error of the driver means.
	meaning func(err error) meaning
}

// forUpdate and skipLocked are the words for traits.locksRows and skipsLocked that both servers have.
var (
	forUpdate  = clause.Locking{Strength: clause.LockingStrengthUpdate}
	skipLocked = clause.Locking{Strength: clause.LockingStrengthUpdate, Options: clause.LockingOptionsSkipLocked}
)

// meaning is what an error of a driver means. The zero value is that of nil, and of an error that
// says nothing more.
type meaning struct {
	duplicate bool  // a key is taken
	orphan    bool  // what a foreign key names is not there
	again     bool  // nothing was committed, and the same may succeed
	txOver    bool  // the database has ended the transaction, or may have
	refused   bool  // as an answer to COMMIT: nothing was committed
	noAnswer  bool  // the database has not said it: the connection may be lost
	discard   bool  // the connection takes no statements, and another one may
	shown     error // what the database answered, without values; nil: it did not, or the error has none
}
