//go:build unix

package sqlitedb

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

func TestAWaitForTheWriterLockEndsWithItsContextAndIsForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oauth.db")
	ours, theirs := mustLock(t, path), mustLock(t, path)
	release, err := theirs.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := ours.Lock(ctx); err == nil {
		t.Fatal("two hold the lock")
	}
	release()
	again, err := ours.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again()
	if release, err = theirs.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
}

func mustLock(t *testing.T, path string) *writerLock {
	t.Helper()
	lock, err := openWriterLock(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Close() })
	return lock
}
