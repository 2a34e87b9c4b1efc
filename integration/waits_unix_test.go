//go:build unix

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/repository"
)

// soon is later than any wait of ten seconds, and earlier than two of them.
const soon = 18 * time.Second

// returns fails if fn has not returned soon.
func returns(t *testing.T, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
	case <-time.After(soon):
		t.Errorf("%s has not returned after %v", what, soon)
	}
}

// TestCallsThatWaitForAnotherProgramWaitTenSecondsEach has another program in a transaction that writes. The calls, which have
// no deadline, arrive together, and each waits its own ten seconds, however many wait before it.
func TestCallsThatWaitForAnotherProgramWaitTenSecondsEach(t *testing.T) {
	for _, d := range sqliteDrivers {
		for _, handle := range []string{"a file of its own", "an application's handle"} {
			t.Run(d.name+", "+handle, func(t *testing.T) {
				t.Parallel()
				path := dbPath(t)
				store, err := d.open(t.Context(), path, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				if handle == "an application's handle" {
					if store, err = gormrepo.New(plainGORM(t, d, path, &gorm.Config{}), nil); err != nil {
						t.Fatal(err)
					}
				}
				err = plainGORM(t, d, path, &gorm.Config{}).Connection(func(other *gorm.DB) error {
					if err := other.Exec("BEGIN IMMEDIATE").Error; err != nil {
						return err
					}
					defer other.Exec("ROLLBACK")
					returns(t, "one of four calls", func() {
						var all sync.WaitGroup
						for i := range 4 {
							all.Go(func() {
								c := domain.Client{ID: fmt.Sprint("c", i), Kind: domain.Dynamic}
								if err := store.Clients().Create(context.Background(), c); !errors.Is(err, repository.ErrBusy) ||
									errors.Is(err, context.DeadlineExceeded) {
									t.Errorf("got %v", err)
								}
							})
						}
						all.Wait()
					})
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := store.Clients().Create(t.Context(), domain.Client{ID: "c0", Kind: domain.Dynamic}); err != nil {
					t.Errorf("once it has ended: %v", err)
				}
			})
		}
	}
}

// TestAStoppedProcessThatHoldsTheLockFileStopsNobodyForEver has the lock file locked from the beginning to the end, as a
// process does that was stopped in a transaction.
func TestAStoppedProcessThatHoldsTheLockFileStopsNobodyForEver(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			path := dbPath(t)
			store, err := d.open(t.Context(), path, nil)
			if err != nil {
				t.Fatal(err)
			}
			file, err := os.OpenFile(path+".lock", os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			create := func(ctx context.Context, id string) error {
				return store.Clients().Create(ctx, domain.Client{ID: id, Kind: domain.Dynamic})
			}
			returns(t, "Open with a deadline", func() {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if _, err := d.open(ctx, path, nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Open: %v", err)
				}
			})
			returns(t, "a write with a deadline", func() {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if err := create(ctx, "deadline"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("with a deadline: %v", err)
				}
			})
			returns(t, "a write without a deadline", func() {
				if err := create(context.Background(), "none"); !errors.Is(err, repository.ErrBusy) {
					t.Errorf("without a deadline: %v", err)
				}
			})
			if stats, err := store.Stats(t.Context()); err != nil || stats.Clients != 0 {
				t.Errorf("%d clients are there, %v", stats.Clients, err)
			}
			returns(t, "Close", func() {
				if err := store.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}
