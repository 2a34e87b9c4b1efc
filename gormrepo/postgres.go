package gormrepo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"

	"github.com/oauthstore/oauthstore/repository"
)

// postgresDialect is PostgreSQL. After a statement has failed, a transaction takes only the
// ROLLBACK to a savepoint.
var postgresDialect = dialect{
	name: "postgres",
	traits: traits{
		schema:     "postgres",
		readOnly:   "SELECT current_setting('transaction_read_only')", // a hot standby's is on
		hasTable:   "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = $1 AND pg_catalog.pg_table_is_visible(oid)",
		smallNames: true, // as PostgreSQL makes names that are not quoted
		clauses: callbacks.Config{
			CreateClauses: []string{"INSERT", "VALUES"},
			UpdateClauses: []string{"UPDATE", "SET", "WHERE", "RETURNING"},
		},
		lockClause:     noKeyUpdate,
		lockStatements: lockGrantAtOnce,
		locksRows:      []clause.Expression{forUpdate},
		skipsLocked:    []clause.Expression{skipLocked},
		insertsPairs:   true,
		abortsOnError:  true,
		meaning:        postgresMeaning,
	},
	open: func(c *common, db Database, _ bool) database {
		return &postgres{server{common: c, db: db.Write, begin: beginTx}}
	},
}

// noKeyUpdate lets rows that refer to the locked one be inserted.
var noKeyUpdate = clause.Locking{Strength: "NO KEY UPDATE"}

func lockGrantAtOnce(c *compiler, grants, of string) grantLock {
	owner := c.table(of).Select("grant_id").Where("digest = ?", paramDigest)
	return grantLock{lock: c.statement(
		c.table(grants).Clauses(noKeyUpdate).Where("id = (?)", owner).Pluck("id", new([]string)), paramDigest)}
}

type postgres struct{ server }

func (d *postgres) check(ctx context.Context) error {
	if err := d.checkPrepared(ctx); err != nil {
		return err
	}
	var role string
	var schema *string
	err := d.read(ctx, func(q *session) error {
		if err := q.queryText([]any{&schema}, "SELECT current_schema()"); err != nil {
			return err
		}
		const setting = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'session_replication_role'"
		return ignore(q.queryText([]any{&role}, setting), repository.ErrNotFound)
	})
	switch {
	case err != nil:
		return err
	case schema == nil:
		return fmt.Errorf("%w: the sessions find no schema: set search_path to one that exists", repository.ErrInvalid)
	case role == "replica":
		return fmt.Errorf("%w: the sessions enforce no foreign keys: session_replication_role must be origin",
			repository.ErrInvalid)
	}
	return nil
}

// checkPrepared returns ErrInvalid if a statement that was prepared on a connection is not there when
// the same connection runs it, or if that of another connection is there. A pooler between the driver
// and the server, such as PgBouncer in transaction mode, gives one session to several connections.
func (d *postgres) checkPrepared(ctx context.Context) error {
	waits, stop := patience(ctx)
	defer stop()
	_, err := d.retry(waits, func() (outcome, error) { return d.failed(d.onTwoConnections(waits, sameStatement)) })
	switch sqlState(err) {
	case postgresDuplicatePrepared, postgresNoPrepared:
		return fmt.Errorf("%w: prepared statements are not those of their connection: behind a pooler that gives a session "+
			"to each transaction, set default_query_exec_mode=exec in the URL (%v)", repository.ErrInvalid, d.withoutValues(err))
	}
	return err
}

// sameStatement runs one statement with a parameter, which the driver prepares, on each connection.
func sameStatement(connections ...*session) error {
	for range 3 { // a pooler may give each its own session once, or twice
		for _, q := range connections {
			var one int
			if err := q.queryText([]any{&one}, "SELECT $1::int", 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// onTwoConnections calls fn with a session on each of two connections, or on one if a second one is
// not to be had soon: the pool may be that small, or the rest of it in use.
func (d *postgres) onTwoConnections(ctx context.Context, fn func(connections ...*session) error) error {
	return d.db.WithContext(ctx).Connection(func(one *gorm.DB) error {
		soon, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		first, done := d.session(onConnection(ctx, one)), false
		err := d.db.WithContext(soon).Connection(func(two *gorm.DB) error {
			done = true
			return fn(first, d.session(onConnection(ctx, two)))
		})
		if !done {
			return fn(first)
		}
		return err
	})
}

func (d *postgres) migrate(ctx context.Context, step func(q *session) error) error {
	err := d.write(ctx, severalChanges, func(q *session) error {
		// Two instances would both find nothing, and both create it.
		if err := q.run("SELECT pg_advisory_xact_lock(hashtext($1))", q.tables.migrations); err != nil {
			return err
		}
		return step(q)
	})
	if sqlState(err) == postgresDuplicateTable {
		return errTableTaken
	}
	return err
}

// beginTx begins a transaction of database/sql, which ends with ctx. Its COMMIT may go on for the
// time grace after ctx has ended. The driver runs the COMMIT with the context of the BEGIN, so the
// BEGIN gets a context of its own, which is cut off from ctx before the COMMIT.
func beginTx(ctx context.Context, db *gorm.DB) (transaction, error) {
	whole, end := context.WithCancel(context.WithoutCancel(ctx))
	untie := context.AfterFunc(ctx, end)
	tx := db.Session(&gorm.Session{NewDB: true, Context: whole}).Begin(&sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if tx.Error != nil {
		untie()
		end()
		return transaction{}, tx.Error
	}
	commit := func() (bool, error) {
		defer end()
		if !untie() {
			tx.Rollback()
			return false, ended(ctx)
		}
		defer endLater(ctx, end)()
		return true, tx.Commit().Error
	}
	rollback := func() {
		defer end()
		defer untie()
		tx.Rollback()
	}
	return transaction{tx.Session(&gorm.Session{NewDB: true, Context: ctx}), commit, rollback}, nil
}

// The SQLSTATEs that this package tells apart (postgresql.org/docs/current/errcodes-appendix.html).
const (
	postgresPlanChanged       = "0A000" // also of what the server cannot do, which no statement of ours is
	postgresForeignKey        = "23503"
	postgresReadOnly          = "25006" // the server was the primary
	postgresIdleTooLong       = "25P03" // between two statements of a transaction
	postgresTooLong           = "25P04" // the whole transaction
	postgresNoPrepared        = "26000"
	postgresUnique            = "23505"
	postgresSerialization     = "40001"
	postgresCompletionUnknown = "40003"
	postgresDeadlock          = "40P01"
	postgresDuplicatePrepared = "42P05"
	postgresDuplicateTable    = "42P07"
	postgresTooManyConns      = "53300"
	postgresLockNotAvailable  = "55P03"
)

// postgresNames are the server's own names of what an operator has to mend.
var postgresNames = map[string]string{
	"0A000": "feature_not_supported",
	"25006": "read_only_sql_transaction",
	"25P03": "idle_in_transaction_session_timeout",
	"25P04": "transaction_timeout",
	"26000": "invalid_sql_statement_name",
	"42501": "insufficient_privilege",
	"42703": "undefined_column",
	"42P01": "undefined_table",
	"42P05": "duplicate_prepared_statement",
	"53100": "disk_full",
	"53300": "too_many_connections",
}

func postgresMeaning(err error) meaning {
	if err == nil {
		return meaning{}
	}
	state := sqlState(err)
	if state == "" {
		return meaning{noAnswer: !isSentinel(err)}
	}
	m := meaning{shown: stateError{serverError("SQLSTATE " + named(state, postgresNames)), state}}
	switch state {
	case postgresUnique:
		m.duplicate = true
	case postgresForeignKey:
		m.orphan = true
	case postgresReadOnly: // a new connection may lead to another server
		m.again, m.txOver, m.refused, m.discard = true, true, true, true
	case postgresSerialization, postgresDeadlock, postgresLockNotAvailable,
		postgresPlanChanged, postgresIdleTooLong, postgresTooLong:
		m.again, m.txOver, m.refused = true, true, true
	}
	if len(state) != 5 {
		return m
	}
	// The server ended the connection or the statement by itself: as it shuts down, or at an
	// operator's wish.
	m.again = m.again || state[:2] == "08" || state[:3] == "57P" || state == postgresTooManyConns
	// To a COMMIT, it has answered that it rolled back, as for a deferred constraint.
	mayHaveCommitted := state == postgresCompletionUnknown ||
		slices.Contains([]string{"08", "53", "57", "58", "XX"}, state[:2])
	m.refused = m.refused || !mayHaveCommitted
	return m
}

// stateError is a serverError that keeps its SQLSTATE, for a caller that asks, and because fn of
// InTx may return it: what it says decides whether fn runs again.
type stateError struct {
	serverError
	state string
}

// SQLState returns the SQLSTATE.
func (e stateError) SQLState() string { return e.state }

// sqlState returns the SQLSTATE of an error that a server of PostgreSQL's protocol answered, "" for
// any other.
func sqlState(err error) string {
	if coded, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return coded.SQLState()
	}
	return ""
}
