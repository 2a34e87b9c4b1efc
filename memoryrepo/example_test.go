package memoryrepo_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
)

// Of all who present a code, one redeems it. The others learn why they did not.
func Example() {
	ctx := context.Background()
	store := memoryrepo.New(nil)
	defer store.Close()

	code := domain.NewSecret() // what the client gets; the store sees its digest alone
	err := store.InTx(ctx, func(tx repository.Repositories) error {
		return errors.Join(
			tx.Clients().Create(ctx, domain.Client{ID: "editor", Kind: domain.Preregistered}),
			tx.Grants().Create(ctx, domain.Grant{ID: "g1", ClientID: "editor", Subject: "ada"}),
			tx.AuthorizationCodes().Create(ctx, domain.AuthorizationCode{
				Digest: domain.DigestOf(code), GrantID: "g1", ClientID: "editor", Subject: "ada",
				ExpiresAt: time.Now().Add(time.Minute),
			}),
		)
	})
	fmt.Println("stored:", err)

	first, err := store.AuthorizationCodes().Consume(ctx, domain.DigestOf(code))
	fmt.Println("first:", first.Subject, err)

	second, err := store.AuthorizationCodes().Consume(ctx, domain.DigestOf(code))
	fmt.Println("second:", second.GrantID, errors.Is(err, repository.ErrConsumed))
	fmt.Println(err)
	// Output:
	// stored: <nil>
	// first: ada <nil>
	// second: g1 true
	// memoryrepo: consume authorization code: already consumed
}

// A clock of one's own makes expiry testable without waiting.
func ExampleNew_clock() {
	ctx := context.Background()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	store := memoryrepo.New(&memoryrepo.Options{Now: func() time.Time { return now }})
	defer store.Close()

	_ = store.Clients().Create(ctx, domain.Client{ID: "editor", Kind: domain.Preregistered})
	_ = store.Grants().Create(ctx, domain.Grant{ID: "g1", ClientID: "editor", ExpiresAt: now.Add(time.Hour)})

	now = now.Add(time.Hour)
	grant, err := store.Grants().Get(ctx, "g1")
	fmt.Println(grant.ClientID, errors.Is(err, repository.ErrExpired))
	// Output:
	// editor true
}
