package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestProcessesWhoseLockFileIsRemovedShareOneLinearizableDatabase removes the lock file while two
// processes work. The two that begin then make another one, and so wait for each other, but not for
// the first two: between these and those, SQLite's own locks decide who writes.
func TestProcessesWhoseLockFileIsRemovedShareOneLinearizableDatabase(t *testing.T) {
	const rounds, apart = 5, 100_000_000 // families of one round from those of the next
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := dbPath(t)
			create(t, d.backend(), path)
			var events []event
			met := 0
			for round := 0; met == 0 && round < rounds; round++ {
				events = append(events, untilTheyMeet(t, func(first int) []event {
					return runWithoutLockFile(t, d, path, round*apart+first)
				})...)
				met = allRaces(bySide(events))
			}
			if met == 0 {
				t.Error("the two sides have not met")
			}
			events = withDatabase(t, d.backend(), path, events)
			isLinearizable(t, events)
			isIntact(t, d, path)
			t.Logf("%d calls; codes: %d won, %d lost; rotations: %d won, %d lost; %d lost to the side with the other lock file",
				len(events), count(events, opConsume, done), count(events, opConsume, consumed),
				count(events, opRotate, done), count(events, opRotate, consumed), met)
		})
	}
}

// early is how many workers begin with the lock file that is removed.
const early = 2

func runWithoutLockFile(t *testing.T, d sqliteDriver, path string, first int) []event {
	t.Helper()
	all := startWaiting(t, workerSpec{Backend: d.name, Address: path, First: first, Length: 3 * time.Second})
	begin(t, all[:early])
	for _, p := range all[:early] {
		awaitHistory(t, p)
	}
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	begin(t, all[early:])
	wait(t, all)
	return ends(t, all)
}

// bySide takes all workers with the same lock file for one.
func bySide(events []event) []event {
	sides := slices.Clone(events)
	for i := range sides {
		sides[i].Worker = (sides[i].Worker - 1) / early
	}
	return sides
}

// startWaiting starts the workers of a run, each of which waits for begin.
func startWaiting(t *testing.T, spec workerSpec) (all []*process) {
	t.Helper()
	dir := t.TempDir()
	spec.Began = clock() + int64(2*time.Second) // when they all are ready
	for i := range workers {
		spec.Worker, spec.History = i+1, filepath.Join(dir, fmt.Sprint(i, ".json"))
		all = append(all, startWorker(t, spec))
	}
	return all
}

func begin(t *testing.T, all []*process) {
	t.Helper()
	for _, p := range all {
		if err := p.begin.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
