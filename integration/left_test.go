package integration_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/cleanup"
)

func TestCloseLeavesNoGoroutineAndNothingOpen(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) { leavesNothing(t, d.backend(), dbPath(t)) })
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) { leavesNothing(t, s.backend(), s.database(t)) })
	}
}

func leavesNothing(t *testing.T, b backend, address string) {
	t.Helper()
	left := noted()
	opened(t, b, address, func(store repository.Store) {
		cleaner := cleanup.Start(store, &cleanup.Options{Logger: slog.New(slog.DiscardHandler)})
		defer cleaner.Stop()
		l := &lifecycle{now: time.Now()}
		l.run(t, store)
	})
	if err := left(); err != nil {
		t.Error(err)
	}
}

// noted takes down which goroutines run and what is open. left waits a moment for those to end that are ending,
// and returns an error that names what has come to them.
func noted() (left func() error) {
	before, goroutines := openFiles(), goleak.IgnoreCurrent()
	return func() error {
		if err := goleak.Find(goroutines); err != nil {
			return fmt.Errorf("after Close: %w", err)
		}
		if more := without(openFiles(), before); len(more) > 0 {
			return fmt.Errorf("open after Close, and not before Open: %q", more)
		}
		return nil
	}
}

// without returns names with one less of each that is in others.
func without(names, others []string) []string {
	for _, other := range others {
		if i := slices.Index(names, other); i >= 0 {
			names = slices.Delete(names, i, i+1)
		}
	}
	return names
}

// openFiles returns what this process has open, files and connections, where the system tells it as Linux does.
func openFiles() []string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var all []string
	for _, e := range entries {
		name, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err == nil && !strings.HasPrefix(name, "anon_inode:") { // the runtime's own, for the first connection
			all = append(all, name)
		}
	}
	return all
}
