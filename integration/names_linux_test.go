package integration_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/repository"
)

// TestAFileUnderTwoNamesIsRefusedUnderBoth: SQLite would keep a WAL for each name, and one token would have two winners.
func TestAFileUnderTwoNamesIsRefusedUnderBoth(t *testing.T) {
	for _, d := range sqliteDrivers {
		for name, second := range map[string]struct {
			give  func(t *testing.T, path, other string)
			both  bool // whether the first name is refused too
			wants string
		}{
			"a hard link": {func(t *testing.T, path, other string) {
				t.Helper()
				if err := os.Link(path, other); err != nil {
					t.Fatal(err)
				}
			}, true, "hard link"},
			"a mount": {func(t *testing.T, path, other string) {
				t.Helper()
				write(t, other, "")
				if err := syscall.Mount(path, other, "", syscall.MS_BIND, ""); err != nil {
					if errors.Is(err, syscall.EPERM) {
						t.Skip("only root can mount a file")
					}
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := syscall.Unmount(other, 0); err != nil {
						t.Error(err)
					}
				})
			}, false, "mount the directory"},
		} {
			t.Run(d.name+", "+name, func(t *testing.T) {
				path, other := dbPath(t), filepath.Join(t.TempDir(), "other.db")
				closedDatabase(t, path)
				if err := os.Chmod(path, 0o640); err != nil {
					t.Fatal(err)
				}
				second.give(t, path, other)
				refused := []string{other}
				if second.both {
					refused = append(refused, path)
				}
				for _, p := range refused {
					store, err := d.open(t.Context(), p, nil)
					if err == nil {
						_ = store.Close()
					}
					_, errNew := gormrepo.New(plainGORM(t, d, p, &gorm.Config{}), nil)
					for _, err := range []error{err, errNew} {
						if !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), second.wants) || !strings.Contains(err.Error(), p) {
							t.Errorf("got %v", err)
						}
					}
					wantMode(t, p, 0o640)
				}
				if _, err := os.Stat(other + ".lock"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("a lock file lies beside it: %v", err)
				}
			})
		}
	}
}

// TestASymbolicLinkIsTheFileThatItLeadsTo writes through a link and through the file itself, with one lock file.
func TestASymbolicLinkIsTheFileThatItLeadsTo(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path, link := dbPath(t), filepath.Join(t.TempDir(), "link.db")
			closedDatabase(t, path)
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			for i, p := range []string{path, link} {
				store, err := d.open(t.Context(), p, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				if err := store.Clients().Create(t.Context(), domain.Client{ID: fmt.Sprint("c", i), Kind: domain.Dynamic}); err != nil {
					t.Fatal(err)
				}
				if stats, err := store.Stats(t.Context()); err != nil || stats.Clients != int64(i+1) {
					t.Errorf("%s: %d clients, %v", p, stats.Clients, err)
				}
			}
			for _, suffix := range []string{"-wal", "-shm", ".lock"} {
				if _, err := os.Stat(link + suffix); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s lies beside the link: %v", suffix, err)
				}
			}
		})
	}
}

// TestAFileThatIsCreatedHasOneNameAllTheTime looks at the number of its names while eight calls at once create it.
func TestAFileThatIsCreatedHasOneNameAllTheTime(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			var looked, seen atomic.Int64
			for range 20 {
				path := dbPath(t)
				var stop atomic.Bool
				var all, watch sync.WaitGroup
				watch.Go(func() {
					for !stop.Load() {
						var stat syscall.Stat_t
						if syscall.Stat(path, &stat) == nil {
							looked.Add(1)
							if stat.Nlink != 1 {
								seen.Add(1)
							}
						}
					}
				})
				for range 8 {
					all.Go(func() {
						store, err := d.open(t.Context(), path, nil)
						if err == nil {
							err = store.Close()
						}
						if err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				stop.Store(true)
				watch.Wait()
				if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".oauthstore-*")); len(left) > 0 {
					t.Errorf("left behind: %d", len(left))
				}
			}
			if looked.Load() == 0 || seen.Load() > 0 {
				t.Errorf("in %d of %d looks it had two names", seen.Load(), looked.Load())
			}
		})
	}
}

// TestTheSecondNameThatAKilledProgramLeftIsRemoved: version 1 gave a new file its name by a link.
func TestTheSecondNameThatAKilledProgramLeftIsRemoved(t *testing.T) {
	path := dbPath(t)
	closedDatabase(t, path)
	left := filepath.Join(filepath.Dir(path), ".oauthstore-123")
	if err := os.Link(path, left); err != nil {
		t.Fatal(err)
	}
	closedDatabase(t, path)
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
}

// TestRootLeavesTheFilesToTheOwnerOfTheDatabase works as root on a database of somebody else's.
func TestRootLeavesTheFilesToTheOwnerOfTheDatabase(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	const nobody = 65534
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := dbPath(t)
			closedDatabase(t, path)
			for _, name := range []string{filepath.Dir(path), path} {
				if err := os.Chown(name, nobody, nobody); err != nil {
					t.Fatal(err)
				}
			}
			store, err := d.open(t.Context(), path, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if err := store.Clients().Create(t.Context(), domain.Client{ID: "c", Kind: domain.Dynamic}); err != nil {
				t.Fatal(err)
			}
			for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
				var stat syscall.Stat_t
				if err := syscall.Stat(path+suffix, &stat); err != nil || stat.Uid != nobody || stat.Gid != nobody {
					t.Errorf("%s belongs to %d:%d, %v", suffix, stat.Uid, stat.Gid, err)
				}
				wantMode(t, path+suffix, 0o600)
			}
		})
	}
}
