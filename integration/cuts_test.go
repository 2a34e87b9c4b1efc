package integration_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// TestProcessesShareAServerWhoseConnectionsAreCut is the random run of four processes, while connections are
// ended at random, and the server is restarted once where a command for that is given.
func TestProcessesShareAServerWhoseConnectionsAreCut(t *testing.T) {
	length := 5 * time.Second
	if long() {
		length = 30 * time.Second
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.database(t)
			create(t, s.backend(), address)
			cuts, restarts := 0, 0
			events := untilTheyMeet(t, func(first int) []event {
				all := run(t, s.backend(), address, workers, first, length)
				cut, restarted := s.disturb(t, address, length)
				cuts, restarts = cuts+cut, restarts+restarted
				wait(t, all)
				return ends(t, all)
			})
			events = withDatabase(t, s.backend(), address, events)
			isLinearizable(t, events)
			unknown := 0
			for _, e := range events {
				if e.Result == "" {
					unknown++
				}
			}
			t.Logf("%d calls, %d races between processes, %d connections cut, %d restarts, %d outcomes unknown",
				len(events), allRaces(events), cuts, restarts, unknown)
			if cuts < 10 {
				t.Error("the processes were hardly disturbed")
			}
		})
	}
}

// disturb ends connections until the run is nearly over, and restarts the server in between where a command for that is
// given. It returns how many of each there were.
func (s server) disturb(t *testing.T, address string, length time.Duration) (cuts, restarts int) {
	t.Helper()
	name := databaseOf(t, address)
	ctx, cancel := context.WithTimeout(t.Context(), length*9/10)
	defer cancel()
	restart := os.Getenv(s.restart)
	half := time.Now().Add(length / 2)
	for ctx.Err() == nil {
		within(t, 100*time.Millisecond)
		if restart != "" && time.Now().After(half) {
			s.restartBy(t, restart)
			restarts++
			restart = ""
		}
		cuts += s.cutSome(name)
	}
	return cuts, restarts
}

// restartBy runs the command, which a connection that nobody cuts must not survive.
func (s server) restartBy(t *testing.T, command string) {
	t.Helper()
	pool, err := s.handle(t, os.Getenv(s.variable)).DB()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", s.restart, err, out)
	}
	if conn.PingContext(t.Context()) == nil {
		t.Errorf("%s: the server has not restarted", s.restart)
	}
}

// cutSome ends a few connections to a database. While the server restarts, there is none to end.
func (s server) cutSome(name string) int {
	db, err := gorm.Open(s.plain(os.Getenv(s.variable)), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return 0
	}
	if pool, err := db.DB(); err == nil {
		defer pool.Close()
	}
	var ids []string
	if db.Raw(fmt.Sprintf(s.cut, name)).Scan(&ids).Error != nil || s.name != "MySQL" {
		return len(ids)
	}
	for _, id := range ids {
		_ = db.Exec("KILL " + id).Error // it may be gone already
	}
	return len(ids)
}

// TestAMigrationThatIsKilledIsFinishedByTheNext kills processes that open an empty database, when they have come a little
// further each time, and then opens it.
func TestAMigrationThatIsKilledIsFinishedByTheNext(t *testing.T) {
	times := 20
	if long() {
		times = 50
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			s.url(t) // or there is nothing to kill
			inside := 0
			for i := range times {
				far := i * s.steps / times
				finished := t.Run(fmt.Sprint(i, " at step ", far), func(t *testing.T) {
					address := s.database(t)
					db := s.handle(t, address)
					begun := s.killMigration(t, db, workerSpec{Backend: s.name, Address: address, Name: "killed"}, far)
					left := tablesIn(t, db)
					opened(t, s.backend(), address, func(store repository.Store) {
						err := store.Clients().Create(t.Context(), domain.Client{ID: "next", Kind: domain.Dynamic})
						if err != nil {
							t.Error(err)
						}
					})
					all := tablesIn(t, db)
					if s.name == "PostgreSQL" && left > 0 && left < all {
						t.Errorf("%d of %d tables were there", left, all)
					}
					if begun && left < all {
						inside++
					}
				})
				if !finished {
					return
				}
			}
			t.Logf("%d of %d were killed in the middle", inside, times)
			if inside < times/4 {
				t.Error("hardly any was killed in the middle")
			}
		})
	}
}

// killMigration kills a worker whose migration is that far, unless it ends before that, and reports whether the migration
// was seen to have begun.
func (s server) killMigration(t *testing.T, db *gorm.DB, spec workerSpec, far int) (begun bool) {
	t.Helper()
	p := startWorker(t, spec)
	if err := p.begin.Close(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	for {
		var step int
		if err := db.Raw(s.step).Scan(&step).Error; err != nil {
			t.Error(err)
			step = far
		}
		if step >= far {
			_ = p.cmd.Process.Kill() // unless it has ended
			<-ended
			return step > 0
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the worker: %v", err)
			}
			return false
		default:
		}
	}
}

func tablesIn(t *testing.T, db *gorm.DB) int {
	t.Helper()
	all, err := db.Migrator().GetTables()
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
