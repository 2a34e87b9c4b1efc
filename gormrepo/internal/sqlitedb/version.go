package sqlitedb

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/oauthstore/oauthstore/repository"
)

// CheckVersion refuses the versions of SQLite in which two connections that write and checkpoint a WAL
// database can corrupt it: 3.7.0 to 3.51.2 but for the backports 3.44.6 and 3.50.7
// (sqlite.org/wal.html, "the WAL-reset bug").
func CheckVersion(version string) error {
	major, minor, patch, err := parseVersion(version)
	if err != nil {
		return err
	}
	if major != 3 || minor > 51 || minor == 51 && patch >= 3 ||
		minor == 50 && patch >= 7 || minor == 44 && patch >= 6 {
		return nil
	}
	return fmt.Errorf("%w: SQLite %s can corrupt a WAL database (sqlite.org/wal.html, the WAL-reset bug): "+
		"3.51.3 or later, 3.50.7 or 3.44.6 is needed; raise the driver in go.mod", repository.ErrInvalid, version)
}

func parseVersion(version string) (major, minor, patch int, err error) {
	parts := strings.Split(version, ".")
	if len(parts) < 3 {
		return 0, 0, 0, fmt.Errorf("%w: SQLite calls its version %q", repository.ErrInvalid, version)
	}
	var numbers [3]int
	for i := range numbers {
		if numbers[i], err = strconv.Atoi(parts[i]); err != nil || numbers[i] < 0 {
			return 0, 0, 0, fmt.Errorf("%w: SQLite calls its version %q", repository.ErrInvalid, version)
		}
	}
	if numbers[0] < 3 {
		return 0, 0, 0, fmt.Errorf("%w: SQLite %s is older than 3", repository.ErrInvalid, version)
	}
	return numbers[0], numbers[1], numbers[2], nil
}
