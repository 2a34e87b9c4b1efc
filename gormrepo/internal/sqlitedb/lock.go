package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/oauthstore/oauthstore/gormrepo/internal/dbfile"
)

// lockSuffix is added to the name of the database.
const lockSuffix = ".lock"

// writerLock is a file beside the database that the writing process holds. SQLite's own locks
// decide who may write; but it waits for them by polling, in no order, and the kernel's queue is
// short and fair. The Store sees to it that one goroutine at a time calls Lock, or holds it.
type writerLock struct {
	file      *os.File
	abandoned chan struct{} // closed when a wait whose caller gave up has ended, and let go
}

func openWriterLock(path string) (*writerLock, error) {
	file, err := os.OpenFile(path+lockSuffix, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the caller's path
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock file of the database: %w", err)
	}
	if err := dbfile.GiveToOwner(path+lockSuffix, path); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &writerLock{file: file}, nil
}

// Lock waits until this process may write, or ctx ends.
func (l *writerLock) Lock(ctx context.Context) (release func(), err error) {
	if l.abandoned != nil {
		select {
		case <-l.abandoned:
			l.abandoned = nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	held, err := tryLock(l.file)
	if err == nil && !held {
		err = l.wait(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("lock file of the database: %w", err)
	}
	return l.release, nil
}

// wait queues in the kernel, where ctx does not reach: a wait that ctx ended lets go when its turn
// comes.
func (l *writerLock) wait(ctx context.Context) error {
	turn := make(chan error, 1)
	go func() { turn <- waitLock(l.file) }()
	select {
	case err := <-turn:
		return err
	case <-ctx.Done():
	}
	abandoned := make(chan struct{})
	l.abandoned = abandoned
	go func() {
		defer close(abandoned)
		if <-turn == nil {
			l.release()
		}
	}()
	return ctx.Err()
}

// release cannot fail in a way that matters: closing the file at the latest gives the lock back.
func (l *writerLock) release() { _ = unlock(l.file) }

// Close closes the file, and does not wait for a lock that was given up: the kernel may hand that
// over at any time, or never if the process that has it is stopped. The file is closed when it
// comes.
func (l *writerLock) Close() error {
	if l.abandoned == nil {
		return l.file.Close()
	}
	select {
	case <-l.abandoned:
		return l.file.Close()
	default:
	}
	go func() {
		<-l.abandoned
		_ = l.file.Close() // nobody is there to be told
	}()
	return nil
}
