package main_test

import (
	"bufio"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

var (
	large  = flag.Int("tokens", 1_000_000, "tokens in the large database of BenchmarkScale")
	length = flag.Duration("length", 30*time.Second, "of BenchmarkFourProcesses")
)

// workerVariable holds the path of the database that a worker process of BenchmarkFourProcesses writes to.
const workerVariable = "OAUTHSTORE_BENCH_WORKER"

func TestMain(m *testing.M) {
	flag.Parse()
	if path := os.Getenv(workerVariable); path != "" {
		if err := work(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type opener = func(ctx context.Context, path string, opts *sqlite.Options) (*gormrepo.Store, error)

var openers = map[string]opener{"go": sqlite.Open, "cgo": openCgo}

// typical is a database with n live access tokens of two scopes and one resource, made by SQLite itself. It returns the digests of some tokens, and how many bytes a token takes.
func typical(b *testing.B, path string, n int) (sample []domain.Digest, bytesEach float64) {
	b.Helper()
	store, err := sqlite.Open(b.Context(), path, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := stocked(b.Context(), store, 0); err != nil {
		b.Fatal(err)
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=cache_size(-200000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	run := func(text string, args ...any) {
		if _, err := db.ExecContext(b.Context(), text, args...); err != nil {
			b.Fatal(err)
		}
	}
	size := func() (bytes int64) {
		run("PRAGMA wal_checkpoint(TRUNCATE)")
		var pages, each int64
		if err := db.QueryRowContext(b.Context(), "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size").Scan(&pages, &each); err != nil {
			b.Fatal(err)
		}
		return pages * each
	}
	before, now := size(), time.Now().UnixMicro()
	const batch = 100_000
	for from := 0; from < n; from += batch {
		run(`WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
			INSERT INTO oauth_tokens (digest, kind, grant_id, client_id, subject, scopes, resources, created_at, expires_at)
			SELECT randomblob(32), 'access_token', grants.id, grants.client_id, grants.subject, grants.scopes, grants.resources, ? + i, ? + i
			FROM n JOIN oauth_grants AS grants ON grants.rowid = 1 + i % ?`,
			from, min(n, from+batch), now, now+int64(24*time.Hour/time.Microsecond), grantsInStock)
	}
	bytesEach = float64(size()-before) / float64(n)
	rows, err := db.QueryContext(b.Context(), "SELECT digest FROM oauth_tokens WHERE rowid % ? = 0", max(1, n/maxStock))
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text []byte
		if err := rows.Scan(&text); err != nil {
			b.Fatal(err)
		}
		sample = append(sample, domain.Digest(text))
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return sample, bytesEach
}

// BenchmarkScale reads tokens of a small and a large database, and opens the large one.
func BenchmarkScale(b *testing.B) {
	dir := b.TempDir()
	samples := make(map[int][]domain.Digest)
	sizes := []int{10_000, *large}
	path := func(n int) string { return filepath.Join(dir, fmt.Sprint(n, ".db")) }
	for _, n := range sizes {
		var each float64
		samples[n], each = typical(b, path(n), n)
		b.Run(fmt.Sprintf("op=Size/tokens=%d", n), func(b *testing.B) {
			for b.Loop() { // there is nothing to repeat
			}
			b.ReportMetric(each, "bytes/token")
		})
	}
	for name, open := range openers {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("op=GetToken/driver=%s/tokens=%d", name, n), func(b *testing.B) {
				store, err := open(b.Context(), path(n), nil)
				if err != nil {
					b.Fatal(err)
				}
				defer store.Close()
				took := make([]time.Duration, b.N)
				for i := range b.N {
					begun := time.Now()
					if _, err := store.Tokens().Get(b.Context(), samples[n][i%len(samples[n])]); err != nil {
						b.Fatal(err)
					}
					took[i] = time.Since(begun)
				}
				report(b, took)
			})
			b.Run(fmt.Sprintf("op=OpenToFirstGet/driver=%s/tokens=%d", name, n), func(b *testing.B) {
				for i := range b.N {
					store, err := open(b.Context(), path(n), nil)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := store.Tokens().Get(b.Context(), samples[n][i%len(samples[n])]); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					if err := store.Close(); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		}
	}
}

func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
	b.ReportMetric(float64(took[len(took)-1]), "max-ns")
}

// BenchmarkReadsBesideWriters reads tokens while nobody, or eight goroutines, create tokens without a pause.
func BenchmarkReadsBesideWriters(b *testing.B) {
	for name, open := range openers {
		for _, writers := range []int{0, 8} {
			b.Run(fmt.Sprintf("driver=%s/writers=%d", name, writers), func(b *testing.B) {
				store, err := open(b.Context(), filepath.Join(b.TempDir(), "oauth.db"), nil)
				if err != nil {
					b.Fatal(err)
				}
				defer store.Close()
				if err := stocked(b.Context(), store, maxStock); err != nil {
					b.Fatal(err)
				}
				ctx, stop := context.WithCancel(b.Context())
				var all sync.WaitGroup
				for w := range writers {
					all.Go(func() {
						for i := 0; ctx.Err() == nil; i++ {
							_ = store.Tokens().Create(ctx, token(fmt.Sprint("writer", w, "-"), domain.AccessToken, i)) // until ctx ends
						}
					})
				}
				took := make([]time.Duration, b.N)
				b.ResetTimer()
				for i := range b.N {
					begun := time.Now()
					if _, err := store.Tokens().Get(b.Context(), accessDigests[i%maxStock]); err != nil {
						b.Fatal(err)
					}
					took[i] = time.Since(begun)
				}
				stop()
				all.Wait()
				report(b, took)
			})
		}
	}
}

// BenchmarkFourProcesses lets four processes write to one file for -length, and reports their slowest operation.
func BenchmarkFourProcesses(b *testing.B) {
	for name, open := range openers {
		b.Run("driver="+name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "oauth.db")
			store, err := open(b.Context(), path, nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := stocked(b.Context(), store, 0); err != nil {
				b.Fatal(err)
			}
			if err := store.Close(); err != nil {
				b.Fatal(err)
			}
			program, err := os.Executable()
			if err != nil {
				b.Fatal(err)
			}
			var all []*exec.Cmd
			var outs []*bufio.Reader
			for range 4 {
				cmd := exec.CommandContext(b.Context(), program, "-length", length.String())
				cmd.Env = append(os.Environ(), workerVariable+"="+name+":"+path)
				cmd.Stderr = os.Stderr
				out, err := cmd.StdoutPipe()
				if err != nil {
					b.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					b.Fatal(err)
				}
				all, outs = append(all, cmd), append(outs, bufio.NewReader(out))
			}
			var slowest, writes int64
			for i, cmd := range all {
				text, err := io.ReadAll(outs[i])
				if err != nil {
					b.Fatal(err)
				}
				if err := cmd.Wait(); err != nil {
					b.Fatal(err)
				}
				fields := strings.Fields(string(text))
				n, _ := strconv.ParseInt(fields[0], 10, 64)
				ns, err := strconv.ParseInt(fields[1], 10, 64)
				if err != nil {
					b.Fatal(err)
				}
				writes, slowest = writes+n, max(slowest, ns)
			}
			b.ReportMetric(float64(slowest), "max-ns")
			b.ReportMetric(float64(writes)/length.Seconds(), "writes/s")
		})
	}
}

// work creates and rotates tokens with four goroutines, and prints how many writes these were and how long the
// slowest took, in nanoseconds.
func work(spec string) error {
	driver, path, _ := strings.Cut(spec, ":")
	store, err := openers[driver](context.Background(), path, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	var mu sync.Mutex
	var slowest time.Duration
	var writes int
	var first error
	var all sync.WaitGroup
	end := time.Now().Add(*length)
	for range 4 {
		all.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				took, err := createAndRotate(store, i)
				mu.Lock()
				writes, slowest = writes+2, max(slowest, took)
				if err != nil {
					first = err
					end = time.Time{}
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	fmt.Println(writes, slowest.Nanoseconds())
	return first
}

// createAndRotate returns the time of the slower of the two.
func createAndRotate(store repository.Store, i int) (time.Duration, error) {
	one, two := token(domain.NewID(), domain.RefreshToken, i), token(domain.NewID(), domain.RefreshToken, i)
	begun := time.Now()
	if err := store.Tokens().Create(context.Background(), one); err != nil {
		return 0, err
	}
	created := time.Since(begun)
	begun = time.Now()
	_, err := store.Tokens().Rotate(context.Background(), one.Digest, domain.Replay{}, two)
	return max(created, time.Since(begun)), err
}
