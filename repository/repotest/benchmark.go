package repotest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// Benchmark measures each operation at 1, 8 and 64 goroutines. ns/op is the time of all operations over
// their number; p50-ns and p99-ns are how long a single one took. The store is the one that newStore
// opens, on its own clock; it is closed in the end.
func Benchmark(b *testing.B, newStore func(b *testing.B) repository.Store) {
	for _, op := range operations() {
		for _, goroutines := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", op.name, goroutines), func(b *testing.B) {
				measure(b, newStore, op, goroutines)
			})
		}
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
}

const stockGrants = 64

func (s stock) grant(i int) domain.Grant { return s.grants[i%len(s.grants)] }

func (s stock) code(i int) domain.AuthorizationCode {
	c := aCode(fmt.Sprint("code", i), s.grant(i))
	c.ExpiresAt = s.now.Add(time.Hour)
	return c
}

func (s stock) access(i int) domain.Token {
	t := anAccess(fmt.Sprint("access", i), s.grant(i))
	t.ExpiresAt = s.now.Add(time.Hour)
	return t
}

func (s stock) refresh(name string, i int) domain.Token {
	t := aRefresh(fmt.Sprint(name, i), s.grant(i))
	t.ExpiresAt = s.now.Add(24 * time.Hour)
	return t
}

func (s stock) ownGrant(i int) domain.Grant { return aGrant(fmt.Sprint("-own", i), s.client) }

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
			return r.Clients().Create(s.ctx, aClient(fmt.Sprint("-", i)))
		}},
		{"GetGrant", nil, func(r repository.Store, s stock, i int) error {
			_, err := r.Grants().Get(s.ctx, s.grant(i).ID)
			return err
		}},
		{"CreateGrant", nil, func(r repository.Store, s stock, i int) error {
			return r.Grants().Create(s.ctx, s.ownGrant(i))
		}},
		{"RevokeGrant", func(tx repository.Repositories, s stock, i int) error {
			return put(s.ctx, tx, s.ownGrant(i), anAccess(fmt.Sprint("own", i), s.ownGrant(i)))
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

func measure(b *testing.B, newStore func(b *testing.B) repository.Store, op operation, goroutines int) {
	b.StopTimer()
	store := newStore(b)
	defer func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	}()
	s := prepare(b, store, op)
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	b.ResetTimer()
	b.StartTimer()
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

// prepare stores the stock, and what op needs for b.N calls, many to a transaction.
func prepare(b *testing.B, store repository.Store, op operation) stock {
	b.Helper()
	s := stock{ctx: b.Context(), client: fullClient(), now: time.Now()}
	fill := func(from, to int, add func(tx repository.Repositories, i int) error) {
		err := store.InTx(s.ctx, func(tx repository.Repositories) error {
			for i := from; i < to; i++ {
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
	fill(0, 1, func(tx repository.Repositories, _ int) error { return put(s.ctx, tx, s.client) })
	for i := range stockGrants {
		s.grants = append(s.grants, aGrant(fmt.Sprint("-stock", i), s.client))
	}
	fill(0, stockGrants, func(tx repository.Repositories, i int) error { return put(s.ctx, tx, s.grants[i]) })
	if op.setup == nil {
		return s
	}
	const batch = 1000
	for from := 0; from < b.N; from += batch {
		fill(from, min(b.N, from+batch), func(tx repository.Repositories, i int) error { return op.setup(tx, s, i) })
	}
	return s
}
