package integration_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/repository"
)

// TestAServerWithoutAConnectionLeftIsAskedAFewTimesASecondUntilItHasOne lets a user of the server have
// two sessions only, which somebody else has while four calls wait.
func TestAServerWithoutAConnectionLeftIsAskedAFewTimesASecondUntilItHasOne(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			const callers, watched = 4, 3 * time.Second
			direct := s.limited(t)
			var connections atomic.Int64
			address := *direct
			address.Host = counted(t, direct.Host, &connections)
			store, err := s.open(t.Context(), address.String(), &postgres.Options{ConnMaxLifetime: time.Nanosecond})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			release := s.takeTwo(t, direct.String())
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			before := connections.Load()
			var all sync.WaitGroup
			for i := range callers {
				all.Go(func() {
					if i%2 == 0 {
						if err := store.Clients().Create(ctx, domain.Client{ID: domain.NewID(), Kind: domain.Dynamic}); err != nil {
							t.Error(err)
						}
					} else if _, err := store.Clients().Get(ctx, "nobody"); !errors.Is(err, repository.ErrNotFound) {
						t.Error(err)
					}
				})
			}
			within(t, watched)
			attempts := connections.Load() - before
			release()
			all.Wait()
			t.Logf("%.0f attempts to connect a second", float64(attempts)/watched.Seconds())
			const first, rest = 12, 250 * time.Millisecond // until the waits are that long
			if attempts > callers*(first+2*int64(watched/rest)) {
				t.Errorf("%d attempts to connect: it is stormed", attempts)
			}
		})
	}
}

// limited returns the URL of a database for a user who may have two sessions.
func (s server) limited(t *testing.T) *url.URL {
	t.Helper()
	var text string
	user := strings.ToLower(prefix())
	if s.name == mySQL.name {
		host := startMariaDB(t, sharedDir(t))
		p := &pair{server: s, urls: [2]string{"mysql://root@" + host + "/mysql"}}
		p.admin(t, 0, "CREATE DATABASE oauth", "CREATE USER "+user+"@localhost IDENTIFIED BY 'two' WITH MAX_USER_CONNECTIONS 2",
			"GRANT ALL ON oauth.* TO "+user+"@localhost")
		text = "mysql://" + host + "/oauth"
	} else {
		s.admin(t, "CREATE ROLE "+user+" LOGIN PASSWORD 'two' CONNECTION LIMIT 2")
		t.Cleanup(func() { s.admin(t, "DROP ROLE "+user) })
		text = s.database(t)
		s.admin(t, "ALTER DATABASE "+databaseOf(t, text)+" OWNER TO "+user)
	}
	address, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(user, "two")
	return address
}

// takeTwo takes two sessions, once the store has let go of its own.
func (s server) takeTwo(t *testing.T, address string) (release func()) {
	t.Helper()
	pool, err := sql.Open(map[string]string{"PostgreSQL": "pgx", "MySQL": "mysql"}[s.name], map[string]string{
		"PostgreSQL": address, "MySQL": nativeMySQL(address),
	}[s.name])
	if err != nil {
		t.Fatal(err)
	}
	var taken []io.Closer
	for range 2 {
		conn, err := pool.Conn(t.Context())
		for ; err != nil; conn, err = pool.Conn(t.Context()) {
			if t.Context().Err() != nil {
				t.Fatal(err)
			}
		}
		taken = append(taken, conn)
	}
	return func() {
		for _, conn := range append(taken, pool) {
			_ = conn.Close()
		}
	}
}

// counted returns the address of a proxy that counts the connections to a server.
func counted(t *testing.T, to string, connections *atomic.Int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			all.Go(func() { join(client, to) })
		}
	})
	return listener.Addr().String()
}
