package repotest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// canary is in every value of every fixture, and so in no error.
const canary = "zqv"

func aClient(name string) domain.Client {
	return domain.Client{ID: canary + name, Kind: domain.Preregistered}
}

func aGrant(name string, c domain.Client) domain.Grant {
	return domain.Grant{
		ID: canary + name, ClientID: c.ID, Subject: canary + "-user",
		Scopes: []string{canary + ":read", canary + ":write"},
	}
}

func aCode(name string, g domain.Grant) domain.AuthorizationCode {
	return domain.AuthorizationCode{
		Digest: domain.DigestOf(name), GrantID: g.ID, ClientID: g.ClientID, Subject: g.Subject,
		ExpiresAt: start.Add(10 * time.Minute),
	}
}

func anAccess(name string, g domain.Grant) domain.Token {
	return domain.Token{
		Digest: domain.DigestOf(name), Kind: domain.AccessToken,
		GrantID: g.ID, ClientID: g.ClientID, Subject: g.Subject,
		ExpiresAt: start.Add(time.Hour),
	}
}

func aRefresh(name string, g domain.Grant) domain.Token {
	t := anAccess(name, g)
	t.Kind = domain.RefreshToken
	t.ExpiresAt = start.Add(30 * 24 * time.Hour)
	return t
}

func aReplay() domain.Replay {
	return domain.Replay{Sealed: []byte(canary + "\x00sealed\xff"), ExpiresAt: start.Add(2 * time.Minute)}
}

// rotated is what Rotate makes of old.
func rotated(old domain.Token, now time.Time, replay domain.Replay) domain.Token {
	old.CreatedAt, old.ConsumedAt, old.Replay = start, now, replay
	return old.Clone()
}

// fullClient has every field set, with text that is hard to keep.
func fullClient() domain.Client {
	c := aClient("/full Ünï😀\t\"'\\%_<>&\u2028")
	c.Kind = domain.Dynamic
	c.Secrets = []domain.Secret{
		{Digest: domain.DigestOf("secret one"), ExpiresAt: start.Add(time.Hour)},
		{Digest: domain.DigestOf("secret two")},
	}
	c.Metadata = fullMetadata()
	c.CreatedAt, c.UpdatedAt = start.Add(-48*time.Hour), start.Add(-24*time.Hour)
	return c
}

func fullMetadata() domain.ClientMetadata {
	return domain.ClientMetadata{
		RedirectURIs:            []string{"https://" + canary + ".example/cb?a=b&c=<d>", "http://127.0.0.1/cb", "zqv.app:/cb"},
		TokenEndpointAuthMethod: "client_secret_basic",
		GrantTypes:              []string{"authorization_code", "refresh_token"},
		ResponseTypes:           []string{},
		ClientName:              canary + " \u2028 Ünï😀 <b>&amp;\" '\\",
		ClientURI:               "https://" + canary + ".example",
		LogoURI:                 "https://" + canary + ".example/logo",
		Scope:                   canary + ":read " + canary + ":write",
		Contacts:                []string{canary + "@example.com"},
		TosURI:                  "https://" + canary + ".example/tos",
		PolicyURI:               "https://" + canary + ".example/policy",
		JWKSURI:                 "https://" + canary + ".example/jwks",
		JWKS:                    json.RawMessage(`{"keys":[{"z":1,"a":"` + canary + `<&>"}]}`),
		SoftwareID:              canary + "-software",
		SoftwareVersion:         canary + "-1",
		Extra: map[string]json.RawMessage{
			"client_name#ja": json.RawMessage(`"クライアント<&>` + canary + `"`),
			"x_number":       json.RawMessage(`12345678901234567890.1234567890e-3`),
			"x_null":         json.RawMessage(`null`),
			"x_object":       json.RawMessage(`{"b":1,"a":[true,false,null,{"b":"` + canary + `"}],"B":2}`),
			"Client_Name":    json.RawMessage(`"` + canary + ` is another member"`),
		},
	}
}

func fullGrant(c domain.Client) domain.Grant {
	g := aGrant("/grant Ünï😀 ", c)
	g.Subject = canary + " subject Ünï😀\n "
	g.Resources = []string{"https://" + canary + ".example/mcp", "urn:" + canary}
	g.Data = binary()
	g.CreatedAt, g.LastUsedAt = start.Add(-48*time.Hour), start.Add(-24*time.Hour)
	g.ExpiresAt = start.Add(24 * time.Hour)
	return g
}

func fullCode(g domain.Grant) domain.AuthorizationCode {
	c := aCode("full", g)
	c.RedirectURI = "https://" + canary + ".example/cb?é=<&>"
	c.Scopes = []string{canary + ":read"}
	c.Resources = []string{"https://" + canary + ".example/mcp"}
	c.CodeChallenge, c.CodeChallengeMethod = strings.Repeat("a-._~Z9", 18), domain.MethodPlain
	c.Nonce = canary + " nonce \u00e9 "
	c.Data = binary()
	c.CreatedAt = start.Add(-time.Minute)
	return c
}

func fullToken(g domain.Grant) domain.Token {
	t := aRefresh("full", g)
	t.Scopes = []string{canary + ":read"}
	t.Resources = []string{"https://" + canary + ".example/mcp"}
	t.Data = binary()
	t.CreatedAt = start.Add(-time.Minute)
	return t
}

// binary returns all 256 bytes, NUL first and in the middle.
func binary() []byte {
	b := []byte{0}
	for i := range 256 {
		b = append(b, byte(255-i))
	}
	return append(b, canary...)
}

// put stores entities in the order given.
func put(ctx context.Context, r repository.Repositories, entities ...any) error {
	for _, entity := range entities {
		if err := putOne(ctx, r, entity); err != nil {
			return err
		}
	}
	return nil
}

func putOne(ctx context.Context, r repository.Repositories, entity any) error {
	switch e := entity.(type) {
	case domain.Client:
		return r.Clients().Create(ctx, e)
	case domain.Grant:
		return r.Grants().Create(ctx, e)
	case domain.AuthorizationCode:
		return r.AuthorizationCodes().Create(ctx, e)
	case domain.Token:
		return r.Tokens().Create(ctx, e)
	}
	return fmt.Errorf("repotest: cannot store a %T", entity)
}

// put stores entities, all in one transaction, or ends the test.
func (f *fixture) put(t *testing.T, entities ...any) {
	t.Helper()
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error { return put(f.ctx, tx, entities...) }))
}

// family stores a client and a grant of it.
func (f *fixture) family(t *testing.T) (domain.Client, domain.Grant) {
	t.Helper()
	c := aClient("-client")
	g := aGrant("-grant", c)
	f.put(t, c, g)
	return c, g
}

// get returns what the store has of entity, found by its key, and the error.
func (f *fixture) get(entity any) (any, error) {
	switch e := entity.(type) {
	case domain.Client:
		return f.Clients().Get(f.ctx, e.ID)
	case domain.Grant:
		return f.Grants().Get(f.ctx, e.ID)
	case domain.AuthorizationCode:
		return f.AuthorizationCodes().Get(f.ctx, e.Digest)
	case domain.Token:
		return f.Tokens().Get(f.ctx, e.Digest)
	}
	return nil, fmt.Errorf("repotest: cannot get a %T", entity)
}

// stored is entity as the store has it after Create at the start.
func stored[E domain.Client | domain.Grant | domain.AuthorizationCode | domain.Token](entity E) E {
	switch e := any(&entity).(type) {
	case *domain.Client:
		*e = e.Clone()
		e.Version = 1
		setZero(&e.CreatedAt)
		setZero(&e.UpdatedAt)
	case *domain.Grant:
		*e = e.Clone()
		setZero(&e.CreatedAt)
	case *domain.AuthorizationCode:
		*e = e.Clone()
		setZero(&e.CreatedAt)
	case *domain.Token:
		*e = e.Clone()
		setZero(&e.CreatedAt)
	}
	return entity
}

func setZero(t *time.Time) {
	if t.IsZero() {
		*t = start
	}
}
