package config_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository/flow"
)

// An access token guards a handler, and can be revoked (RFC 7009). The handlers are those of the README.
func Example() {
	ctx := context.Background()
	cfg, errConfig := config.Load()
	store, errOpen := config.Open(ctx, cfg)
	if err := errors.Join(errConfig, errOpen); err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	mux := routes(store, flow.New(store, &flow.Options{Grace: cfg.RefreshGrace}))

	token := domain.NewSecret()
	_ = store.Clients().Create(ctx, domain.Client{
		ID: "editor", Kind: domain.Preregistered, Metadata: domain.ClientMetadata{TokenEndpointAuthMethod: "none"},
	})
	_ = store.Grants().Create(ctx, domain.Grant{ID: "g1", ClientID: "editor", Subject: "ada"})
	_ = store.Tokens().Create(ctx, domain.Token{
		Digest: domain.DigestOf(token), Kind: domain.AccessToken, GrantID: "g1", ClientID: "editor", Subject: "ada",
		ExpiresAt: time.Now().Add(time.Hour),
	})

	api := func() {
		r := httptest.NewRequest(http.MethodGet, "/whoami", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	api()

	form := url.Values{"client_id": {"editor"}, "token": {token}}
	r := httptest.NewRequest(http.MethodPost, "/revoke", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)
	api()

	// Output:
	// 200 ada
	// 200
	// 401
}

// A Config of one's own begins with the environment's.
func ExampleOpen() {
	c, err := config.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Backend = config.Memory
	store, err := config.Open(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	fmt.Println(store.Ping(context.Background()))
	// Output: <nil>
}

func ExampleConfig_Validate() {
	c, _ := config.Load()
	c.AccessTokenTTL = 36 * time.Hour
	fmt.Println(c.Validate())
	// Output: config: AccessTokenTTL is "36h0m0s", not from 1m0s to 24h0m0s
}

func ExampleDatabaseURL() {
	u := config.DatabaseURL("postgres://oauth:geheim@db.example/oauth?sslmode=require")
	fmt.Println(u)
	// Output: postgres://oauth@db.example/oauth
}
