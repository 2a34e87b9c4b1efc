//go:build unix

package sqlitedb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// whatDenies returns why this process may not use the files of the database at path, or nil. It
// asks whether it may open them, and opens none.
func whatDenies(path string) error {
	if err := allowed(path, unix.R_OK|unix.W_OK, "read and write"); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		err := allowed(path+suffix, unix.R_OK|unix.W_OK, "read and write")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return allowed(filepath.Dir(path), unix.W_OK|unix.X_OK, "create files in")
}

// allowed asks for the effective user, as who a file is opened.
func allowed(name string, how uint32, doing string) error {
	err := unix.Faccessat(unix.AT_FDCWD, name, how, unix.AT_EACCESS)
	if !errors.Is(err, fs.ErrPermission) {
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return err
	}
	who := fmt.Sprint("uid ", os.Geteuid())
	whose := ""
	if info, errStat := os.Stat(name); errStat == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			whose = fmt.Sprintf(", which belongs to uid %d and has mode %#o", stat.Uid, info.Mode().Perm())
		}
	}
	return fmt.Errorf("%w: %s may not %s %s%s", err, who, doing, name, whose)
}
