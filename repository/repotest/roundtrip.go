package repotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func roundTripChecks() []check {
	return []check{
		{"every field comes back as it went in", everyField},
		{"a dead entity comes back as it went in", everyDeadField},
		{"nil stays nil and empty stays empty", nilAndEmpty},
		{"times come back in UTC and cut to the microsecond", everyZone},
		{"times from year 1 to 9999 come back, the epoch too", everyYear},
		{"the time of the store is kept in UTC and cut to the microsecond", storeZone},
		{"the longest of everything comes back", longest},
	}
}

func everyField(t *testing.T, f *fixture) {
	c := fullClient()
	g := fullGrant(c)
	must(t, f.Clients().Create(f.ctx, c))
	must(t, f.Grants().Create(f.ctx, g))
	f.want(t, stored(c), stored(g))
	must(t, f.AuthorizationCodes().Create(f.ctx, fullCode(g)))
	must(t, f.Tokens().Create(f.ctx, fullToken(g)))
	f.want(t, stored(fullCode(g)), stored(fullToken(g)))
	client, err := f.Clients().Get(f.ctx, c.ID)
	must(t, err)
	want(t, client.Authenticate("secret one", start), true)
	want(t, client.Authenticate("secret two", start.Add(time.Hour)), true)
}

func everyDeadField(t *testing.T, f *fixture) {
	c, g := f.family(t)
	dead, token, code := fullGrant(c), fullToken(g), fullCode(g)
	dead.RevokedAt, dead.RevokedReason = start.Add(-time.Second), domain.RefreshTokenReused
	token.ConsumedAt, token.RevokedAt, token.Replay = start.Add(-2*time.Second), start.Add(-time.Second), aReplay()
	code.ConsumedAt, code.RevokedAt = start.Add(-2*time.Second), start.Add(-time.Second)
	f.put(t, dead, token, code)
	for _, entity := range []any{stored(dead), stored(token), stored(code)} {
		got, err := f.get(entity)
		if err == nil {
			t.Errorf("a revoked %T came back without an error", entity)
		}
		want(t, got, entity)
	}
}

func nilAndEmpty(t *testing.T, f *fixture) {
	for i, texts := range [][]string{nil, {}} {
		c := aClient(fmt.Sprint("-client", i))
		c.Metadata.RedirectURIs, c.Metadata.GrantTypes = texts, texts
		c.Metadata.ResponseTypes, c.Metadata.Contacts = texts, texts
		g := aGrant(fmt.Sprint("-grant", i), c)
		code, token := aCode(fmt.Sprint("code", i), g), aRefresh(fmt.Sprint("token", i), g)
		if texts != nil {
			c.Secrets = []domain.Secret{}
			g.Data, code.Data, token.Data = []byte{}, []byte{}, []byte{}
		}
		g.Scopes, code.Scopes, token.Scopes = texts, texts, texts
		g.Resources, code.Resources, token.Resources = texts, texts, texts
		f.put(t, c, g)
		f.want(t, stored(c), stored(g))
		f.put(t, code, token)
		f.want(t, stored(code), stored(token))
	}
}

func everyZone(t *testing.T, f *fixture) {
	at := start.Add(999).In(time.FixedZone("odd", 5*3600+45*60+7))
	f.keepTimes(t, at, at.Add(time.Hour))
}

func everyYear(t *testing.T, f *fixture) {
	first := time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)
	last := time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
	f.keepTimes(t, first, last)
	f.keepTimes(t, time.Unix(0, 0), last)
	f.keepTimes(t, time.Unix(0, 1000), last)
	f.keepTimes(t, time.Unix(0, -1), time.Unix(1<<33, 999))
}

// keepTimes checks one family with at in each field that has no say, and end in each that ends a thing.
func (f *fixture) keepTimes(t *testing.T, at, end time.Time) {
	t.Helper()
	name := fmt.Sprint(at.UnixMicro())
	c := aClient(name)
	c.CreatedAt, c.UpdatedAt = at, at
	c.Secrets = []domain.Secret{{Digest: domain.DigestOf("s"), ExpiresAt: at}, {Digest: domain.DigestOf("t"), ExpiresAt: end}}
	g := aGrant(name, c)
	g.CreatedAt, g.LastUsedAt, g.ExpiresAt = at, at, end
	f.put(t, c, g)
	f.want(t, stored(c), stored(g))
	code, token := aCode(name, g), aRefresh(name, g)
	code.CreatedAt, code.ExpiresAt = at, end
	token.CreatedAt, token.ExpiresAt = at, end
	f.put(t, code, token)
	f.want(t, stored(code), stored(token))
	g.ID += "-dead"
	g.RevokedAt, g.RevokedReason = at, domain.ByUser
	code.Digest, token.Digest = domain.DigestOf(name+"dead"), domain.DigestOf(name+"dead")
	code.ConsumedAt, code.RevokedAt = at, at
	token.ConsumedAt, token.RevokedAt, token.Replay = at, at, domain.Replay{Sealed: []byte{0}, ExpiresAt: at}
	f.put(t, g, code, token)
	for _, entity := range []any{stored(g), stored(code), stored(token)} {
		got, _ := f.get(entity)
		want(t, got, entity)
	}
}

func storeZone(t *testing.T, f *fixture) {
	now := start.Add(time.Hour)
	f.clock.Set(now.Add(999).In(time.FixedZone("odd", -11*3600)))
	c := aClient("-client")
	g := aGrant("-grant", c)
	token, code := aRefresh("token", g), aCode("code", g)
	code.ExpiresAt = now.Add(time.Hour)
	f.put(t, c, g, token, code)
	c.CreatedAt, c.UpdatedAt, c.Version, g.CreatedAt, g.LastUsedAt = now, now, 1, now, now
	token.CreatedAt, code.CreatedAt = now, now
	f.want(t, c, g, token, code)
	got, err := f.AuthorizationCodes().Consume(f.ctx, code.Digest)
	must(t, err)
	code.ConsumedAt = now
	want(t, got, code)
	old, err := f.Tokens().Rotate(f.ctx, token.Digest, domain.Replay{})
	must(t, err)
	token.ConsumedAt = now
	want(t, old, token)
	c.Version, c.Metadata.ClientName = 1, canary
	updated, err := f.Clients().Update(f.ctx, c)
	must(t, err)
	want(t, updated.UpdatedAt, now)
}

// longText returns n bytes of letters of two bytes each, the last one of one byte if n is odd.
func longText(n int) string {
	text := canary + "!" + strings.Repeat("é", n/2-2)
	return text + strings.Repeat("x", n-len(text))
}

func longest(t *testing.T, f *fixture) {
	c := aClient("")
	c.ID = "https://" + longText(domain.MaxClientID-8)
	for i := range domain.MaxSecrets {
		c.Secrets = append(c.Secrets, domain.Secret{Digest: domain.DigestOf(fmt.Sprint(i))})
	}
	c.Metadata.Extra = map[string]json.RawMessage{"x": json.RawMessage(`"` + strings.Repeat("x", domain.MaxMetadata-8) + `"`)}
	texts, scopes := make([]string, domain.MaxListed), make([]string, domain.MaxListed)
	for i := range texts {
		texts[i], scopes[i] = fmt.Sprint(canary, i), fmt.Sprint(canary, i)
	}
	texts[0], scopes[0] = longText(domain.MaxURI), strings.Repeat("~", domain.MaxScope)
	data := bytes.Repeat(binary()[:256], domain.MaxData/256)
	g := aGrant("", c)
	g.ID, g.Subject = longText(domain.MaxID), longText(domain.MaxSubject)
	g.Scopes, g.Resources, g.Data = scopes, texts, data
	f.put(t, c, g)
	f.want(t, stored(c), stored(g))
	twin := g
	twin.ID = g.ID[:len(g.ID)-1] + "y"
	f.put(t, twin)

	code, token := aCode("code", g), aRefresh("token", g)
	code.RedirectURI, code.Nonce = longText(domain.MaxURI), longText(domain.MaxURI)
	code.Scopes, code.Resources, code.Data = scopes, texts, data
	token.Scopes, token.Resources, token.Data = scopes, texts, data
	f.put(t, code, token)
	f.want(t, stored(code), stored(token), stored(twin))
	replay := domain.Replay{Sealed: data[:domain.MaxReplay], ExpiresAt: start.Add(time.Hour)}
	got, err := f.Tokens().Rotate(f.ctx, token.Digest, replay)
	must(t, err)
	want(t, got, rotated(token, start, replay))
	f.wantDead(t, rotated(token, start, replay), repository.ErrConsumed)
}
