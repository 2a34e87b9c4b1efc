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

	// write calls fn in one transaction, and again while the database says that the same may succeed.
	// nil: what fn has done is committed. ErrUnknownOutcome: the COMMIT was sent and not answered. Any
	// other error: nothing of it is done.
	write(ctx context.Context, kind writeKind, fn func(q *session) error) error

	// migrate calls step while no other process does, and in one transaction if the database can
	// create tables in one.
	migrate(ctx context.Context, step func(q *session) error) error

	// check returns ErrInvalid, with the setting and its remedy, for a handle on which the contract
	// cannot hold.
	check(ctx context.Context) error
}

// kinds are the databases. Each has a file of its own.
var kinds = []kind{sqliteKind, postgresKind, mysqlKind}

// kind is a database by the name of GORM's dialect for it. open sets the traits of c. With lent,
// the handle belongs to the application.
type kind struct {
	dialect string
	open    func(c *common, db Database, lent bool) database
}

func kindOf(d gorm.Dialector) (kind, error) {
	var known []string
	for _, k := range kinds {
		if k.dialect == d.Name() {
			return k, nil
		}
		known = append(known, k.dialect)
	}
	return kind{}, fmt.Errorf("%w: the dialect is %q, not one of %q", repository.ErrInvalid, d.Name(), known)
}

// writeKind is what has to be undone if fn of a write fails after it has changed something, in a
// transaction that goes on because other calls share it or because it is that of InTx.
type writeKind int

const (
	// oneStatement: nothing. fn runs one statement that writes, and needs no transaction for it.
	oneStatement writeKind = iota

	// oneChange: nothing. Only the last statement of fn changes what anybody can see.
	oneChange

	// rarelyFails is severalChanges for what every request runs, with statements of a session only. It
	// fails so rarely after a change that calls of a shared transaction do without a savepoint: should
	// it fail, that transaction is given up.
	rarelyFails

	// severalChanges: fn runs in a savepoint.
	severalChanges
)

// traits are the differences between databases that are data.
type traits struct {
	// schema begins the names of the files with the steps of the schema.
	schema string

	// hasTable counts the tables that have a name, where statements find them.
	hasTable string

	// smallNames: the case of names counts for nothing, and TablePrefix is made small.
	smallNames bool

	// clauses are those that GORM writes. Without RETURNING in UpdateClauses, a row that is updated is
	// read after.
	clauses callbacks.Config

	// grantLock is for the read of a grant that has to stay as it is. lockGrant makes the statements
	// that lock the grant of a code or token. Neither is there with oneWriter.
	grantLock clause.Locking
	lockGrant func(c *compiler, grants, of string) grantLock

	// fenceWrites are the columns that a fence writes beside last_used_at.
	fenceWrites map[string]any

	// oneWriter: nobody else can write during a transaction that writes.
	oneWriter bool

	// manyRows: one statement stores two rows faster than two statements do.
	manyRows bool

	// abortsOnError: after a statement has failed, a transaction takes no other, unless that was in a
	// savepoint.
	abortsOnError bool

	// meaning says what an error of the driver means.
	meaning func(err error) meaning
}

// meaning is what an error of a driver means. The zero value is that of nil, and of an error that
// says nothing more.
type meaning struct {
	duplicate bool  // a key is taken
	orphan    bool  // what a foreign key names is not there
	again     bool  // nothing was committed, and the same may succeed
	ended     bool  // the database has ended the transaction, or may have
	refused   bool  // to a COMMIT: nothing was committed
	silent    bool  // the database has not said it: the connection may be lost
	unready   bool  // this node of a cluster takes no statements
	shown     error // what is told instead of the error, whose message may hold values; nil: the error
}
