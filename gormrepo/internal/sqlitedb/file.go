package sqlitedb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/oauthstore/oauthstore/gormrepo/internal/dbfile"
	"github.com/oauthstore/oauthstore/repository"
)

// Memory is the path of a database that lives in memory, one per Store.
const Memory = ":memory:"

// prepareFile makes the directory (0700) and an empty database file (0600) where they are missing,
// and refuses what cannot be a database. It never opens an existing file: closing it again would
// drop the POSIX locks that SQLite holds in this process (sqlite.org/howtocorrupt.html).
func prepareFile(path string, allowNetwork bool) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of %s: %w", path, err)
	}
	if !allowNetwork {
		if err := refuseNetwork(dir, path); err != nil {
			return err
		}
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createFile(dir, path)
	}
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", path, err)
	}
	if err := checkFile(path, info); err != nil {
		return err
	}
	return dbfile.HasOneName(path)
}

func checkFile(path string, info fs.FileInfo) error {
	mode := info.Mode()
	switch {
	case mode.IsDir():
		return fmt.Errorf("%w: %s is a directory, not a database file", repository.ErrInvalid, path)
	case !mode.IsRegular():
		return fmt.Errorf("%w: %s is not a regular file", repository.ErrInvalid, path)
	case mode.Perm()&0o200 == 0:
		return fmt.Errorf("%w: %s is read-only: its owner must be able to write it", repository.ErrInvalid, path)
	}
	return nil
}

// protect takes the permissions of everybody but the owner from the files of the database.
func protect(path string) error {
	for _, name := range []string{path, path + "-wal", path + "-shm", path + lockSuffix} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().Perm() != 0o600 {
			err = os.Chmod(name, 0o600)
		}
		if err != nil {
			return fmt.Errorf("cannot make %s readable by its owner alone: %w", name, err)
		}
	}
	return nil
}

// createFile makes an empty file under another name and renames it to path: so no descriptor of the
// database itself is ever closed here, even if somebody else creates it at the same moment, and it
// never has two names.
func createFile(dir, path string) error {
	removeAbandoned(dir)
	temp, err := os.CreateTemp(dir, dbfile.TempPattern)
	if err != nil {
		return fmt.Errorf("cannot create %s: %w", path, err)
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it has its new name, or a later call removes it
	if err := errors.Join(temp.Chmod(0o600), temp.Close()); err != nil {
		return fmt.Errorf("cannot create %s: %w", path, err)
	}
	err = dbfile.Rename(temp.Name(), path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return createPlainly(path)
	}
	return nil
}

// removeAbandoned removes what a call that was killed has left behind: an empty file of an hour
// ago.
func removeAbandoned(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		ours, _ := filepath.Match(dbfile.TempPattern, entry.Name())
		if info, err := entry.Info(); ours && err == nil && info.Size() == 0 && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(dir, entry.Name())) // it is harmless
		}
	}
}

// createPlainly serves file systems that cannot rename without replacing.
func createPlainly(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the caller's path
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot create %s: %w", path, err)
	}
	if err := errors.Join(file.Chmod(0o600), file.Close()); err != nil {
		return fmt.Errorf("cannot create %s: %w", path, err)
	}
	return nil
}
