package gormrepo

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"

	"github.com/oauthstore/oauthstore/repository"
)

// mysqlDialect is MySQL, with MariaDB, and with Galera, which replicates MariaDB to several nodes.
//
// On a Galera cluster, row locks are of one node alone. If two nodes change the same row, the
// slower transaction fails with error 1213, at its COMMIT at the latest, and runs again. A node
// learns only of what another one has written: so each fence writes, in a column of its own, even
// if it leaves last_used_at as it is.
var mysqlDialect = dialect{
	name: "mysql",
	traits: traits{
		schema:   "mysql",
		readOnly: "SELECT @@read_only",
		hasTable: "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
		clauses: callbacks.Config{ // no RETURNING, which MariaDB refuses in an UPDATE
			CreateClauses: []string{"INSERT", "VALUES"},
			UpdateClauses: []string{"UPDATE", "SET", "WHERE"},
		},
		lockClause:     forUpdate,
		lockStatements: lockGrantInSteps,
		locksRows:      []clause.Expression{forUpdate, waitsForASecond("SELECT")},
		skipsLocked:    []clause.Expression{skipLocked, waitsForASecond("SELECT")},
		updatesMany:    []clause.Expression{waitsForASecond("UPDATE")},
		insertsPairs:   true,
		fenceWrites:    map[string]any{"fences": gorm.Expr("fences + 1")},
		meaning:        mysqlMeaning,
	},
	open: func(c *common, db Database, lent bool) database {
		begin := beginBy("START TRANSACTION")
		if lent {
			begin = beginBy("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION")
		}
		return &mysql{server{common: c, db: db.Write, begin: begin}, lent}
	},
}

// waitsForASecond gives a SELECT or UPDATE a second for locks on MariaDB. Where the session has none
// (innodb_lock_wait_timeout=0), one that locks many rows fails at the first that somebody has locked,
// and may never get through; SKIP LOCKED of MariaDB 10.11 was seen to end the transaction with error
// 1180 there. For MySQL, the text is a comment.
type waitsForASecond string

func (waitsForASecond) Build(clause.Builder) {}

func (verb waitsForASecond) ModifyStatement(s *gorm.Statement) {
	c := s.Clauses[string(verb)]
	c.BeforeExpression = clause.Expr{SQL: "/*M! SET STATEMENT innodb_lock_wait_timeout=1 FOR */"}
	s.Clauses[string(verb)] = c
}

// lockGrantInSteps takes two statements. In one, the read of the code or token would begin a
// snapshot that the grant can have left behind (error 1020).
func lockGrantInSteps(c *compiler, grants, of string) grantLock {
	return grantLock{
		find: c.statement(c.table(of).Where("digest = ?", paramDigest).Pluck("grant_id", new([]string)), paramDigest),
		lock: c.statement(c.table(grants).Clauses(forUpdate).
			Where("id = ?", paramID).Pluck("id", new([]string)), paramID),
	}
}

type mysql struct {
	server
	lent bool
}

// check also asks an application's handle how it is set up for a Galera cluster. Open of package
// mysql sets that itself.
func (d *mysql) check(ctx context.Context) error {
	if d.lent {
		if err := d.checkCluster(ctx); err != nil {
			return err
		}
	}
	var unfit string
	err := d.read(ctx, func(q *session) (err error) {
		unfit, err = unfitSession(q, d.lent)
		return err
	})
	if err == nil && unfit != "" {
		err = fmt.Errorf("%w: %s", repository.ErrInvalid, unfit)
	}
	return err
}

// checkCluster returns ErrInvalid if the handle leads to a node of a Galera cluster, and its
// sessions are not set up for that:
//
// A read must wait for what other nodes have acknowledged.
//
// The server must not prepare statements. It does not answer when it closes a prepared one. If
// another node's transaction ends ours at that moment, MariaDB 10.11 was seen to report nothing and
// to run our next statements outside of a transaction (MDEV-24255 is about the same).
func (d *mysql) checkCluster(ctx context.Context) error {
	const causal = 7 // reads, updates and deletions, insertions
	var node, waits bool
	var before, after int
	within, stop := patience(ctx)
	defer stop()
	_, err := d.retry(within, func() (outcome, error) {
		_, err := d.readOnce(ctx, false, func(q *session) error {
			if err := q.queryText([]any{&node}, "SELECT @@wsrep_on"); err != nil || !node {
				return err
			}
			var name string
			const prepared = "SHOW SESSION STATUS LIKE 'Com_stmt_prepare'"
			if err := q.queryText([]any{&name, &before}, prepared); err != nil {
				return err
			}
			if err := q.queryText([]any{&waits}, "SELECT @@wsrep_sync_wait & ? = ?", causal, causal); err != nil {
				return err
			}
			return q.queryText([]any{&name, &after}, prepared)
		})
		return d.failed(err)
	})
	switch {
	case mysqlNumber(err) == mysqlUnknownVariable:
		return nil // this is no such cluster
	case err != nil:
		return err
	case node && (!waits || after > before):
		return fmt.Errorf("%w: on a Galera cluster, the DSN must set wsrep_sync_wait=%d and interpolateParams=true",
			repository.ErrInvalid, causal)
	}
	return nil
}

// unfitSession finds settings that break the contract: autocommit=0 (each read begins a
// transaction, in which a token is live after another session has revoked it), a character set that
// has no place for each character, and what changes what statements mean.
//
// The sessions of an application's handle may have another isolation level: each transaction sets it.
func unfitSession(q *session, lent bool) (string, error) {
	var commits, keys, bigSelects bool
	var limit uint64
	var mode, completion string
	var sent, answered *string
	err := q.queryText([]any{&commits, &keys, &bigSelects, &limit, &mode, &completion, &sent, &answered},
		"SELECT @@autocommit, @@foreign_key_checks, @@sql_big_selects, @@sql_select_limit, @@sql_mode, @@completion_type, "+
			"@@character_set_client, @@character_set_results")
	if err != nil {
		return "", err
	}
	var name, level string // tx_isolation before MariaDB 11.1, the same as the other where both are
	err = q.queryText([]any{&name, &level},
		"SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')")
	if err != nil {
		return "", err
	}
	aliased, err := namesColumnsWithAlias(q)
	const whole = "utf8mb4"
	switch {
	case err != nil:
		return "", err
	case !commits:
		return "the sessions have autocommit off: leave it on in the DSN", nil
	case sent == nil || *sent != whole || answered != nil && *answered != whole:
		return "the sessions have another character set than " + whole + ": set charset=" + whole + " in the DSN", nil
	case !keys:
		return "the sessions enforce no foreign keys: leave foreign_key_checks on", nil
	case level == "READ-UNCOMMITTED":
		return "the sessions read what is not committed: set " + name + "='READ-COMMITTED' in the DSN", nil
	case !lent && level != "READ-COMMITTED":
		return "the sessions have the isolation level " + level + ", not READ COMMITTED", nil
	case limit < 1<<32-1: // the default of old, a full 64 bits now
		return "the sessions limit the rows of a SELECT: leave sql_select_limit at its default", nil
	case !bigSelects:
		return "the sessions refuse a SELECT that may read many rows: leave sql_big_selects on", nil
	case strings.Contains(mode, "EMPTY_STRING_IS_NULL"):
		return "the sessions read an empty string as NULL: leave EMPTY_STRING_IS_NULL out of sql_mode", nil
	case completion != "NO_CHAIN" && completion != "0":
		return "a COMMIT does more than commit: leave completion_type at NO_CHAIN", nil
	case aliased:
		return "the columns are named with their tables: leave columnsWithAlias out of the DSN", nil
	}
	return "", nil
}

// namesColumnsWithAlias reports whether the driver puts the alias of a table before the name of a
// column.
func namesColumnsWithAlias(q *session) (bool, error) {
	rows, err := q.db.Raw("SELECT probe.named FROM (SELECT 1 AS named) AS probe").Rows()
	if err != nil {
		return false, err
	}
	defer rows.Close() //nolint:errcheck // nothing is read from it
	names, err := rows.Columns()
	if err != nil {
		return false, err
	}
	return names[0] != "named", rows.Err()
}

// migrate calls step outside of a transaction, which a CREATE TABLE would commit, under a lock of
// the session. A step that was interrupted is run again.
func (d *mysql) migrate(ctx context.Context, step func(q *session) error) error {
	within, stop := patience(ctx)
	defer stop()
	_, err := d.retry(within, func() (outcome, error) {
		result := rolledBack
		err := d.db.WithContext(ctx).Connection(func(db *gorm.DB) error {
			err := d.migrateLocked(ctx, db, step)
			lost := d.meaning(err).noAnswer && ended(ctx) == nil && broken(db)
			// The table, or its row, is there: GET_LOCK locks one node of a cluster, and another instance
			// was first on another one.
			if number := mysqlNumber(err); lost || number == mysqlTableExists || number == mysqlDuplicate {
				result = mayRunAgain
			}
			return err
		})
		if result == rolledBack {
			return d.failed(err)
		}
		return result, err
	})
	return err
}

func (d *mysql) migrateLocked(ctx context.Context, connection *gorm.DB, step func(q *session) error) error {
	q := d.session(onConnection(ctx, connection))
	const seconds = 60
	var locked *int
	name := q.tables.migrations // of this database: GET_LOCK knows no databases
	const lock = "SELECT GET_LOCK(CONCAT(LEFT(MD5(DATABASE()), 16), ?), ?)"
	if err := q.queryText([]any{&locked}, lock, name, seconds); err != nil {
		return err
	}
	if locked == nil || *locked != 1 {
		return fmt.Errorf("another instance has been migrating for %d seconds", seconds)
	}
	defer func() {
		late, end := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer end()
		unlock := d.session(onConnection(late, connection))
		if err := unlock.run("SELECT RELEASE_LOCK(CONCAT(LEFT(MD5(DATABASE()), 16), ?))", name); err != nil {
			discard(connection) // the lock ends with it
		}
	}()
	return step(q)
}

// beginBy begins by statements, and sends COMMIT as one, because the driver's Commit takes no ctx.
// If one of them fails, the connection may still be in a transaction, and is discarded.
func beginBy(statements ...string) func(ctx context.Context, db *gorm.DB) (transaction, error) {
	return func(ctx context.Context, db *gorm.DB) (transaction, error) { return begun(ctx, db, statements) }
}

func begun(ctx context.Context, db *gorm.DB, statements []string) (transaction, error) {
	run := func(ctx context.Context, text string) error {
		err := (&session{db: db.Session(&gorm.Session{NewDB: true, Context: ctx})}).run(text)
		if err != nil {
			discard(db)
		}
		return err
	}
	for _, text := range statements {
		if err := run(ctx, text); err != nil {
			return transaction{}, err
		}
	}
	commit := func() (bool, error) {
		late, end := context.WithCancel(context.WithoutCancel(ctx))
		defer end()
		defer endLater(ctx, end)()
		return true, run(late, "COMMIT")
	}
	rollback := func() { _ = run(ctx, "ROLLBACK") } // or the connection is closed, which rolls back as well
	return transaction{onConnection(ctx, db), commit, rollback}, nil
}

// The errors that this package tells apart
// (dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html).
const (
	mysqlRecordChanged   = 1020 // since it was read (innodb_snapshot_isolation)
	mysqlUnknownCommand  = 1047 // a node of a Galera cluster that joins, or is cut off
	mysqlTableExists     = 1050
	mysqlDuplicate       = 1062
	mysqlUnknownVariable = 1193
	mysqlLockWaitTimeout = 1205
	mysqlLockTableFull   = 1206
	mysqlDeadlock        = 1213 // or another node of a Galera cluster was first
	mysqlReadOnly        = 1290 // read_only is on: the server was the primary
	mysqlNoSavepoint     = 1305 // it went with its transaction
	mysqlReferenced      = 1451
	mysqlNoReferenced    = 1452
	mysqlReadOnlyTx      = 1792 // as 1290
	mysqlReadOnlyMode    = 1836 // as 1290
	mysqlGroupReplicated = 3101 // another member of a replication group was first
)

// mysqlEndedByServer are the errors with which a server ends a connection or a statement by itself,
// or takes none.
var mysqlEndedByServer = map[int]bool{
	1040: true, 1053: true, 1077: true, 1079: true, 1152: true, 1158: true, 1159: true, 1160: true, 1161: true, 1317: true,
	1203: true, 1226: true, 1927: true, 3169: true, 4031: true,
}

// mysqlNames are the server's own names of what an operator has to mend.
var mysqlNames = map[string]string{
	"1021": "ER_DISK_FULL",
	"1040": "ER_CON_COUNT_ERROR",
	"1054": "ER_BAD_FIELD_ERROR",
	"1114": "ER_RECORD_FILE_FULL",
	"1142": "ER_TABLEACCESS_DENIED_ERROR",
	"1146": "ER_NO_SUCH_TABLE",
	"1203": "ER_TOO_MANY_USER_CONNECTIONS",
	"1226": "ER_USER_LIMIT_REACHED",
	"1290": "ER_OPTION_PREVENTS_STATEMENT",
	"1792": "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION",
	"1836": "ER_READ_ONLY_MODE",
}

func mysqlMeaning(err error) meaning {
	if err == nil {
		return meaning{}
	}
	number := mysqlNumber(err)
	if number == 0 {
		return meaning{noAnswer: !isSentinel(err)}
	}
	m := meaning{
		shown: numberError{serverError("error " + named(strconv.Itoa(number), mysqlNames)), number},
		again: mysqlEndedByServer[number],
	}
	switch number {
	case mysqlDuplicate:
		m.duplicate = true
	case mysqlReferenced, mysqlNoReferenced:
		m.orphan = true
	case mysqlUnknownCommand, mysqlReadOnly, mysqlReadOnlyTx, mysqlReadOnlyMode:
		// A new connection may lead to another server.
		m.again, m.txOver, m.refused, m.discard = true, true, true, true
	case mysqlRecordChanged, mysqlLockWaitTimeout, mysqlLockTableFull,
		mysqlDeadlock, mysqlNoSavepoint, mysqlGroupReplicated:
		m.again, m.txOver, m.refused = true, true, true
	}
	return m
}

// numberError is a serverError that keeps its number: fn of InTx may return it, and what it says
// decides whether fn runs again.
type numberError struct {
	serverError
	number int
}

// mysqlNumber returns the number of an error that a server of MySQL's protocol answered, 0 for any
// other. github.com/go-sql-driver/mysql has it in a field; this package does not link it.
func mysqlNumber(err error) int {
	if ours, ok := errors.AsType[numberError](err); ok {
		return ours.number
	}
	for ; err != nil; err = errors.Unwrap(err) {
		v := reflect.Indirect(reflect.ValueOf(err))
		if v.Kind() != reflect.Struct {
			continue
		}
		number, state := v.FieldByName("Number"), v.FieldByName("SQLState")
		if number.IsValid() && state.IsValid() && number.CanUint() {
			return int(number.Uint()) //nolint:gosec // 16 bits
		}
	}
	return 0
}
