package integration_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
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
		length = time.Minute
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.database(t)
			create(t, s.backend(), address)
			all := run(t, s.backend(), address, workers, 0, length)
			cuts := s.disturb(t, address, length)
			for _, p := range all {
				if err := p.cmd.Wait(); err != nil {
					t.Errorf("a worker: %v", err)
				}
			}
			events := withDatabase(t, s.backend(), address, ends(t, all))
			isLinearizable(t, events)
			unknown := 0
			for _, e := range events {
				if e.Result == "" {
					unknown++
				}
			}
			raced := races(events, opConsume) + races(events, opRotate)
			t.Logf("%d calls, %d races between processes, %d connections cut, %d outcomes unknown", len(events), raced, cuts, unknown)
			if raced < 20 || cuts < 10 {
				t.Error("the processes hardly met, or were hardly disturbed")
			}
		})
	}
}

// disturb ends connections until the run is nearly over, and returns how many.
func (s server) disturb(t *testing.T, address string, length time.Duration) int {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	ctx, cancel := context.WithTimeout(t.Context(), length*9/10)
	defer cancel()
	restart := os.Getenv(s.restart)
	half := time.Now().Add(length / 2)
	cuts := 0
	for ctx.Err() == nil {
		within(t, 100*time.Millisecond)
		if restart != "" && time.Now().After(half) {
			if out, err := exec.CommandContext(t.Context(), "sh", "-c", restart).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", s.restart, err, out)
			}
			restart = ""
		}
		cuts += s.cutSome(name)
	}
	return cuts
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

// TestAMigrationThatIsKilledIsFinishedByTheNext kills processes that open an empty database, at moments that come
// a little later each time, and then opens it.
func TestAMigrationThatIsKilledIsFinishedByTheNext(t *testing.T) {
	times := 20
	if long() {
		times = 100
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			cutShort := 0
			for i := range times {
				address := s.database(t)
				p := startWorker(t, workerSpec{Backend: s.name, Address: address, Name: "killed"})
				if err := p.begin.Close(); err != nil {
					t.Fatal(err)
				}
				within(t, time.Duration(i)*25*time.Millisecond/time.Duration(times))
				_ = p.cmd.Process.Kill() // unless it has ended
				if p.cmd.Wait() != nil {
					cutShort++
				}
				opened(t, s.backend(), address, func(store repository.Store) {
					err := store.Clients().Create(t.Context(), domain.Client{ID: "next", Kind: domain.Dynamic})
					if err != nil {
						t.Errorf("after %d/%d: %v", i, times, err)
					}
				})
			}
			t.Logf("%d of %d were killed before they had ended", cutShort, times)
			if cutShort < times/4 {
				t.Error("hardly any was killed")
			}
		})
	}
}
