package flow_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

// The life of a grant: approved, redeemed, refreshed by two requests that race, and ended by a replay.
func Example() {
	ctx := context.Background()
	store := memoryrepo.New(nil)
	defer store.Close()
	_ = store.Clients().Create(ctx, domain.Client{ID: "app", Kind: domain.Preregistered})
	oauth := flow.New(store, nil)

	code := domain.NewSecret()
	err := oauth.Authorize(ctx,
		domain.Grant{ID: domain.NewID(), ClientID: "app", Subject: "ann", Scopes: []string{"read"}},
		domain.AuthorizationCode{Digest: domain.DigestOf(code), Scopes: []string{"read"}, ExpiresAt: time.Now().Add(time.Minute)})
	fmt.Println("authorized:", err == nil)

	mint := func(scopes []string) (flow.Issued, error) {
		access, refresh := domain.NewSecret(), domain.NewSecret()
		return flow.Issued{
			Tokens: []domain.Token{
				{Digest: domain.DigestOf(access), Kind: domain.AccessToken, Scopes: scopes, ExpiresAt: time.Now().Add(time.Hour)},
				{Digest: domain.DigestOf(refresh), Kind: domain.RefreshToken, Scopes: scopes, ExpiresAt: time.Now().Add(720 * time.Hour)},
			},
			Response: flow.Response{AccessToken: access, RefreshToken: refresh},
		}, nil
	}
	exchange := flow.CodeExchange{
		Code:  code,
		Check: func(c domain.AuthorizationCode) error { return c.VerifyPKCE("") }, // and client, redirect URI
		Issue: func(c domain.AuthorizationCode, _ domain.Grant) (flow.Issued, error) { return mint(c.Scopes) },
	}
	first, err := oauth.ExchangeCode(ctx, exchange)
	fmt.Println("redeemed:", err == nil)

	refresh := flow.RefreshRequest{
		Token: first.RefreshToken,
		Check: func(domain.Token) error { return nil }, // the client
		Issue: func(old domain.Token, _ domain.Grant) (flow.Issued, error) { return mint(old.Scopes) },
	}
	one, _, _ := oauth.Refresh(ctx, refresh)
	two, repeated, _ := oauth.Refresh(ctx, refresh)
	fmt.Println("same tokens:", one.AccessToken == two.AccessToken, "repeated:", repeated)

	_, err = oauth.ExchangeCode(ctx, exchange)
	fmt.Println("replayed:", errors.Is(err, repository.ErrConsumed))
	_, active, _ := oauth.Introspect(ctx, two.AccessToken)
	fmt.Println("active:", active)

	// Output:
	// authorized: true
	// redeemed: true
	// same tokens: true repeated: true
	// replayed: true
	// active: false
}
