package integration_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/mysql"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

// TestAGaleraClusterConforms runs the suite on stores whose connections lead to all nodes in turn.
func TestAGaleraClusterConforms(t *testing.T) {
	c := startCluster(t)
	t.Run("through Open", func(t *testing.T) {
		address := c.database(t)
		repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
			store, err := mysql.Open(t.Context(), address, &mysql.Options{Now: opt.Now, TablePrefix: prefix()})
			if err != nil {
				t.Fatal(err)
			}
			return store
		})
	})
	t.Run("through the application's own gorm.DB", func(t *testing.T) {
		db := mySQL.handle(t, c.database(t)+"?wsrep_sync_wait=7&interpolateParams=true")
		repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
			store, err := gormrepo.New(db, &gormrepo.Options{Now: opt.Now, TablePrefix: prefix()})
			if err != nil {
				t.Fatal(err)
			}
			return store
		})
	})
	t.Run("a handle that is not set up for a cluster is refused", func(t *testing.T) {
		for _, parameters := range []string{"", "?wsrep_sync_wait=7", "?wsrep_sync_wait=1&interpolateParams=true"} {
			_, err := gormrepo.New(mySQL.handle(t, c.database(t)+parameters), nil)
			if !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), "wsrep_sync_wait=7") {
				t.Errorf("%q: got %v", parameters, err)
			}
		}
	})
	t.Run("eight processes open an empty database at once", func(t *testing.T) {
		for range 5 {
			openAtOnce(t, mySQL.backend(), c.database(t))
		}
	})
	t.Run("a write is seen on every node once it is acknowledged", func(t *testing.T) { seenAtOnce(t, c) })
	t.Run("a revoked grant has no live code or token", func(t *testing.T) {
		races := 100
		if long() {
			races = 1_000
		}
		opened(t, mySQL.backend(), c.database(t), func(store repository.Store) { raceWithRevoke(t, store, races) })
	})
}

// seenAtOnce writes on one node and reads on the next.
func seenAtOnce(t *testing.T, c *cluster) {
	name := databaseOf(t, c.database(t))
	var stores []*gormrepo.Store
	for _, n := range c.nodes {
		stores = append(stores, n.opened(t, name))
	}
	ctx := t.Context()
	if err := stores[0].Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}); err != nil {
		t.Fatal(err)
	}
	turn := 0
	next := func() *gormrepo.Store {
		turn++
		return stores[turn%len(stores)]
	}
	for i := range 300 {
		id := fmt.Sprint("grant", i)
		code, token := domain.DigestOf(id+"code"), domain.DigestOf(id+"token")
		steps := []struct {
			name     string
			call     func() error
			expected error
		}{
			{"create grant", func() error {
				return next().Grants().Create(ctx, domain.Grant{ID: id, ClientID: theClient})
			}, nil},
			{"create code", func() error {
				return next().AuthorizationCodes().Create(ctx, domain.AuthorizationCode{
					Digest: code, GrantID: id, ClientID: theClient, ExpiresAt: time.Now().Add(time.Hour),
				})
			}, nil},
			{"get code", func() error { return second(next().AuthorizationCodes().Get(ctx, code)) }, nil},
			{"consume code", func() error { return second(next().AuthorizationCodes().Consume(ctx, code)) }, nil},
			{"consume it again", func() error { return second(next().AuthorizationCodes().Consume(ctx, code)) }, repository.ErrConsumed},
			{"create token", func() error {
				return next().Tokens().Create(ctx, domain.Token{Digest: token, Kind: domain.RefreshToken, GrantID: id, ClientID: theClient})
			}, nil},
			{"get token", func() error { return second(next().Tokens().Get(ctx, token)) }, nil},
			{"rotate token", func() error { return second(next().Tokens().Rotate(ctx, token, domain.Replay{})) }, nil},
			{"get rotated token", func() error { return second(next().Tokens().Get(ctx, token)) }, repository.ErrConsumed},
			{"revoke grant", func() error {
				return second(next().Grants().Revoke(ctx, repository.GrantFilter{ID: id}, domain.ByUser))
			}, nil},
			{"get revoked token", func() error { return second(next().Tokens().Get(ctx, token)) }, repository.ErrRevoked},
		}
		for _, step := range steps {
			if err := step.call(); !errors.Is(err, step.expected) {
				t.Fatalf("%d: %s: got %v, want %v", i, step.name, err, step.expected)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestAGaleraClusterOutlivesANode is the random run of four processes, each with connections to every node, while a
// node is killed and comes back, or one after the other. The node that gives its data to the one that comes back stands
// still meanwhile, so that a call may fail, after which nothing must have been done.
func TestAGaleraClusterOutlivesANode(t *testing.T) {
	killed := []int{1}
	if long() {
		killed = []int{1, 2, 0}
	}
	c := startCluster(t)
	b, address := mySQL.backend(), c.database(t)
	create(t, b, address)
	events := untilTheyMeet(t, func(first int) []event {
		length := time.Duration(len(killed)) * 30 * time.Second
		all := runAs(t, workerSpec{Backend: b.name, Address: address, MayFail: true, First: first, Length: length}, workers)
		for _, i := range killed {
			within(t, 5*time.Second)
			c.nodes[i].kill()
			within(t, 5*time.Second)
			c.start(t, i)
		}
		wait(t, all)
		return ends(t, all)
	})
	events = withDatabase(t, b, address, events)
	isLinearizable(t, events)
	c.nodes[0].kill() // those that came back have everything as well
	events = withDatabase(t, b, address, events)
	isLinearizable(t, events)
	unknown, refused := 0, 0
	for _, e := range events {
		switch e.Result {
		case "":
			unknown++
		case failed:
			refused++
		}
	}
	t.Logf("%d calls, %d races between processes, %d failed, %d outcomes unknown",
		len(events), allRaces(events), refused, unknown)
	if refused > len(events)/100 {
		t.Error("too many calls failed")
	}
}

// BenchmarkGaleraSyncWait measures what it costs that a read waits for what other nodes have acknowledged. All callers
// use one node: without the wait, they would not find what they have just written.
func BenchmarkGaleraSyncWait(b *testing.B) {
	c := startCluster(b)
	for _, wait := range []string{"0", "7"} {
		b.Run("wait="+wait, func(b *testing.B) {
			repotest.Benchmark(b, func(b *testing.B) repository.Store {
				address, err := url.Parse(c.database(b))
				if err != nil {
					b.Fatal(err)
				}
				address.Host, address.RawQuery = c.nodes[0].port, "wsrep_sync_wait="+wait
				store, err := mysql.Open(b.Context(), address.String(), nil)
				if err != nil {
					b.Fatal(err)
				}
				return store
			})
		})
	}
}
