// Package dbfile looks at the file of a SQLite database as the file system sees it.
package dbfile

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/oauthstore/oauthstore/repository"
)

// TempPattern is the name of a file that becomes a database under its own name.
const TempPattern = ".oauthstore-*"

// patience is how long a second name may last that a program of an earlier version gives to a file
// while it creates it.
const patience = 500 * time.Millisecond

// HasOneName returns nil if path is the only name of the file there, or if there is none. Else it
// returns ErrInvalid, with the way out. SQLite names the write-ahead log after the path: under two
// names, two logs would belong to one file, each program would miss what the other has
// acknowledged, and the file would break (sqlite.org/howtocorrupt.html). A symbolic link is no
// second name: SQLite follows it.
func HasOneName(path string) error {
	for waited := time.Duration(0); ; {
		names, mounted, err := look(path)
		switch {
		case err != nil:
			return err
		case mounted:
			return fmt.Errorf("%w: %s is mounted by itself, under a name of its own: mount the directory that it is in, "+
				"with the -wal beside it", repository.ErrInvalid, path)
		case names < 2:
			return nil
		case waited >= patience:
			return fmt.Errorf("%w: %s has another name, a hard link, and SQLite takes the two for two databases: "+
				"remove the other name, or make a copy or a symbolic link of the file", repository.ErrInvalid, path)
		}
		removeLeftover(path)
		const step = 10 * time.Millisecond
		<-time.After(step)
		waited += step
	}
}

// removeLeftover removes the second name that a program of an earlier version has left to the file
// when it was killed.
func removeLeftover(path string) {
	file, err := os.Stat(path)
	if err != nil {
		return
	}
	dir := filepath.Dir(path)
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		ours, _ := filepath.Match(TempPattern, entry.Name())
		if other, err := entry.Info(); ours && err == nil && os.SameFile(file, other) {
			_ = os.Remove(filepath.Join(dir, entry.Name())) // if it stays, the file is refused
		}
	}
}
