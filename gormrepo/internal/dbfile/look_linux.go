package dbfile

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// look returns how many names the file has, 0 if there is none, and whether it is the root of a
// mount.
func look(path string) (names int, mounted bool, err error) {
	var stat unix.Statx_t
	err = unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_NLINK, &stat)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOSYS): // before Linux 4.11, nobody knows
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("cannot look at %s: %w", path, err)
	}
	const root = unix.STATX_ATTR_MOUNT_ROOT
	return int(stat.Nlink), stat.Attributes_mask&stat.Attributes&root != 0, nil
}

// Rename gives a file a name that no other file has. fs.ErrExist if one has it.
func Rename(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err != nil {
		return fmt.Errorf("renaming: %w", err)
	}
	return nil
}

// identity tells a file from all others.
type identity struct {
	major, minor uint32
	inode        uint64
}

// identityOf asks for nothing else: since Linux 6.13, whoever asks for the times of a file makes
// its next write note them exactly, and the sync after that a third longer.
func identityOf(path string) (identity, error) {
	var stat unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO, &stat); err != nil {
		return identity{}, fmt.Errorf("cannot look at %s: %w", path, err)
	}
	return identity{stat.Dev_major, stat.Dev_minor, stat.Ino}, nil
}

func (i identity) same(other identity) bool { return i == other }
