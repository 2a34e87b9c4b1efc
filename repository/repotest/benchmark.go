package repotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// Benchmark measures each operation at 1, 8 and 64 goroutines, on a store of its own that has next to nothing in it
// (tokens=0), and on one that all share and that holds a million tokens, which takes a while to fill: -bench
// /tokens=0/ leaves it out. ns/op is the time of all operations over their number; p50-ns and p99-ns are how long
// a single one took. The stores are those that newStore opens, on their own clock; they are closed in the end.
func Benchmark(b *testing.B, newStore func(b *testing.B) repository.Store) {
	b.Run("tokens=0", func(b *testing.B) {
		each(b, func(b *testing.B, op operation, goroutines int) {
			store := newStore(b)
			defer closed(b, store)
			measure(b, store, newStock(b, store), op, goroutines)
		})
	})
	b.Run(fmt.Sprintf("tokens=%d", million), func(b *testing.B) {
		store := newStore(b)
		defer closed(b, store)
		s := newStock(b, store)
		fill(b, store, million/tokensOfGrant, func(tx repository.Repositories, i int) error {
			g := aGrant(fmt.Sprint("-many", i), s.client)
			var tokens []domain.Token
			for n := range tokensOfGrant {
				t := anAccess(fmt.Sprint("many", i, "-", n), g)
				t.ExpiresAt = s.now.Add(time.Hour)
				tokens = append(tokens, t)
			}
			return errors.Join(tx.Grants().Create(s.ctx, g), tx.Tokens().Create(s.ctx, tokens...))
		})
		each(b, func(b *testing.B, op operation, goroutines int) { measure(b, store, s, op, goroutines) })
	})
}

const (
	million       = 1_000_000
	tokensOfGrant = 10
)

// each runs a benchmark for every operation and number of goroutines.
func each(b *testing.B, run func(b *testing.B, op operation, goroutines int)) {
	b.Helper()
	for _, op := range operations() {
		for _, goroutines := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", op.name, goroutines), func(b *testing.B) { run(b, op, goroutines) })
		}
	}
}

func closed(b *testing.B, store repository.Store) {
	b.Helper()
	if err := store.Close(); err != nil {
		b.Error(err)
	}
}

// operation is one call, the i-th of n, and what has to be there before.
type operation struct {
	name  string
	setup func(tx repository.Repositories, s stock, i int) error // nil: nothing
	call  func(r repository.Store, s stock, i int) error
}

// stock is what every benchmark starts with: grants that share a client.
type stock struct {
	ctx    context.Context
	client domain.Client
	grants []domain.Grant
	now    time.Time
	run    string // begins the name of each entity, so that benchmarks can share a store
}

var benchmarks atomic.Int64

const stockGrants = 64

func (s stock) grant(i int) domain.Grant { return s.grants[i%len(s.grants)] }

func (s stock) code(i int) domain.AuthorizationCode {
	c := aCode(fmt.Sprint(s.run, "code", i), s.grant(i))
	c.ExpiresAt = s.now.Add(time.Hour)
	return c
}

func (s stock) access(i int) domain.Token {
	t := anAccess(fmt.Sprint(s.run, "access", i), s.grant(i))
	t.ExpiresAt = s.now.Add(time.Hour)
	return t
}

func (s stock) refresh(name string, i int) domain.Token {
	t := aRefresh(fmt.Sprint(s.run, name, i), s.grant(i))
	t.ExpiresAt = s.now.Add(24 * time.Hour)
	return t
}

func (s stock) ownGrant(i int) domain.Grant { return aGrant(fmt.Sprint("-own", s.run, i), s.client) }

func operations() []operation {
	return slices.Concat(clientOperations(), codeOperations(), tokenOperations())
}

func clientOperations() []operation {
	return []operation{
		{"GetClient", nil, func(r repository.Store, s stock, _ int) error {
			_, err := r.Clients().Get(s.ctx, s.client.ID)
			return err
		}},
		{"CreateClient", nil, func(r repository.Store, s stock, i int) error {
			return r.Clients().Create(s.ctx, aClient(fmt.Sprint("-", s.run, i)))
		}},
		{"GetGrant", nil, func(r repository.Store, s stock, i int) error {
			_, err := r.Grants().Get(s.ctx, s.grant(i).ID)
			return err
		}},
		{"CreateGrant", nil, func(r repository.Store, s stock, i int) error {
			return r.Grants().Create(s.ctx, s.ownGrant(i))
		}},
		{"RevokeGrant", func(tx repository.Repositories, s stock, i int) error {
			return put(s.ctx, tx, s.ownGrant(i), anAccess(fmt.Sprint(s.run, "own", i), s.ownGrant(i)))
		}, func(r repository.Store, s stock, i int) error {
			_, err := r.Grants().Revoke(s.ctx, repository.GrantFilter{ID: s.ownGrant(i).ID}, domain.ByUser)
			return err
		}},
	}
}

func codeOperations() []operation {
	create := func(tx repository.Repositories, s stock, i int) error { return put(s.ctx, tx, s.code(i)) }
	return []operation{
		{"CreateCode", nil, func(r repository.Store, s stock, i int) error { return create(r, s, i) }},
		{"ConsumeCode", create, func(r repository.Store, s stock, i int) error {
			_, err := r.AuthorizationCodes().Consume(s.ctx, s.code(i).Digest)
			return err
		}},
		{"RedeemCode", create, func(r repository.Store, s stock, i int) error {
			_, err := r.AuthorizationCodes().Redeem(s.ctx, s.code(i).Digest, s.access(i), s.refresh("refresh", i))
			return err
		}},
		{"ExchangeInTx", create, func(r repository.Store, s stock, i int) error {
			return r.InTx(s.ctx, func(tx repository.Repositories) error {
				if _, err := tx.AuthorizationCodes().Consume(s.ctx, s.code(i).Digest); err != nil {
					return err
				}
				return tx.Tokens().Create(s.ctx, s.access(i), s.refresh("refresh", i))
			})
		}},
	}
}

func tokenOperations() []operation {
	create := func(tx repository.Repositories, s stock, i int) error {
		return tx.Tokens().Create(s.ctx, s.access(i), s.refresh("refresh", i))
	}
	return []operation{
		{"CreateTokens", nil, func(r repository.Store, s stock, i int) error { return create(r, s, i) }},
		{"GetToken", create, func(r repository.Store, s stock, i int) error {
			_, err := r.Tokens().Get(s.ctx, s.access(i).Digest)
			return err
		}},
		{"Rotate", create, func(r repository.Store, s stock, i int) error {
			_, err := r.Tokens().Rotate(s.ctx, s.refresh("refresh", i).Digest, domain.Replay{}, s.refresh("next", i))
			return err
		}},
		{"RevokeToken", create, func(r repository.Store, s stock, i int) error {
			return r.Tokens().Revoke(s.ctx, s.access(i).Digest)
		}},
		{"ListTokens", create, func(r repository.Store, s stock, i int) error {
			_, err := r.Tokens().List(s.ctx, repository.TokenFilter{GrantID: s.grant(i).ID}, repository.Page{Limit: 10})
			return err
		}},
	}
}

func measure(b *testing.B, store repository.Store, s stock, op operation, goroutines int) {
	b.Helper()
	s.ctx, s.run = b.Context(), fmt.Sprint("b", benchmarks.Add(1), "-")
	if op.setup != nil {
		fill(b, store, b.N, func(tx repository.Repositories, i int) error { return op.setup(tx, s, i) })
	}
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	b.ResetTimer()
	together(goroutines, func(int) {
		for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
			begun := time.Now()
			if err := op.call(store, s, i); err != nil {
				b.Errorf("%s: %v", op.name, err)
				return
			}
			took[i] = time.Since(begun)
		}
	})
	b.StopTimer()
	report(b, took)
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
}

// newStock stores what every benchmark starts with.
func newStock(b *testing.B, store repository.Store) stock {
	b.Helper()
	s := stock{ctx: b.Context(), client: fullClient(), now: time.Now()}
	if err := put(s.ctx, store, s.client); err != nil {
		b.Fatal(err)
	}
	for i := range stockGrants {
		s.grants = append(s.grants, aGrant(fmt.Sprint("-stock", i), s.client))
	}
	fill(b, store, stockGrants, func(tx repository.Repositories, i int) error { return put(s.ctx, tx, s.grants[i]) })
	return s
}

// fill calls add n times, many to a transaction.
func fill(b *testing.B, store repository.Store, n int, add func(tx repository.Repositories, i int) error) {
	b.Helper()
	const batch = 1000
	for from := 0; from < n; from += batch {
		err := store.InTx(b.Context(), func(tx repository.Repositories) error {
			for i := from; i < min(n, from+batch); i++ {
				if err := add(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
