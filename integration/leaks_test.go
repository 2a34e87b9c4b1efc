package integration_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

// TestTheSuiteLogsNoDigestAtDebugLevel runs the whole suite, remembers each digest that it stores, and
// searches what was logged.
func TestTheSuiteLogsNoDigestAtDebugLevel(t *testing.T) {
	var log lockedBuffer
	seen := &digests{}
	t.Run("suite", func(t *testing.T) {
		repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
			store, err := sqlite.Open(t.Context(), sqlite.Memory, &sqlite.Options{Now: opt.Now, Logger: debugLogger(&log)})
			if err != nil {
				t.Fatal(err)
			}
			return remembering{store, store, seen}
		})
	})
	logged := log.String()
	if !strings.Contains(logged, "oauth_tokens") {
		t.Fatal("nothing was logged: the search would find nothing")
	}
	if len(seen.all) < 100 {
		t.Fatalf("%d digests were remembered", len(seen.all))
	}
	for d := range seen.all {
		wantAbsent(t, "the log", logged, d.Hex())
		wantAbsent(t, "the log", logged, string(d[:]))
		wantAbsent(t, "the log", logged, base64.StdEncoding.EncodeToString(d[:]))
	}
}

// TestNoRawValueIsStoredLoggedOrReturnedInAnError issues, exchanges, refreshes, replays and revokes with
// values that are known here, and searches the database, its WAL, the log and every error.
func TestNoRawValueIsStoredLoggedOrReturnedInAnError(t *testing.T) {
	var log lockedBuffer
	path := dbPath(t)
	l := &lifecycle{now: time.Now()}
	store, err := sqlite.Open(t.Context(), path, &sqlite.Options{Now: l.clock, Logger: debugLogger(&log)})
	if err != nil {
		t.Fatal(err)
	}
	l.run(t, store)
	wal, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for place, text := range map[string]string{"the WAL": string(wal), "the database": string(file)} {
		if !strings.Contains(text, clientOfLifecycle) {
			t.Errorf("%s does not hold the client's ID: the search would find nothing", place)
		}
	}
	for _, raw := range l.raw {
		for place, text := range map[string]string{
			"the WAL": string(wal), "the database": string(file), "the log": log.String(), "an error": strings.Join(l.errs, "\n"),
		} {
			wantAbsent(t, place, text, raw)
			wantAbsent(t, place, text, base64.StdEncoding.EncodeToString([]byte(raw)))
			if place == "the log" || place == "an error" {
				wantAbsent(t, place, text, domain.DigestOf(raw).Hex())
			}
		}
	}
	if len(l.errs) < 6 || len(l.raw) < 7 {
		t.Errorf("%d errors and %d values are too few to search for", len(l.errs), len(l.raw))
	}
}

const clientOfLifecycle = "the-client-that-is-searched-for"

// lifecycle walks through an OAuth flow and keeps what was handed out and what went wrong.
type lifecycle struct {
	now  time.Time
	raw  []string
	errs []string
}

func (l *lifecycle) clock() time.Time { return l.now }

func (l *lifecycle) secret() string {
	s := domain.NewSecret()
	l.raw = append(l.raw, s)
	return s
}

func (l *lifecycle) run(t *testing.T, store repository.Store) {
	t.Helper()
	ctx, steps := t.Context(), flow.New(clocked{store, l.clock}, nil)
	clientSecret, code := l.secret(), l.secret()
	client := domain.Client{ID: clientOfLifecycle, Kind: domain.Dynamic, Secrets: []domain.Secret{{Digest: domain.DigestOf(clientSecret)}}}
	l.must(t, store.Clients().Create(ctx, client))
	l.fails(t, store.Clients().Create(ctx, client), repository.ErrAlreadyExists)
	grant := domain.Grant{ID: domain.NewID(), ClientID: client.ID, Subject: "alice"}
	l.must(t, steps.Authorize(ctx, grant, domain.AuthorizationCode{Digest: domain.DigestOf(code), ExpiresAt: l.now.Add(time.Minute)}))
	exchange := flow.CodeExchange{
		Code:  code,
		Check: func(domain.AuthorizationCode) error { return nil },
		Issue: func(domain.AuthorizationCode, domain.Grant) (flow.Issued, error) { return l.issue(), nil },
	}
	first, err := steps.ExchangeCode(ctx, exchange)
	l.must(t, err)
	second, err := l.refresh(ctx, steps, first.RefreshToken)
	l.must(t, err)
	_, err = l.refresh(ctx, steps, first.RefreshToken)
	l.must(t, err)
	_, err = l.refresh(ctx, steps, l.secret())
	l.fails(t, err, repository.ErrNotFound)
	l.fails(t, store.Tokens().Create(ctx, domain.Token{Digest: domain.DigestOf(second.AccessToken), Kind: domain.AccessToken,
		GrantID: grant.ID, ClientID: client.ID, Subject: "alice"}), repository.ErrAlreadyExists)
	l.now = l.now.Add(time.Hour)
	_, err = l.refresh(ctx, steps, first.RefreshToken)
	l.fails(t, err, repository.ErrConsumed)
	_, err = l.refresh(ctx, steps, second.RefreshToken)
	l.fails(t, err, repository.ErrRevoked)
	_, err = steps.ExchangeCode(ctx, exchange)
	l.fails(t, err, repository.ErrRevoked)
}

func (l *lifecycle) issue() flow.Issued {
	access, refresh := l.secret(), l.secret()
	return flow.Issued{
		Tokens: []domain.Token{
			{Digest: domain.DigestOf(access), Kind: domain.AccessToken, ExpiresAt: l.now.Add(time.Hour)},
			{Digest: domain.DigestOf(refresh), Kind: domain.RefreshToken},
		},
		Response: flow.Response{AccessToken: access, RefreshToken: refresh},
	}
}

func (l *lifecycle) refresh(ctx context.Context, steps *flow.Flow, token string) (flow.Response, error) {
	response, _, err := steps.Refresh(ctx, flow.RefreshRequest{
		Token: token,
		Check: func(domain.Token) error { return nil },
		Issue: func(domain.Token, domain.Grant) (flow.Issued, error) { return l.issue(), nil },
	})
	return response, err
}

func (l *lifecycle) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lifecycle) fails(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v is not %v", err, want)
	}
	l.errs = append(l.errs, fmt.Sprintf("%v %+v %#v", err, err, err))
}

func wantAbsent(t *testing.T, place, text, value string) {
	t.Helper()
	if strings.Contains(text, value) {
		t.Errorf("%s holds one of the values", place)
	}
}

func debugLogger(to *lockedBuffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type digests struct {
	mu  sync.Mutex
	all map[domain.Digest]bool
}

func (s *digests) add(d domain.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[domain.Digest]bool{}
	}
	s.all[d] = true
}

// clocked is a store whose clock, for a flow, is another one.
type clocked struct {
	repository.Store
	now func() time.Time
}

func (s clocked) Now() time.Time { return s.now() }

// remembering adds the digest of each code and token that is created, inside transactions too.
type remembering struct {
	repository.Repositories
	store repository.Store
	seen  *digests
}

func (r remembering) InTx(ctx context.Context, fn func(tx repository.Repositories) error) error {
	return r.store.InTx(ctx, func(tx repository.Repositories) error { return fn(remembering{tx, r.store, r.seen}) })
}
func (r remembering) Stats(ctx context.Context) (repository.Stats, error) { return r.store.Stats(ctx) }
func (r remembering) Ping(ctx context.Context) error                      { return r.store.Ping(ctx) }
func (r remembering) Close() error                                        { return r.store.Close() }

func (r remembering) AuthorizationCodes() repository.AuthorizationCodes {
	return rememberingCodes{r.Repositories.AuthorizationCodes(), r.seen}
}
func (r remembering) Tokens() repository.Tokens {
	return rememberingTokens{r.Repositories.Tokens(), r.seen}
}

type rememberingCodes struct {
	repository.AuthorizationCodes
	seen *digests
}

func (r rememberingCodes) Create(ctx context.Context, c domain.AuthorizationCode) error {
	r.seen.add(c.Digest)
	return r.AuthorizationCodes.Create(ctx, c)
}

func (r rememberingCodes) Redeem(ctx context.Context, d domain.Digest, tokens ...domain.Token) (domain.AuthorizationCode, error) {
	for _, token := range tokens {
		r.seen.add(token.Digest)
	}
	return r.AuthorizationCodes.Redeem(ctx, d, tokens...)
}

type rememberingTokens struct {
	repository.Tokens
	seen *digests
}

func (r rememberingTokens) Create(ctx context.Context, tokens ...domain.Token) error {
	for _, token := range tokens {
		r.seen.add(token.Digest)
	}
	return r.Tokens.Create(ctx, tokens...)
}
