package integration_test

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

// mostTrips is how many round trips to the server each step may take. With a server that is 20 ms
// away, each is 20 ms.
var mostTrips = map[string]map[string]int64{
	"PostgreSQL": {"check": 1, "authorize": 5, "exchange": 7, "refresh": 8, "revoke": 6},
	"MySQL":      {"check": 1, "authorize": 5, "exchange": 8, "refresh": 8, "revoke": 6},
}

func TestEachStepTakesFewRoundTrips(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address, proxy := countedTrips(t, s.database(t))
			opened(t, s.backend(), address, func(store repository.Store) {
				if err := store.Clients().Create(t.Context(), domain.Client{ID: theClient, Kind: domain.Dynamic}); err != nil {
					t.Fatal(err)
				}
				oneLife(t, store, func(string, func()) {}) // prepares the statements
				oneLife(t, store, func(step string, run func()) {
					before := proxy.Load()
					run()
					if trips := proxy.Load() - before; trips > mostTrips[s.name][step] {
						t.Errorf("%s: %d round trips, not %d", step, trips, mostTrips[s.name][step])
					} else {
						t.Logf("%s: %d round trips", step, trips)
					}
				})
			})
		})
	}
}

// oneLife runs the steps of a grant, each through count.
func oneLife(t *testing.T, store repository.Store, count func(step string, run func())) {
	t.Helper()
	ctx, oauth, scopes := t.Context(), flow.New(store, nil), []string{"read"}
	code, id := domain.NewSecret(), domain.NewID()
	step := func(name string, run func() error) {
		done := false
		counted := func() {
			done = true
			if err := run(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if count(name, counted); !done {
			counted()
		}
	}
	step("authorize", func() error {
		return oauth.Authorize(ctx, domain.Grant{ID: id, ClientID: theClient, Subject: theUser, Scopes: scopes},
			domain.AuthorizationCode{Digest: domain.DigestOf(code), Scopes: scopes, ExpiresAt: time.Now().Add(time.Minute)})
	})
	var response flow.Response
	step("exchange", func() (err error) {
		response, err = oauth.ExchangeCode(ctx, flow.CodeExchange{
			Code:  code,
			Check: func(domain.AuthorizationCode) error { return nil },
			Issue: func(domain.AuthorizationCode, domain.Grant) (flow.Issued, error) {
				return minted(scopes, time.Now()), nil
			},
		})
		return err
	})
	step("refresh", func() (err error) {
		response, _, err = oauth.Refresh(ctx, flow.RefreshRequest{
			Token: response.RefreshToken,
			Check: func(domain.Token) error { return nil },
			Issue: func(domain.Token, domain.Grant) (flow.Issued, error) { return minted(scopes, time.Now()), nil },
		})
		return err
	})
	step("check", func() error {
		_, err := store.Tokens().Get(ctx, domain.DigestOf(response.AccessToken))
		return err
	})
	step("revoke", func() error {
		_, err := store.Grants().Revoke(ctx, repository.GrantFilter{ID: id}, domain.ByUser)
		return err
	})
}

// countedTrips returns the URL of a proxy to the server, which counts how often a client that has
// had its answer sends something.
func countedTrips(t *testing.T, address string) (string, *atomic.Int64) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	u.Host = listener.Addr().String()
	trips := new(atomic.Int64)
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
			all.Go(func() { countTrips(client, server, trips) })
		}
	})
	return u.String(), trips
}

func countTrips(client net.Conn, address string, trips *atomic.Int64) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	var answered atomic.Bool
	var answers sync.WaitGroup
	defer answers.Wait()
	defer server.Close()
	answers.Go(func() { forward(client, server, func() { answered.Store(true) }) })
	forward(server, client, func() {
		if answered.Swap(false) {
			trips.Add(1)
		}
	})
}

// forward copies until one side is closed, and calls each before it passes on what it has read.
func forward(to, from net.Conn, each func()) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		each()
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
