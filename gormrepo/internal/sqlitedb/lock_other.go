//go:build !unix

package sqlitedb

import "os"

// Without flock, SQLite's own locks do all the work: correct, but with longer waits between processes.

func tryLock(*os.File) (bool, error) { return true, nil }

func waitLock(*os.File) error { return nil }

func unlock(*os.File) error { return nil }
