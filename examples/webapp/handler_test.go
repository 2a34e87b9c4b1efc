package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/pages"
	"github.com/oauthstore/oauthstore/memoryrepo"
)

func TestAResourceServerIsNotToldOfTheSessionsOfThePages(t *testing.T) {
	store := memoryrepo.New(nil)
	defer store.Close()
	resourceServer := domain.Client{
		ID: "rs", Kind: domain.Preregistered, Secrets: []domain.Secret{{Digest: domain.DigestOf("s3")}},
		Metadata: domain.ClientMetadata{TokenEndpointAuthMethod: "client_secret_post"},
	}
	if err := store.Clients().Create(t.Context(), resourceServer); err != nil {
		t.Fatal(err)
	}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	defer server.Close()
	var err error
	handler, err = newHandler(t.Context(), app{
		url: server.URL, config: config.Config{}, store: store, users: pages.DemoUsers(), log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, server.URL, plain())
	b.signIn("alice", "in-wonderland", "/apps") //nolint:bodyclose // send has read it
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	cookies := b.Jar.Cookies(at)
	if len(cookies) != 1 {
		t.Fatalf("not signed in: %v", cookies)
	}
	session := cookies[0].Value
	if _, err := store.Tokens().Get(t.Context(), domain.DigestOf(session)); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"client_id": {"rs"}, "client_secret": {"s3"}, "token": {session}}
	status, answer := (&client{t: t, base: server.URL}).send("/introspect", "application/x-www-form-urlencoded", form.Encode())
	if status != http.StatusOK || answer["active"] != false || len(answer) != 1 {
		t.Errorf("%d %v", status, answer)
	}
}
