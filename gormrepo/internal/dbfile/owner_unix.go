//go:build unix

package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// GiveToOwner gives the file name to the owner and group of the file of, if this is root: as SQLite
// does with its own files, so that the service whose database it is can go on.
func GiveToOwner(name, of string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(of)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", of, err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if err := os.Lchown(name, int(owner.Uid), int(owner.Gid)); err != nil {
		return fmt.Errorf("cannot give %s to the owner of %s: %w", name, of, err)
	}
	return nil
}
