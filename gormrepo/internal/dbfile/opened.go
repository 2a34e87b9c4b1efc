package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// Opened are the files of a database that is open, in WAL mode.
type Opened struct {
	files  []file
	mu     sync.Mutex
	failed error // once it is set, for good
}

type file struct {
	name string
	id   identity
}

// Remember returns the files of the database at path as they are now that it is open. One that
// cannot be looked at is left out.
func Remember(path string) *Opened {
	var o Opened
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if id, err := identityOf(name); err == nil {
			o.files = append(o.files, file{name, id})
		}
	}
	return &o
}

// Intact returns an error if one of the files was removed or replaced since Remember, from then on
// each time. A file that cannot be looked at is no evidence.
func (o *Opened) Intact() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.files {
		if o.failed != nil {
			break
		}
		id, err := identityOf(f.name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			o.failed = fmt.Errorf("%s was removed while it was open: close the store, and restore the database", f.name)
		case err == nil && !id.same(f.id):
			o.failed = fmt.Errorf("%s was replaced while it was open: close the store, and open it again", f.name)
		}
	}
	return o.failed
}
