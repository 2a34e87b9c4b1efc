package repotest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func errorChecks() []check {
	return []check{
		{"an error has one sentinel in its chain, and says more than it", errorSentinels},
		{"an error inside a transaction is wrapped as outside", errorInTx},
	}
}

func limitChecks() []check {
	return []check{
		{"a client that breaks a limit is invalid, by field, and not stored", invalidClient},
		{"an update that breaks a limit is invalid, by field, and changes nothing", invalidUpdate},
		{"a grant that breaks a limit is invalid, by field, and not stored", invalidGrant},
		{"a code that breaks a limit is invalid, by field, and not stored", invalidCode},
		{"a token that breaks a limit is invalid, by field, and not stored", invalidToken},
		{"nothing is found by an ID that is no text, and a filter or cursor with one is invalid", invalidText},
	}
}

// wantInvalid is wantError for ErrInvalid, which names field.
func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	wantError(t, err, repository.ErrInvalid)
	if err != nil && !strings.Contains(err.Error(), field) {
		t.Errorf("error %q does not name %s", err, field)
	}
}

// sentinels are all that a caller can tell apart.
func sentinels() []error {
	return []error{
		repository.ErrNotFound, repository.ErrAlreadyExists, repository.ErrConflict, repository.ErrConsumed,
		repository.ErrExpired, repository.ErrRevoked, repository.ErrInvalid, repository.ErrClosed,
		repository.ErrUnknownOutcome,
	}
}

func errorSentinels(t *testing.T, f *fixture) {
	c, g := f.family(t)
	expired := aCode("expired", g)
	expired.ExpiresAt = start
	f.put(t, expired, aCode("used", g), anAccess("taken", g))
	_, err := f.AuthorizationCodes().Consume(f.ctx, domain.DigestOf("used"))
	must(t, err)
	_, notFound := f.Clients().Get(f.ctx, canary+"-nobody")
	_, consumed := f.AuthorizationCodes().Consume(f.ctx, domain.DigestOf("used"))
	_, late := f.AuthorizationCodes().Consume(f.ctx, expired.Digest)
	_, conflict := f.Clients().Update(f.ctx, c)
	_, badPage := f.Clients().List(f.ctx, repository.Page{Limit: -1})
	for _, c := range []struct{ err, sentinel error }{
		{notFound, repository.ErrNotFound},
		{f.Tokens().Create(f.ctx, anAccess("taken", g)), repository.ErrAlreadyExists},
		{f.Clients().Create(f.ctx, c), repository.ErrAlreadyExists},
		{consumed, repository.ErrConsumed},
		{late, repository.ErrExpired},
		{conflict, repository.ErrConflict},
		{badPage, repository.ErrInvalid},
	} {
		for _, s := range sentinels() {
			if s == c.sentinel {
				wantError(t, c.err, s)
			} else if errors.Is(c.err, s) {
				t.Errorf("error %v has %v in its chain too", c.err, s)
			}
		}
	}
}

func errorInTx(t *testing.T, f *fixture) {
	c, g := f.family(t)
	var taken, missing, bad error
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
		taken = tx.Clients().Create(f.ctx, c)
		missing = tx.Tokens().Revoke(f.ctx, domain.DigestOf("nothing"))
		bad = tx.Tokens().Create(f.ctx, domain.Token{GrantID: g.ID})
		return nil
	}))
	wantError(t, taken, repository.ErrAlreadyExists)
	wantError(t, missing, repository.ErrNotFound)
	wantError(t, bad, repository.ErrInvalid)
	if err := f.Ping(f.ctx); err != nil {
		t.Errorf("Ping after refused writes: %v", err)
	}
}

// breach is an entity that breaks one limit, and the field that the error names.
type breach[E any] struct {
	field string
	spoil func(e *E)
}

// wantBreaches checks that each breach of good is refused and not stored.
func wantBreaches[E any](t *testing.T, f *fixture, good E, breaches []breach[E], stillKeyed func(E) bool) {
	t.Helper()
	for _, b := range breaches {
		bad := good
		b.spoil(&bad)
		err := putOne(f.ctx, f, bad)
		wantInvalid(t, err, b.field)
		if stillKeyed(bad) {
			f.wantGone(t, bad)
		}
		if t.Failed() {
			t.Fatalf("with a breach of %s", b.field)
		}
	}
	must(t, putOne(f.ctx, f, good))
}

// invalidText asks for what no entity can be called, and inside a transaction, which goes on.
func invalidText(t *testing.T, f *fixture) {
	c, g := f.family(t)
	ask := func(r repository.Repositories, text string) {
		_, err := r.Clients().Get(f.ctx, text)
		wantError(t, err, repository.ErrNotFound)
		wantError(t, r.Clients().Delete(f.ctx, text), repository.ErrNotFound)
		_, err = r.Grants().Get(f.ctx, text)
		wantError(t, err, repository.ErrNotFound)
		_, err = r.Clients().List(f.ctx, repository.Page{After: text})
		wantInvalid(t, err, "cursor")
		_, err = r.Grants().List(f.ctx, repository.GrantFilter{}, repository.Page{After: text})
		wantInvalid(t, err, "cursor")
		for field, filter := range map[string]repository.GrantFilter{
			"ID": {ID: text}, "ClientID": {ID: g.ID, ClientID: text}, "Subject": {ID: g.ID, Subject: text},
		} {
			_, err = r.Grants().List(f.ctx, filter, repository.Page{})
			wantInvalid(t, err, field)
			_, err = r.Grants().Revoke(f.ctx, filter, domain.ByUser)
			wantInvalid(t, err, field)
		}
		for field, filter := range map[string]repository.TokenFilter{
			"GrantID": {GrantID: text}, "ClientID": {ClientID: text}, "Subject": {Subject: text},
		} {
			_, err = r.Tokens().List(f.ctx, filter, repository.Page{})
			wantInvalid(t, err, field)
		}
	}
	for _, text := range []string{canary + "\x00", canary + "\xff"} {
		ask(f, text)
		must(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
			ask(tx, text)
			return tx.Clients().Create(f.ctx, aClient("-after"+domain.DigestOf(text).String()))
		}))
	}
	f.wantIs(t, nil, c, g)
}

func clientBreaches() []breach[domain.Client] {
	return []breach[domain.Client]{
		{"ID", func(c *domain.Client) { c.ID = "" }},
		{"ID", func(c *domain.Client) { c.ID = canary + strings.Repeat("x", domain.MaxClientID) }},
		{"ID", func(c *domain.Client) { c.ID = canary + "\x00" }},
		{"ID", func(c *domain.Client) { c.ID = canary + "\xff" }},
		{"Kind", func(c *domain.Client) { c.Kind = "" }},
		{"Kind", func(c *domain.Client) { c.Kind = canary }},
		{"Secrets", func(c *domain.Client) { c.Secrets = make([]domain.Secret, 1) }},
		{"Secrets", func(c *domain.Client) { c.Secrets = make([]domain.Secret, domain.MaxSecrets+1) }},
		{"redirect_uris", func(c *domain.Client) { c.Metadata.RedirectURIs = []string{"/" + canary} }},
		{"redirect_uris", func(c *domain.Client) { c.Metadata.RedirectURIs = []string{"https://" + canary + "/#f"} }},
		{"client_name", func(c *domain.Client) { c.Metadata.ClientName = canary + "\x00" }},
		{"jwks", func(c *domain.Client) { c.Metadata.JWKS = json.RawMessage("{" + canary) }},
		{"Extra", func(c *domain.Client) { c.Metadata.Extra = map[string]json.RawMessage{"x": nil} }},
		{"Metadata", func(c *domain.Client) { c.Metadata.ClientName = strings.Repeat("x", domain.MaxMetadata) }},
		{"CreatedAt", func(c *domain.Client) { c.CreatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"UpdatedAt", func(c *domain.Client) { c.UpdatedAt = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }},
	}
}

func invalidClient(t *testing.T, f *fixture) {
	wantBreaches(t, f, aClient("-client"), clientBreaches(), func(c domain.Client) bool { return c.ID == canary+"-client" })
	all, err := f.Clients().List(f.ctx, repository.Page{})
	wantCount(t, len(all), err, 1)
}

func invalidUpdate(t *testing.T, f *fixture) {
	f.put(t, fullClient())
	for _, b := range clientBreaches()[4:] {
		bad := stored(fullClient())
		b.spoil(&bad)
		_, err := f.Clients().Update(f.ctx, bad)
		wantInvalid(t, err, b.field)
	}
	f.want(t, stored(fullClient()))
}

func invalidGrant(t *testing.T, f *fixture) {
	c := aClient("-client")
	f.put(t, c)
	good := aGrant("-grant", c)
	wantBreaches(t, f, good, []breach[domain.Grant]{
		{"ID", func(g *domain.Grant) { g.ID = "" }},
		{"ID", func(g *domain.Grant) { g.ID = canary + strings.Repeat("x", domain.MaxID) }},
		{"ClientID", func(g *domain.Grant) { g.ClientID = "" }},
		{"Subject", func(g *domain.Grant) { g.Subject = canary + strings.Repeat("x", domain.MaxSubject) }},
		{"Scopes", func(g *domain.Grant) { g.Scopes = []string{canary + " two"} }},
		{"Scopes", func(g *domain.Grant) { g.Scopes = make([]string, domain.MaxListed+1) }},
		{"Resources", func(g *domain.Grant) { g.Resources = []string{canary + "\xff"} }},
		{"Data", func(g *domain.Grant) { g.Data = make([]byte, domain.MaxData+1) }},
		{"RevokedReason", func(g *domain.Grant) { g.RevokedAt = start }},
		{"RevokedReason", func(g *domain.Grant) { g.RevokedAt, g.RevokedReason = start, canary }},
		{"ExpiresAt", func(g *domain.Grant) { g.ExpiresAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
	}, func(g domain.Grant) bool { return g.ID == good.ID })
}

func invalidCode(t *testing.T, f *fixture) {
	_, g := f.family(t)
	wantBreaches(t, f, aCode("code", g), []breach[domain.AuthorizationCode]{
		{"Digest", func(c *domain.AuthorizationCode) { c.Digest = domain.Digest{} }},
		{"GrantID", func(c *domain.AuthorizationCode) { c.GrantID = "" }},
		{"ClientID", func(c *domain.AuthorizationCode) { c.ClientID = "" }},
		{"RedirectURI", func(c *domain.AuthorizationCode) { c.RedirectURI = canary + strings.Repeat("x", domain.MaxURI) }},
		{"Scopes", func(c *domain.AuthorizationCode) { c.Scopes = []string{canary + `"`} }},
		{"Resources", func(c *domain.AuthorizationCode) { c.Resources = []string{""} }},
		{"CodeChallenge", func(c *domain.AuthorizationCode) { c.CodeChallenge, c.CodeChallengeMethod = canary, "S256" }},
		{"CodeChallengeMethod", func(c *domain.AuthorizationCode) { c.CodeChallengeMethod = canary }},
		{"Nonce", func(c *domain.AuthorizationCode) { c.Nonce = canary + "\x00" }},
		{"Data", func(c *domain.AuthorizationCode) { c.Data = make([]byte, domain.MaxData+1) }},
		{"ExpiresAt", func(c *domain.AuthorizationCode) { c.ExpiresAt = time.Time{} }},
	}, func(c domain.AuthorizationCode) bool { return !c.Digest.IsZero() })
}

func invalidToken(t *testing.T, f *fixture) {
	_, g := f.family(t)
	wantBreaches(t, f, anAccess("token", g), []breach[domain.Token]{
		{"Digest", func(x *domain.Token) { x.Digest = domain.Digest{} }},
		{"Kind", func(x *domain.Token) { x.Kind = canary }},
		{"Kind", func(x *domain.Token) { x.ConsumedAt = start }},
		{"GrantID", func(x *domain.Token) { x.GrantID = "" }},
		{"ClientID", func(x *domain.Token) { x.ClientID = canary + "\x00" }},
		{"Subject", func(x *domain.Token) { x.Subject = canary + "\xc3" }},
		{"Scopes", func(x *domain.Token) { x.Scopes = []string{canary + "é"} }},
		{"Resources", func(x *domain.Token) { x.Resources = make([]string, domain.MaxListed+1) }},
		{"Data", func(x *domain.Token) { x.Data = make([]byte, domain.MaxData+1) }},
		{"Replay", func(x *domain.Token) { x.Kind, x.Replay.Sealed = domain.RefreshToken, []byte(canary) }},
		{"ExpiresAt", func(x *domain.Token) { x.ExpiresAt = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }},
	}, func(x domain.Token) bool { return !x.Digest.IsZero() })
}
