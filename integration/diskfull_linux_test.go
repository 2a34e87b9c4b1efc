package integration_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// TestADiskThatFillsUpLosesNothingThatWasAcknowledged fills the disk while sixteen writers work.
// Once there is space again they go on, with the same store.
func TestADiskThatFillsUpLosesNothingThatWasAcknowledged(t *testing.T) {
	for _, d := range sqliteDrivers {
		for name, pinned := range map[string]bool{"": false, ", while a reader pins the WAL": true} {
			t.Run(d.name+name, func(t *testing.T) {
				path := filepath.Join(smallDisk(t, 16<<20), "oauth.db")
				ballast := filepath.Join(filepath.Dir(path), "ballast")
				create(t, d.backend(), path)
				store, err := d.open(t.Context(), path, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				c := newCrew()
				c.succeeds(t, store, 20, "before")
				release, grown := func() {}, 0
				if pinned {
					release = pinWAL(t, d, path)
					grown = grow(t, store, path+"-wal", 6<<20) // it would begin anew after 4 MiB
				}

				filled := make(chan error, 1)
				go func() { filled <- fillUp(ballast) }()
				refused := c.fails(t, store, 5)
				if err := <-filled; err != nil {
					t.Fatal(err)
				}
				for _, err := range refused {
					if !strings.Contains(err.Error(), "full") {
						t.Errorf("a refused call: %v", err)
					}
				}
				if _, err := store.Clients().Get(t.Context(), theClient); err != nil {
					t.Errorf("a read: %v", err)
				}
				opensOrSaysWhy(t, d, path)
				opensOrSaysWhy(t, d, filepath.Join(filepath.Dir(path), "new.db"))
				c.fails(t, store, 1)

				if err := os.Remove(ballast); err != nil {
					t.Fatal(err)
				}
				c.succeeds(t, store, 20, "with space again")
				release()
				c.succeeds(t, store, 20, "at last")
				if err := store.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				acknowledged, refusals := c.isKept(t, d, path)
				opened(t, d.backend(), path, func(store repository.Store) {
					if stats, err := store.Stats(t.Context()); err != nil || stats.Clients != int64(1+grown) {
						t.Errorf("%d large clients were created, %d clients are there, %v", grown, stats.Clients, err)
					}
				})
				t.Logf("%d writes were acknowledged, %d calls refused", grown+acknowledged, refusals)
			})
		}
	}
}

// TestAStoreThatIsClosedOnAFullDiskLosesNothingThatWasAcknowledged leaves the WAL behind, which has
// no room in the database.
func TestAStoreThatIsClosedOnAFullDiskLosesNothingThatWasAcknowledged(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := filepath.Join(smallDisk(t, 8<<20), "oauth.db")
			ballast := filepath.Join(filepath.Dir(path), "ballast")
			create(t, d.backend(), path)
			c := newCrew()
			opened(t, d.backend(), path, func(store repository.Store) {
				c.succeeds(t, store, 20, "before")
				if err := fillUp(ballast); err != nil {
					t.Fatal(err)
				}
				c.fails(t, store, 5)
			})
			left := size(t, path+"-wal")
			if left == 0 {
				t.Error("there was room for the WAL in the database")
			}
			opensOrSaysWhy(t, d, path)
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			opened(t, d.backend(), path, func(store repository.Store) { c.succeeds(t, store, 20, "with space again") })
			acknowledged, refused := c.isKept(t, d, path)
			t.Logf("%d writes were acknowledged, %d calls refused, %d bytes of WAL left", acknowledged, refused, left)
		})
	}
}

// smallDisk mounts a file system of so many bytes and returns its directory.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", bytes)); err != nil {
		if errors.Is(err, syscall.EPERM) {
			t.Skip("only root can mount a file system")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillUp writes to a file until nothing fits on its disk.
func fillUp(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	for page := make([]byte, os.Getpagesize()); err == nil; {
		_, err = file.Write(page)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return errors.Join(err, file.Close())
}

// pinWAL begins a transaction that reads, and keeps SQLite from beginning the WAL anew until
// release is called.
func pinWAL(t *testing.T, d sqliteDriver, path string) (release func()) {
	t.Helper()
	pool, err := plainGORM(t, d, path, &gorm.Config{}).DB()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"BEGIN", "SELECT count(*) FROM oauth_clients"} {
		if _, err := conn.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if _, err := conn.ExecContext(t.Context(), "COMMIT"); err != nil {
			t.Error(err)
		}
		if err := errors.Join(conn.Close(), pool.Close()); err != nil {
			t.Error(err)
		}
	}
}

// grow creates large clients until a file is as large as that, and returns how many.
func grow(t *testing.T, store repository.Store, path string, until int64) (n int) {
	t.Helper()
	for ; size(t, path) < until; n++ {
		c := domain.Client{ID: fmt.Sprint("large-", n), Kind: domain.Dynamic}
		c.Metadata.ClientName = strings.Repeat("x", 200<<10)
		if err := store.Clients().Create(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// opensOrSaysWhy opens a database while nothing fits on the disk.
func opensOrSaysWhy(t *testing.T, d sqliteDriver, path string) {
	t.Helper()
	store, err := d.open(t.Context(), path, nil)
	if err != nil {
		says := strings.Contains(err.Error(), "full") || errors.Is(err, syscall.ENOSPC)
		if !says || !strings.Contains(err.Error(), path) {
			t.Errorf("the error of Open does not say what is wrong: %v", err)
		}
		return
	}
	if _, err := store.Clients().List(t.Context(), repository.Page{}); err != nil {
		t.Errorf("a read in a second store: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Errorf("Close of a second store: %v", err)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
