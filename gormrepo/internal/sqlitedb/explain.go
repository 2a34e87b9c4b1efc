package sqlitedb

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/oauthstore/oauthstore/gormrepo/internal/sqlitecode"
)

// The result codes of SQLite that say that a file cannot be used, without saying which and why.
const (
	sqlitePermission = 3
	sqliteReadOnly   = 8
	sqliteCannotOpen = 14
)

// openError is an error of a driver, in the words of the system. The driver's may be misleading:
// "out of memory" for a file that belongs to somebody else.
type openError struct {
	why    error
	driver error
}

func (e *openError) Error() string { return "cannot open the database: " + e.why.Error() }

func (e *openError) Unwrap() []error { return []error{e.why, e.driver} }

// explained returns err, or says what is in the way if err is SQLite's that it cannot use the files
// of the database at path. It opens none of them: to close it again would drop the POSIX locks that
// SQLite holds in this process.
func explained(path string, err error) error {
	code := sqlitecode.Of(err) & 0xff
	if path == Memory || code != sqlitePermission && code != sqliteReadOnly && code != sqliteCannotOpen {
		return err
	}
	why := whatDenies(path)
	if why == nil {
		why = noDescriptors(path)
	}
	switch {
	case why != nil:
		return &openError{why, err}
	case code == sqliteCannotOpen:
		return &openError{fmt.Errorf("SQLite cannot use %s or a file beside it, for a reason that is not to be seen "+
			"(result code %d; it takes no path longer than 504 bytes)", path, sqlitecode.Of(err)), err}
	}
	return err
}

// noDescriptors returns an error if the process cannot have as many open files as a connection: the
// database, the -wal and the -shm.
func noDescriptors(path string) error {
	for range 3 {
		file, err := os.Open(os.DevNull)
		for _, limit := range []error{syscall.EMFILE, syscall.ENFILE} {
			if errors.Is(err, limit) {
				return fmt.Errorf("%w: %s and the files beside it take three", limit, path)
			}
		}
		if err == nil {
			defer file.Close() //nolint:errcheck // nothing was written
		}
	}
	return nil
}
