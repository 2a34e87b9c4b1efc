package integration_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// TestNothingIsAcknowledgedThatNobodyCanReadAfterTheFilesAreGone takes files of the database away while it is open, or puts
// others in their place. Reads go on; each write and Ping says what has happened, and the store stays so.
func TestNothingIsAcknowledgedThatNobodyCanReadAfterTheFilesAreGone(t *testing.T) {
	remove := func(suffixes ...string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			for _, suffix := range suffixes {
				if err := os.Remove(path + suffix); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, tt := range map[string]struct {
		harm  func(t *testing.T, path string)
		wants string
	}{
		"the database is removed":                  {remove(""), "was removed"},
		"the -wal and the -shm are removed":        {remove("-wal", "-shm"), "was removed"},
		"the database and what is beside it":       {remove("", "-wal", "-shm", ".lock"), "was removed"},
		"another file is moved over the database":  {func(t *testing.T, path string) { t.Helper(); moveOver(t, path, "") }, "was replaced"},
		"another -wal is moved over that which is": {func(t *testing.T, path string) { t.Helper(); moveOver(t, path, "-wal") }, "was replaced"},
	} {
		for _, d := range sqliteDrivers {
			t.Run(d.name+", "+name, func(t *testing.T) {
				path := dbPath(t)
				store, err := d.open(t.Context(), path, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close() // whatever it says
				create := func(id string) error {
					return store.Clients().Create(t.Context(), domain.Client{ID: id, Kind: domain.Dynamic})
				}
				if err := errors.Join(create("before"), store.Ping(t.Context())); err != nil {
					t.Fatal(err)
				}
				tt.harm(t, path)
				err = store.InTx(t.Context(), func(tx repository.Repositories) error {
					return tx.Clients().Create(t.Context(), domain.Client{ID: "in a transaction", Kind: domain.Dynamic})
				})
				for _, err := range []error{err, create("after"), create("again")} {
					if !errors.Is(err, repository.ErrUnknownOutcome) || !strings.Contains(err.Error(), tt.wants) || !strings.Contains(err.Error(), path) {
						t.Errorf("a write: %v", err)
					}
				}
				if err := store.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), tt.wants) {
					t.Errorf("Ping: %v", err)
				}
				if _, err := store.Clients().Get(t.Context(), "before"); err != nil {
					t.Errorf("a read: %v", err)
				}
			})
		}
	}
}

// moveOver puts another file in the place of one.
func moveOver(t *testing.T, path, suffix string) {
	t.Helper()
	write(t, path+".copy", "another file")
	if err := os.Rename(path+".copy", path+suffix); err != nil {
		t.Fatal(err)
	}
}

// TestFilesThatStayAsTheyWereOpenedRaiseNoAlarm has two stores on a file, of which one is closed and opened again, while the
// other writes and checkpoints.
func TestFilesThatStayAsTheyWereOpenedRaiseNoAlarm(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := dbPath(t)
			store, err := d.open(t.Context(), path, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			for range 20 {
				other, err := d.open(t.Context(), path, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range []repository.Store{store, other, store} {
					if err := s.Clients().Create(t.Context(), domain.Client{ID: domain.NewID(), Kind: domain.Dynamic}); err != nil {
						t.Fatal(err)
					}
				}
				if err := errors.Join(other.Ping(t.Context()), other.Close(), store.Ping(t.Context())); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
