package integration_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

const workers = 4

// run starts the workers of one random run, on a database that exists. Those above together work alone.
func run(t *testing.T, b backend, address string, together, first int, length time.Duration) []*process {
	t.Helper()
	return runAs(t, workerSpec{Backend: b.name, Address: address, First: first, Length: length}, together)
}

func runAs(t *testing.T, spec workerSpec, together int) []*process {
	t.Helper()
	dir := t.TempDir()
	spec.Began = clock()
	var all []*process
	for i := range workers {
		spec.Worker, spec.Alone = i+1, i >= together
		spec.History = filepath.Join(dir, fmt.Sprint(i, ".json"))
		all = append(all, startWorker(t, spec))
	}
	for _, p := range all {
		if err := p.begin.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// create makes the database, with the client that everything belongs to.
func create(t *testing.T, b backend, address string) {
	t.Helper()
	opened(t, b, address, func(store repository.Store) {
		if err := store.Clients().Create(t.Context(), domain.Client{ID: theClient, Kind: domain.Dynamic}); err != nil {
			t.Fatal(err)
		}
	})
}

func opened(t *testing.T, b backend, address string, use func(store repository.Store)) {
	t.Helper()
	store, err := b.open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	use(store)
}

// ends returns the history of processes that have ended. A call that was killed has no result, and ends with
// its process at the latest: later reads all see it, or none does.
func ends(t *testing.T, all []*process) []event {
	t.Helper()
	now := clock()
	var events []event
	for _, p := range all {
		events = append(events, readHistory(t, p.spec.History)...)
	}
	for i := range events {
		if events[i].Ended == 0 {
			events[i].Ended = now
		}
	}
	return events
}

// withDatabase adds, as calls after events, what is in the database now.
func withDatabase(t *testing.T, b backend, address string, events []event) []event {
	t.Helper()
	var families []int
	for _, e := range events {
		families = append(families, e.Family)
	}
	slices.Sort(families)
	opened(t, b, address, func(store repository.Store) {
		for _, f := range slices.Compact(families) {
			looks := []event{{Family: f, Op: opGetGrant}, {Family: f, Op: opGetCode}}
			for i := range chain {
				looks = append(looks, event{Family: f, Op: opGetToken, Token: i})
			}
			for _, e := range looks {
				var err error
				e.Began = clock()
				if e.Result, err = e.run(t.Context(), store); err != nil {
					t.Fatal(err)
				}
				e.Ended = clock()
				events = append(events, e)
			}
		}
	})
	return events
}

// isIntact lets SQLite check the whole file. It keeps no connection, or the next process to open the file after
// a kill would not be the first, which recovers the WAL.
func isIntact(t *testing.T, d sqliteDriver, path string) {
	t.Helper()
	db := plainGORM(t, d, path, &gorm.Config{})
	var verdict string
	if err := db.Raw("PRAGMA integrity_check").Scan(&verdict).Error; err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %s %v", verdict, err)
	}
	var broken int
	if err := db.Raw("SELECT count(*) FROM pragma_foreign_key_check").Scan(&broken).Error; err != nil || broken != 0 {
		t.Errorf("foreign_key_check: %d rows, %v", broken, err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
}

func isLinearizable(t *testing.T, events []event) {
	t.Helper()
	wrong, err := linearizable(events)
	if err != nil {
		t.Fatal(err)
	}
	if len(wrong) > 0 {
		t.Errorf("%d histories are not linearizable, for example:\n%s", len(wrong), describe(wrong[0]))
	}
}

// count returns how many calls had a result.
func count(events []event, op, result string) int {
	n := 0
	for _, e := range events {
		if e.Op == op && e.Result == result {
			n++
		}
	}
	return n
}

// races returns how many calls lost to one of another process that was under way at the same time.
func races(events []event, op string) int {
	type entity struct{ family, token int }
	winners := make(map[entity]event)
	for _, e := range events {
		if e.Op == op && e.Result == done {
			winners[entity{e.Family, e.Token}] = e
		}
	}
	n := 0
	for _, e := range events {
		w, won := winners[entity{e.Family, e.Token}]
		if won && e.Op == op && e.Result == consumed && e.Worker != w.Worker && e.Began < w.Ended && w.Began < e.Ended {
			n++
		}
	}
	return n
}

// untilTheyMeet plays random runs, each on families of its own, until processes have lost to each other often enough for
// their history to say something. On a busy machine one run may be too short for that.
func untilTheyMeet(t *testing.T, play func(first int) []event) []event {
	t.Helper()
	const enoughWon, enoughRaced = 50, 20
	var events []event
	won, raced := 0, 0
	for i := range 10 {
		events = append(events, play(i*1_000_000)...)
		won, raced = count(events, opConsume, done)+count(events, opRotate, done), allRaces(events)
		if won >= enoughWon && raced >= enoughRaced {
			return events
		}
	}
	t.Errorf("%d calls won and %d lost to another process, %d and %d would be enough", won, raced, enoughWon, enoughRaced)
	return events
}

func allRaces(events []event) int { return races(events, opConsume) + races(events, opRotate) }

// wait returns when the processes have ended, as they should.
func wait(t *testing.T, all []*process) {
	t.Helper()
	for _, p := range all {
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("a worker: %v", err)
		}
	}
}

func TestFourProcessesShareOneLinearizableDatabase(t *testing.T) {
	length := 5 * time.Second
	if long() {
		length = 30 * time.Second
	}
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := dbPath(t)
			create(t, d.backend(), path)
			events := untilTheyMeet(t, func(first int) []event {
				all := run(t, d.backend(), path, workers, first, length)
				wait(t, all)
				return ends(t, all)
			})
			events = withDatabase(t, d.backend(), path, events)
			isLinearizable(t, events)
			isIntact(t, d, path)
			t.Logf("%d calls; codes: %d won, %d lost, %d of them to another process; rotations: %d won, %d lost, %d of them to another process",
				len(events), count(events, opConsume, done), count(events, opConsume, consumed), races(events, opConsume),
				count(events, opRotate, done), count(events, opRotate, consumed), races(events, opRotate))
		})
	}
}

func TestAProcessThatIsKilledLosesNothingThatWasAcknowledged(t *testing.T) {
	const times = 20
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := dbPath(t)
			create(t, d.backend(), path)
			var history []event
			for i := range times {
				all := run(t, d.backend(), path, workers/2, i*1_000_000, 10*time.Second)
				killSome(t, all, i%2 == 0)
				events := withDatabase(t, d.backend(), path, ends(t, all))
				isLinearizable(t, events)
				isIntact(t, d, path)
				history = append(history, events...)
			}
			isLinearizable(t, withDatabase(t, d.backend(), path, history)) // of the first round too
			acknowledged := count(history, opCreate, done) + count(history, opConsume, done) + count(history, opRotate, done)
			unfinished := count(history, opRotate, "")
			t.Logf("%d writes were acknowledged, %d rotations unfinished", acknowledged, unfinished)
			if acknowledged < 10*times || unfinished < times {
				t.Error("the processes were not killed in the middle")
			}
		})
	}
}

// killSome kills workers at random moments after they have begun, with SIGKILL: all at once, or one after the other,
// while those that are left work on.
func killSome(t *testing.T, all []*process, atOnce bool) {
	t.Helper()
	for _, p := range all {
		awaitHistory(t, p)
	}
	for i, p := range all {
		if i == 0 {
			within(t, 100*time.Millisecond+rand.N(150*time.Millisecond))
		} else if !atOnce {
			within(t, rand.N(50*time.Millisecond))
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range all {
		if err := p.cmd.Wait(); err == nil {
			t.Error("a worker ended before it was killed")
		}
	}
}

// awaitHistory returns when the worker has made a call.
func awaitHistory(t *testing.T, p *process) {
	t.Helper()
	for range 3000 {
		if info, err := os.Stat(p.spec.History); err == nil && info.Size() > 0 {
			return
		}
		within(t, 10*time.Millisecond)
	}
	t.Fatal("a worker makes no calls")
}

// within lets the other processes work for d.
func within(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestEightProcessesOpenAFreshDatabaseAtOnce(t *testing.T) {
	times := 5
	if long() {
		times = 40
	}
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			for range times {
				path := filepath.Join(t.TempDir(), "new", "oauth.db")
				openAtOnce(t, d.backend(), path)
				isIntact(t, d, path)
			}
		})
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			for range times {
				openAtOnce(t, s.backend(), s.database(t))
			}
		})
	}
}

// openAtOnce lets eight processes open a database that is empty, and store something each.
func openAtOnce(t *testing.T, b backend, address string) {
	t.Helper()
	const processes = 8
	var all []*process
	for i := range processes {
		all = append(all, startWorker(t, workerSpec{Backend: b.name, Address: address, Name: fmt.Sprint("p", i)}))
	}
	for _, p := range all {
		if err := p.begin.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, all)
	opened(t, b, address, func(store repository.Store) {
		if stats, err := store.Stats(t.Context()); err != nil || stats.Clients != processes {
			t.Errorf("%d clients, %v", stats.Clients, err)
		}
	})
}
