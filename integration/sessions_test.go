package integration_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
)

// sessionsIn returns how many sessions of the server use the database of db, but for that of db.
func (s server) sessionsIn(t *testing.T, db *gorm.DB) (n int) {
	t.Helper()
	if err := db.Raw(map[string]string{
		"PostgreSQL": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
		"MySQL":      "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
	}[s.name]).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBehindALockedGrantTheServerHasAtMostMaxConnsSessions lets 64 callers, each with 250 ms, ask for
// a grant that another transaction has locked, and one caller ask for another grant.
func TestBehindALockedGrantTheServerHasAtMostMaxConnsSessions(t *testing.T) {
	for _, tt := range []struct {
		server

		parameters  string
		othersGetOn bool
	}{
		{postgreSQL, "", false},
		{mySQL, "", true},
		{mySQL, "innodb_lock_wait_timeout=3", false},
	} {
		t.Run(tt.name+" "+tt.parameters, func(t *testing.T) {
			const maxConns = 16
			address := tt.database(t)
			store, err := tt.open(t.Context(), with(t, address, tt.parameters), &postgres.Options{MaxConns: maxConns})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if err := errors.Join(
				store.Clients().Create(t.Context(), domain.Client{ID: theClient, Kind: domain.Dynamic}),
				store.Grants().Create(t.Context(), domain.Grant{ID: "locked", ClientID: theClient}),
				store.Grants().Create(t.Context(), domain.Grant{ID: "free", ClientID: theClient}),
			); err != nil {
				t.Fatal(err)
			}
			held := tt.handle(t, address).Begin()
			defer held.Rollback()
			if err := held.Exec("UPDATE oauth_grants SET last_used_at = 1 WHERE id = 'locked'").Error; err != nil {
				t.Fatal(err)
			}
			most, successes, tries := besideALockedGrant(t, store, func(watch *gorm.DB) int {
				return tt.sessionsIn(t, watch) - 1 // without that of held
			}, tt.handle(t, address))
			t.Logf("%d sessions, other grants: %d of %d", most, successes, tries)
			ending := 0
			if tt.name == "PostgreSQL" {
				ending = maxConns / 4 // a session that the driver has cancelled is counted until its process has gone
			}
			if most > maxConns+ending {
				t.Errorf("%d sessions", most)
			}
			if tt.othersGetOn && successes < tries*9/10 {
				t.Errorf("other grants: %d of %d", successes, tries)
			}
		})
	}
}

func besideALockedGrant(
	t *testing.T, store *gormrepo.Store, sessions func(watch *gorm.DB) int, watch *gorm.DB,
) (most, successes, tries int) {
	t.Helper()
	const callers, patience, watched = 64, 250 * time.Millisecond, 3 * time.Second
	ask := func(grant string) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return store.Tokens().Create(ctx, domain.Token{
			Digest: domain.DigestOf(domain.NewSecret()), Kind: domain.RefreshToken, GrantID: grant, ClientID: theClient,
		})
	}
	begun := time.Now()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for time.Since(begun) < watched {
				if err := ask("locked"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the locked grant: %v", err)
					return
				}
			}
		})
	}
	all.Go(func() {
		for time.Since(begun) < watched {
			tries++
			if ask("free") == nil {
				successes++
			}
		}
	})
	for time.Since(begun) < watched {
		most = max(most, sessions(watch))
	}
	all.Wait()
	return most, successes, tries
}
