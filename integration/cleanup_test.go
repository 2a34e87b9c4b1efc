package integration_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/cleanup"
)

var (
	expiredTokens = flag.Int("expired", 1_000_000, "tokens that BenchmarkCleanup removes")
	largestRatio  = flag.Float64("ratio", 5, "the p99 during cleanup over the one without it, from which on BenchmarkCleanup fails")
	trafficAlone  = flag.Duration("alone", 10*time.Second, "how long BenchmarkCleanup measures the traffic without it")
)

const (
	grantsOfCleanup = 1000
	largestWAL      = 64 << 20
)

// BenchmarkCleanup removes -expired tokens while eight goroutines create, read and rotate others, and reports the p99 of
// their calls during it over the p99 just before, and how large SQLite's WAL became.
func BenchmarkCleanup(b *testing.B) {
	for _, d := range sqliteDrivers {
		b.Run(d.name, func(b *testing.B) {
			path := dbPath(b)
			wal := largest(b, path+"-wal", func() { benchmarkCleanup(b, d.backend(), path) })
			b.ReportMetric(float64(wal), "wal-bytes")
			if wal == 0 || wal > largestWAL {
				b.Errorf("the WAL grew to %d bytes", wal)
			}
		})
	}
	for _, s := range servers {
		b.Run(s.name, func(b *testing.B) { benchmarkCleanup(b, s.backend(), s.database(b)) })
	}
}

func benchmarkCleanup(b *testing.B, with backend, address string) {
	b.Helper()
	store, err := with.open(b.Context(), address)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	expire(b, store, *expiredTokens)
	without := func() { within(b, *trafficAlone) }
	p99(b, store, without) // while the server still writes what the table was filled with
	alone := p99(b, store, without)
	var took time.Duration
	beside := p99(b, store, func() {
		begun := time.Now()
		removed, err := cleanup.Run(b.Context(), store, nil)
		took = time.Since(begun)
		if err != nil || removed.Tokens < *expiredTokens {
			b.Errorf("%+v %v", removed, err)
		}
	})
	b.ReportMetric(took.Seconds(), "cleanup-s")
	b.ReportMetric(float64(alone.Microseconds()), "p99-alone-µs")
	b.ReportMetric(float64(beside.Microseconds()), "p99-beside-µs")
	ratio := float64(beside) / float64(alone)
	b.ReportMetric(ratio, "beside/alone")
	if ratio > *largestRatio {
		b.Errorf("the p99 is %.1f times as long during cleanup", ratio)
	}
}

// expire stores n tokens that have expired, under grants that live on.
func expire(b *testing.B, store repository.Store, n int) {
	b.Helper()
	ctx, past := b.Context(), time.Now().Add(-time.Hour)
	err := store.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic})
	for i := 0; i < grantsOfCleanup && err == nil; i++ {
		id := fmt.Sprint("grant-", i)
		err = store.Grants().Create(ctx, domain.Grant{ID: id, ClientID: theClient, Subject: theUser})
		tokens := make([]domain.Token, (n+i)/grantsOfCleanup)
		for j := range tokens {
			tokens[j] = newToken(domain.AccessToken, id)
			tokens[j].ExpiresAt = past.Add(time.Duration(i+j) * time.Microsecond)
		}
		for batch := range slices.Chunk(tokens, 500) {
			if err == nil {
				err = store.Tokens().Create(ctx, batch...)
			}
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

func newToken(kind domain.TokenKind, grant string) domain.Token {
	return domain.Token{
		Digest: domain.DigestOf(domain.NewSecret()), Kind: kind, GrantID: grant, ClientID: theClient, Subject: theUser,
		Scopes: []string{"read", "write"}, Resources: []string{"https://mcp.example/notes"},
	}
}

// p99 is that of the calls of eight goroutines while during runs.
func p99(b *testing.B, store repository.Store, during func()) time.Duration {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	all := make([][]time.Duration, 8)
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				took, err := refreshOnce(b.Context(), store, fmt.Sprint("grant-", n%grantsOfCleanup))
				if err != nil {
					b.Error(err)
					return
				}
				all[i] = append(all[i], took...)
			}
		})
	}
	during()
	stop()
	running.Wait()
	took := slices.Concat(all...)
	slices.Sort(took)
	return took[len(took)*99/100]
}

// refreshOnce creates an access and a refresh token, reads the one and rotates the other, and returns how long each
// call took.
func refreshOnce(ctx context.Context, store repository.Store, grant string) ([]time.Duration, error) {
	access, refresh := newToken(domain.AccessToken, grant), newToken(domain.RefreshToken, grant)
	var took []time.Duration
	for _, call := range []func() error{
		func() error { return store.Tokens().Create(ctx, access, refresh) },
		func() error { _, err := store.Tokens().Get(ctx, access.Digest); return err },
		func() error {
			_, err := store.Tokens().Rotate(ctx, refresh.Digest, domain.Replay{}, newToken(domain.RefreshToken, grant))
			return err
		},
	} {
		begun := time.Now()
		if err := call(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun))
	}
	return took, nil
}

// largest returns the largest size that the file has while during runs.
func largest(b *testing.B, path string, during func()) int64 {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var size int64
	var watching sync.WaitGroup
	watching.Go(func() {
		for tick := time.Tick(10 * time.Millisecond); ctx.Err() == nil; <-tick {
			if info, err := os.Stat(path); err == nil {
				size = max(size, info.Size())
			}
		}
	})
	during()
	stop()
	watching.Wait()
	return size
}
