package gormrepo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/repository"
)

// wrap names the package and the operation before err, and turns what the driver says into the
// repository's sentinels.
func (s *Store) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("gormrepo: %s: %w", op, s.sentinel(err))
}

// sentinel is the one place where errors of GORM and of drivers are interpreted, by their codes.
// What a sentinel replaces is dropped: some drivers put values into their messages.
func (s *Store) sentinel(err error) error {
	if e, ok := errors.AsType[stoppedError](err); ok {
		return fmt.Errorf("%w: %w", e.stopped, s.sentinel(e.err))
	}
	if e, ok := errors.AsType[referredError](err); ok {
		return withoutValues(e.error)
	}
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return repository.ErrNotFound
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone):
		return fmt.Errorf("%w: %w", repository.ErrClosed, err)
	}
	translated := err
	if t, ok := s.write.Dialector.(gorm.ErrorTranslator); ok {
		translated = t.Translate(rootOf(err))
	}
	switch {
	case errors.Is(translated, gorm.ErrDuplicatedKey), errors.Is(err, gorm.ErrDuplicatedKey):
		return repository.ErrAlreadyExists
	case errors.Is(translated, gorm.ErrForeignKeyViolated), errors.Is(err, gorm.ErrForeignKeyViolated):
		return repository.ErrNotFound
	}
	switch sqliteCode(err) {
	case 1555, 2067:
		return repository.ErrAlreadyExists
	case 787:
		return repository.ErrNotFound
	}
	return withoutValues(err)
}

// referredError is that of a deletion. Where it breaks a foreign key, one of the application's own refers to the row.
type referredError struct{ error }

func (e referredError) Unwrap() error { return e.error }

// withoutValues keeps of a server's error its code alone: the messages of servers quote values.
func withoutValues(err error) error {
	if e, unknown := errors.AsType[unknownOutcomeError](err); unknown {
		return fmt.Errorf("%w: %w", repository.ErrUnknownOutcome, withoutValues(e.error))
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if state, number := sqlState(err), mysqlNumber(err); state != "" || number != 0 {
		return serverError{state, number}
	}
	return err
}

// serverError is the code of an error that a server answered, without its message.
type serverError struct {
	state  string // SQLSTATE
	number int    // of MySQL
}

func (e serverError) Error() string {
	code, text := e.state, "the server reports SQLSTATE "
	if e.state == "" {
		code, text = strconv.Itoa(e.number), "the server reports error "
	}
	if name := conditions[code]; name != "" {
		code += " (" + name + ")"
	}
	return text + code
}

// conditions are the servers' own names of what an operator has to mend.
var conditions = map[string]string{
	"25006": "read_only_sql_transaction",
	"42501": "insufficient_privilege",
	"42703": "undefined_column",
	"42P01": "undefined_table",
	"53100": "disk_full",
	"53300": "too_many_connections",

	"1021": "ER_DISK_FULL",
	"1040": "ER_CON_COUNT_ERROR",
	"1054": "ER_BAD_FIELD_ERROR",
	"1114": "ER_RECORD_FILE_FULL",
	"1142": "ER_TABLEACCESS_DENIED_ERROR",
	"1146": "ER_NO_SUCH_TABLE",
	"1290": "ER_OPTION_PREVENTS_STATEMENT",
	"1792": "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION",
	"1836": "ER_READ_ONLY_MODE",
}

func (e serverError) SQLState() string { return e.state }

// sqlState returns the SQLSTATE of an error that a server of PostgreSQL's protocol answered, "" for any other.
func sqlState(err error) string {
	if coded, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return coded.SQLState()
	}
	return ""
}

// mysqlNumber returns the number of an error that a server of MySQL's protocol answered, 0 for any other.
// github.com/go-sql-driver/mysql has it in a field.
func mysqlNumber(err error) int {
	if known, ok := errors.AsType[serverError](err); ok {
		return known.number
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

// rootOf returns the innermost error of a chain.
func rootOf(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// The result codes of SQLite that mean "wait and try again" (sqlite.org/rescode.html).
const (
	sqliteBusy   = 5
	sqliteLocked = 6
)

// IsBusy reports whether err says that another connection to SQLite holds a lock, so that nothing was done.
func IsBusy(err error) bool {
	code := sqliteCode(err) & 0xff
	return code == sqliteBusy || code == sqliteLocked
}

// undoesAll reports whether SQLite may have rolled back the whole transaction with the statement that failed
// (sqlite.org/lang_transaction.html): what runs after it would be on its own.
func undoesAll(err error) bool {
	const noMemory, interrupt, ioError, full = 7, 9, 10, 13
	switch sqliteCode(err) & 0xff {
	case sqliteBusy, noMemory, interrupt, ioError, full:
		return true
	}
	return false
}

// sqliteCode returns the extended result code of a SQLite driver's error, 0 for any other error.
// github.com/glebarez/go-sqlite and modernc.org/sqlite have a method, github.com/mattn/go-sqlite3 has
// a field; this package links neither.
func sqliteCode(err error) int {
	for ; err != nil; err = errors.Unwrap(err) {
		if coded, ok := err.(interface{ Code() int }); ok {
			return coded.Code()
		}
		v := reflect.ValueOf(err)
		if v.Kind() != reflect.Struct {
			continue
		}
		code, extended := v.FieldByName("Code"), v.FieldByName("ExtendedCode")
		if code.IsValid() && extended.IsValid() && code.CanInt() && extended.CanInt() {
			return int(max(code.Int(), extended.Int()))
		}
	}
	return 0
}

// ended returns the error of ctx, with its cause, if it has ended.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}
