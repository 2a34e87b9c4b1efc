package integration_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/oauthstore/oauthstore/repository"
)

// TestAProcessThatRunsOutOfDescriptorsLosesNothingThatWasAcknowledged leaves a process none, then
// one, then two and so on, while sixteen writers work.
func TestAProcessThatRunsOutOfDescriptorsLosesNothingThatWasAcknowledged(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	const most = 12
	limit(t, syscall.RLIMIT_NOFILE, 64)
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := dbPath(t)
			create(t, d.backend(), path)
			c := newCrew()
			second := 0
			for free := range most + 1 {
				left := noted()
				opened(t, d.backend(), path, func(store repository.Store) {
					giveBack := takeDescriptors(t, free)
					other, err := d.open(t.Context(), path, nil)
					if err == nil {
						second++
						if err := other.Close(); err != nil {
							t.Error(err)
						}
					} else if !strings.Contains(err.Error(), path) || !saysWhy(err) {
						t.Errorf("with %d descriptors: %v", free, err)
					}
					c.each(func(w *writer) {
						for range 4 {
							w.call(t.Context(), store)
						}
					})
					giveBack()
					c.succeeds(t, store, 4, "with descriptors again")
				})
				if err := left(); err != nil {
					t.Error(err)
				}
			}
			acknowledged, refused := c.isKept(t, d, path)
			t.Logf("%d writes were acknowledged, %d calls refused; a second store opened in %d of %d cases",
				acknowledged, refused, second, most+1)
			if second == 0 || second == most+1 {
				t.Error("it did not run out of descriptors")
			}
		})
	}
}

// saysWhy reports whether err says that something cannot be opened. SQLite says no more than that.
func saysWhy(err error) bool {
	return errors.Is(err, syscall.EMFILE) || strings.Contains(err.Error(), "unable to open database file")
}

// takeDescriptors leaves the process so many of them, until giveBack is called.
func takeDescriptors(t *testing.T, free int) (giveBack func()) {
	t.Helper()
	var taken []*os.File
	for {
		file, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, file)
	}
	closing := func(files []*os.File) {
		for _, file := range files {
			_ = file.Close()
		}
	}
	closing(taken[:free])
	return func() { closing(taken[free:]) }
}

// TestAProcessWhoseFilesMayNotGrowLosesNothingThatWasAcknowledged has `ulimit -f` stop first the
// WAL, then the database that the WAL goes into when the store is closed.
func TestAProcessWhoseFilesMayNotGrowLosesNothingThatWasAcknowledged(t *testing.T) {
	if !inOwnProcess(t) {
		return
	}
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := dbPath(t)
			create(t, d.backend(), path)
			c := newCrew()
			var closing func()
			opened(t, d.backend(), path, func(store repository.Store) {
				c.succeeds(t, store, 20, "before")
				unlimit := limit(t, syscall.RLIMIT_FSIZE, uint64(size(t, path+"-wal")+50_000))
				c.fails(t, store, 5)
				opensOrSaysWhy(t, d, path)
				unlimit()
				c.succeeds(t, store, 20, "without a limit")
				closing = limit(t, syscall.RLIMIT_FSIZE, uint64(size(t, path)))
			})
			left := size(t, path+"-wal")
			closing()
			opened(t, d.backend(), path, func(store repository.Store) { c.succeeds(t, store, 20, "opened again") })
			acknowledged, refused := c.isKept(t, d, path)
			t.Logf("%d writes were acknowledged, %d calls refused, %d bytes of WAL left", acknowledged, refused, left)
		})
	}
}

// limit sets a limit of this process, until unlimit is called.
func limit(t *testing.T, which int, value uint64) (unlimit func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(which, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(which, &syscall.Rlimit{Cur: min(value, before.Max), Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(which, &before); err != nil {
			t.Error(err)
		}
	}
}
