package integration_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/cleanup"
	"github.com/oauthstore/oauthstore/repository/flow"
)

// TestThreeDaysOfThreeHundredUsersGrowNothingAfterTheFirst moves the clock by an hour at a time.
// Users sign in, refresh and sign out, and cleanup runs each hour. What they keep for longest are
// refresh tokens that last twelve hours and grants that cleanup keeps for six: from the end of the
// first day on, the file, the memory and the goroutines stay as they are.
func TestThreeDaysOfThreeHundredUsersGrowNothingAfterTheFirst(t *testing.T) {
	const (
		users, days = 300, 3
		largestWAL  = 8 << 20
	)
	every := 4 // hours
	if underRace() {
		every = 8
	}
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := dbPath(t)
			var clock atomic.Int64 // in hours
			began := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
			now := func() time.Time { return began.Add(time.Duration(clock.Load()) * time.Hour) }
			store, err := d.open(t.Context(), path, &sqlite.Options{Now: now, Synchronous: sqlite.Normal})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if err := store.Clients().Create(t.Context(), domain.Client{ID: theClient, Kind: domain.Dynamic}); err != nil {
				t.Fatal(err)
			}
			everybody := make([]resident, users)
			steps := flow.New(store, nil)
			for i := range everybody {
				everybody[i] = resident{name: fmt.Sprint("user-", i), flow: steps, now: now, skips: i % 4}
			}
			var ends [days]grown
			removed := 0
			for day := range ends {
				for hour := range 24 {
					clock.Add(1)
					live(t, everybody, hour, every)
					result, err := cleanup.Run(t.Context(), store, &cleanup.Options{Retention: 6 * time.Hour})
					if err != nil {
						t.Fatal(err)
					}
					removed += result.Grants
				}
				ends[day] = measure(t, store, path)
				t.Logf("day %d: %v", day+1, ends[day])
			}
			first, last := ends[0], ends[days-1]
			if float64(last.file) > 1.2*float64(first.file) || last.wal > largestWAL {
				t.Errorf("the files grew")
			}
			if float64(last.rows) > 1.2*float64(first.rows) || removed < users {
				t.Errorf("what is stored grew; %d grants were removed", removed)
			}
			if float64(last.heap) > 1.2*float64(first.heap)+256<<10 {
				t.Errorf("the memory grew")
			}
			if last.goroutines > first.goroutines {
				t.Errorf("the goroutines grew")
			}
		})
	}
}

// live lets the users act whose hour it is, sixteen at a time.
func live(t *testing.T, everybody []resident, hour, every int) {
	t.Helper()
	var all sync.WaitGroup
	for part := range 16 {
		all.Go(func() {
			for i := part; i < len(everybody); i += 16 {
				if (i/4+hour)%every != 0 {
					continue
				}
				if err := everybody[i].act(t.Context()); err != nil {
					t.Errorf("%s: %v", everybody[i].name, err)
				}
			}
		})
	}
	all.Wait()
}

// resident is a user who signs in, refreshes three times and signs out, again and again. The first
// stay may be shorter, so that not all sign in at once.
type resident struct {
	name    string
	flow    *flow.Flow
	now     func() time.Time
	refresh string // the token
	acts    int
	skips   int // how many acts of the first stay
}

func (u *resident) act(ctx context.Context) error {
	defer func() { u.acts++ }()
	var response flow.Response
	var err error
	switch u.acts % 5 {
	case 0:
		u.acts, u.skips = u.acts+u.skips, 0
		response, err = u.signIn(ctx)
	case 4:
		return u.flow.Revoke(ctx, theClient, u.refresh)
	default:
		response, _, err = u.flow.Refresh(ctx, flow.RefreshRequest{
			Token: u.refresh,
			Check: func(domain.Token) error { return nil },
			Issue: func(domain.Token, domain.Grant) (flow.Issued, error) { return u.issue(), nil },
		})
	}
	if err != nil {
		return err
	}
	u.refresh = response.RefreshToken
	_, active, err := u.flow.Introspect(ctx, response.AccessToken)
	if err == nil && !active {
		err = errors.New("a new token is not active")
	}
	return err
}

func (u *resident) signIn(ctx context.Context) (flow.Response, error) {
	raw := domain.NewSecret()
	err := u.flow.Authorize(ctx, domain.Grant{ID: domain.NewID(), ClientID: theClient, Subject: u.name},
		domain.AuthorizationCode{Digest: domain.DigestOf(raw), ExpiresAt: u.now().Add(time.Minute)})
	if err != nil {
		return flow.Response{}, err
	}
	return u.flow.ExchangeCode(ctx, flow.CodeExchange{
		Code:  raw,
		Check: func(domain.AuthorizationCode) error { return nil },
		Issue: func(domain.AuthorizationCode, domain.Grant) (flow.Issued, error) { return u.issue(), nil },
	})
}

func (u *resident) issue() flow.Issued {
	access, refresh := domain.NewSecret(), domain.NewSecret()
	return flow.Issued{
		Tokens: []domain.Token{
			{Digest: domain.DigestOf(access), Kind: domain.AccessToken, ExpiresAt: u.now().Add(time.Hour)},
			{Digest: domain.DigestOf(refresh), Kind: domain.RefreshToken, ExpiresAt: u.now().Add(12 * time.Hour)},
		},
		Response: flow.Response{AccessToken: access, RefreshToken: refresh},
	}
}

// grown is what must not grow.
type grown struct {
	file, wal  int64
	rows       int64
	heap       uint64
	goroutines int
}

func (g grown) String() string {
	return fmt.Sprintf("file %d KiB, WAL %d KiB, %d rows, heap %d KiB, %d goroutines",
		g.file>>10, g.wal>>10, g.rows, g.heap>>10, g.goroutines)
}

func measure(t *testing.T, store repository.Store, path string) (g grown) {
	t.Helper()
	stats, err := store.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g.rows = stats.Grants.Total + stats.AuthorizationCodes.Total + stats.AccessTokens.Total + stats.RefreshTokens.Total
	for name, into := range map[string]*int64{path: &g.file, path + "-wal": &g.wal} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		*into = info.Size()
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&memory)
	g.heap, g.goroutines = memory.HeapAlloc, runtime.NumGoroutine()
	return g
}
