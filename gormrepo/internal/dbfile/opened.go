package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// Opened are the files of a database that is open, in WAL mode.
type Opened struct {
	names  []string
	files  []fs.FileInfo
	mu     sync.Mutex
	failed error // once it is set, for good
}

// Remember returns the files of the database at path as they are now that it is open.
func Remember(path string) (*Opened, error) {
	o := &Opened{names: []string{path, path + "-wal", path + "-shm"}}
	for _, name := range o.names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("cannot look at %s: %w", name, err)
		}
		o.files = append(o.files, info)
	}
	return o, nil
}

// Intact returns an error if one of the files was removed or replaced since Remember, from then on each time. A
// file that cannot be looked at is no evidence.
func (o *Opened) Intact() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, name := range o.names {
		if o.failed != nil {
			break
		}
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			o.failed = fmt.Errorf("%s was removed while it was open: close the store, and restore the database", name)
		case err == nil && !os.SameFile(o.files[i], info):
			o.failed = fmt.Errorf("%s was replaced while it was open: close the store, and open it again", name)
		}
	}
	return o.failed
}
