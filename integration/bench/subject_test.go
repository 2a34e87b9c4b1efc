package main_test

import (
	"context"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// subject is a store whose speed is measured. What it is given in fill is there before the clock starts; each
// call then works on entity i, once. A nil function is an operation that it does not have.
type subject struct {
	fill        func(n int) error
	getClient   func(i int) error
	getToken    func(i int) error
	createToken func(i int) error
	consumeCode func(i int) error
	rotate      func(i int) error
	close       func() error
}

// operation is one of a subject's, by name.
type operation struct {
	name  string
	reads bool // it can be called again for the same entity
	of    func(s subject) func(i int) error
}

var operations = []operation{
	{"GetClient", true, func(s subject) func(int) error { return s.getClient }},
	{"GetToken", true, func(s subject) func(int) error { return s.getToken }},
	{"CreateToken", false, func(s subject) func(int) error { return s.createToken }},
	{"ConsumeCode", false, func(s subject) func(int) error { return s.consumeCode }},
	{"Rotate", false, func(s subject) func(int) error { return s.rotate }},
}

// The entities that all subjects work on: typical ones.
const (
	grantsInStock = 64
	maxStock      = 5000 // of entities to read
)

var client = domain.Client{
	ID: "https://client.example/metadata.json", Kind: domain.MetadataDocument,
	Metadata: domain.ClientMetadata{
		ClientName: "Example", ClientURI: "https://client.example/",
		RedirectURIs: []string{"http://127.0.0.1/callback", "https://client.example/callback"},
		GrantTypes:   []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		Scope: "read write", TokenEndpointAuthMethod: "none",
	},
}

var soon = time.Now().Add(24 * time.Hour)

func grant(i int) domain.Grant {
	return domain.Grant{
		ID: fmt.Sprintf("grant-%022d", i%grantsInStock), ClientID: client.ID, Subject: fmt.Sprintf("user-%06d", i%grantsInStock),
		Scopes: []string{"read", "write"}, Resources: []string{"https://mcp.example/"},
	}
}

func code(i int) domain.AuthorizationCode {
	g := grant(i)
	return domain.AuthorizationCode{
		Digest: domain.DigestOf(fmt.Sprint("code", i)), GrantID: g.ID, ClientID: g.ClientID, Subject: g.Subject,
		RedirectURI: "http://127.0.0.1:5100/callback", Scopes: g.Scopes, Resources: g.Resources,
		CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CodeChallengeMethod: "S256", ExpiresAt: soon,
	}
}

func token(name string, kind domain.TokenKind, i int) domain.Token {
	g := grant(i)
	return domain.Token{
		Digest: domain.DigestOf(fmt.Sprint(name, i)), Kind: kind, GrantID: g.ID, ClientID: g.ClientID, Subject: g.Subject,
		Scopes: g.Scopes, Resources: g.Resources, ExpiresAt: soon,
	}
}

func access(i int) domain.Token { return token("access", domain.AccessToken, i) }

// accessDigests are those of the first access tokens: making one takes as long as a read in memory.
var accessDigests = func() []domain.Digest {
	all := make([]domain.Digest, maxStock)
	for i := range all {
		all[i] = access(i).Digest
	}
	return all
}()

func created(i int) domain.Token { return token("created", domain.AccessToken, i) }
func refresh(i int) domain.Token { return token("refresh", domain.RefreshToken, i) }
func next(i int) domain.Token    { return token("next", domain.RefreshToken, i) }

// stocked puts what a subject starts with into a store: client, grants, and n codes and tokens.
func stocked(ctx context.Context, store repository.Store, n int) error {
	err := store.InTx(ctx, func(tx repository.Repositories) error {
		if err := tx.Clients().Create(ctx, client); err != nil {
			return err
		}
		for i := range grantsInStock {
			if err := tx.Grants().Create(ctx, grant(i)); err != nil {
				return err
			}
		}
		return nil
	})
	for from := 0; from < n && err == nil; from += 1000 {
		err = store.InTx(ctx, func(tx repository.Repositories) error {
			for i := from; i < min(n, from+1000); i++ {
				if err := tx.AuthorizationCodes().Create(ctx, code(i)); err != nil {
					return err
				}
				if err := tx.Tokens().Create(ctx, access(i), refresh(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return err
}

// of makes a subject of any store of this module.
func of(ctx context.Context, store repository.Store) subject {
	return subject{
		fill: func(n int) error { return stocked(ctx, store, n) },
		getClient: func(int) error {
			_, err := store.Clients().Get(ctx, client.ID)
			return err
		},
		getToken: func(i int) error {
			_, err := store.Tokens().Get(ctx, accessDigests[i])
			return err
		},
		createToken: func(i int) error { return store.Tokens().Create(ctx, created(i)) },
		consumeCode: func(i int) error {
			_, err := store.AuthorizationCodes().Consume(ctx, code(i).Digest)
			return err
		},
		rotate: func(i int) error {
			_, err := store.Tokens().Rotate(ctx, refresh(i).Digest, domain.Replay{}, next(i))
			return err
		},
		close: store.Close,
	}
}
