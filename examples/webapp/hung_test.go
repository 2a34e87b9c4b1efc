package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/pages"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
)

// hung is a store whose database does not answer when it is asked for a token. As any store, it waits for what is under
// way before it closes.
type hung struct {
	repository.Store
	asked    chan struct{}
	ended    chan error // how the wait did
	underWay *sync.WaitGroup
}

func newHung() hung {
	return hung{memoryrepo.New(nil), make(chan struct{}, 1), make(chan error, 1), new(sync.WaitGroup)}
}

func (h hung) Tokens() repository.Tokens { return hungTokens{h.Store.Tokens(), h} }

func (h hung) Close() error {
	h.underWay.Wait()
	return h.Store.Close()
}

type hungTokens struct {
	repository.Tokens
	store hung
}

func (h hungTokens) Get(ctx context.Context, _ domain.Digest) (domain.Token, error) {
	h.store.underWay.Add(1)
	defer h.store.underWay.Done()
	h.store.asked <- struct{}{}
	<-ctx.Done()
	h.store.ended <- ctx.Err()
	return domain.Token{}, ctx.Err()
}

func withToken(t *testing.T, base string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+mcpPath, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer x")
	return r
}

func TestARequestDoesNotWaitWithoutEndForADatabaseThatDoesNotAnswer(t *testing.T) {
	store := newHung()
	defer store.Close()
	var log bytes.Buffer
	handler, err := newHandler(t.Context(), app{
		url: "http://127.0.0.1", config: config.Config{}, store: store, users: pages.DemoUsers(),
		log: slog.New(slog.NewTextHandler(&log, nil)), requestTime: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, withToken(t, ""))
	if err := <-store.ended; answer.Code != http.StatusInternalServerError || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d, and the store's wait ended with %v", answer.Code, err)
	}
	if !strings.Contains(log.String(), "context deadline exceeded") {
		t.Errorf("the log does not say why: %s", log.String())
	}
}

func TestTheProgramEndsThoughARequestWaitsForADatabaseThatDoesNotAnswer(t *testing.T) {
	t.Chdir(t.TempDir()) // where no .env is
	t.Setenv("MCP_OAUTH_STORAGE_BACKEND", "memory")
	store := newHung()
	address := freeAddress(t)
	p := program{
		out: io.Discard, log: slog.New(slog.DiscardHandler), now: time.Now, shutdownTime: time.Millisecond,
		open: func(context.Context, config.Config) (repository.Store, error) { return store, nil },
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, []string{"-addr", address}) }()
	go func() {
		for ctx.Err() == nil {
			if answer, err := plain().RoundTrip(withToken(t, "http://"+address)); err == nil {
				_ = answer.Body.Close()
			}
		}
	}()
	select {
	case <-store.asked:
	case err := <-ended:
		t.Fatal(err)
	}
	stop()
	if err := <-store.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the store's wait ended with %v", err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "requests were abandoned after 1ms") {
		t.Errorf("the program ended with %v", err)
	}
}
