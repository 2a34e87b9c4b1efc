package repository_test

import (
	"context"
	"fmt"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
)

// A page begins after the last ID of the one before it, whatever came or went in between.
func ExamplePage() {
	ctx := context.Background()
	store := memoryrepo.New(nil)
	defer store.Close()
	for _, id := range []string{"editor", "browser", "agent"} {
		_ = store.Clients().Create(ctx, domain.Client{ID: id, Kind: domain.Preregistered})
	}

	page := repository.Page{Limit: 2}
	for {
		clients, err := store.Clients().List(ctx, page)
		if err != nil || len(clients) == 0 {
			break
		}
		for _, c := range clients {
			fmt.Println(c.ID)
			page.After = c.ID
		}
		fmt.Println("--")
	}
	// Output:
	// agent
	// browser
	// --
	// editor
	// --
}

// What a user disconnects ends with all its codes and tokens.
func ExampleGrants_revoke() {
	ctx := context.Background()
	store := memoryrepo.New(nil)
	defer store.Close()
	_ = store.Clients().Create(ctx, domain.Client{ID: "editor", Kind: domain.Preregistered})
	_ = store.Grants().Create(ctx, domain.Grant{ID: "g1", ClientID: "editor", Subject: "ada"})
	_ = store.Grants().Create(ctx, domain.Grant{ID: "g2", ClientID: "editor", Subject: "bob"})

	n, err := store.Grants().Revoke(ctx, repository.GrantFilter{Subject: "ada"}, domain.ByUser)
	fmt.Println(n, err)
	live, err := store.Grants().List(ctx, repository.GrantFilter{ClientID: "editor", State: repository.Live}, repository.Page{})
	fmt.Println(len(live), live[0].Subject, err)
	// Output:
	// 1 <nil>
	// 1 bob <nil>
}
