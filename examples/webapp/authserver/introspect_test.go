package authserver_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

const inactive = `{"active":false}`

// introspect asks of a token as a client.
func (f *fixture) introspect(id, secret, raw string) string {
	f.t.Helper()
	r := postForm("/introspect", url.Values{"token": {raw}})
	r.SetBasicAuth(id, secret)
	return strings.TrimSpace(f.do(r).body)
}

// preregister adds a client of the operator's, such as a resource server, whose secret is its ID.
func (f *fixture) preregister(id string) {
	f.t.Helper()
	client := domain.Client{ID: id, Kind: domain.Preregistered, Secrets: []domain.Secret{{Digest: domain.DigestOf(id)}}}
	if err := f.store.Clients().Create(f.t.Context(), client); err != nil {
		f.t.Fatal(err)
	}
}

// add stores a token of the client, without resources, and returns it.
func (f *fixture) add(clientID string, kind domain.TokenKind) (raw string) {
	f.t.Helper()
	raw = domain.NewSecret()
	grant := domain.Grant{ID: domain.NewID(), ClientID: clientID, Subject: "alice", Scopes: []string{"some"}}
	err := f.store.InTx(f.t.Context(), func(tx repository.Repositories) error {
		if err := tx.Grants().Create(f.t.Context(), grant); err != nil {
			return err
		}
		return tx.Tokens().Create(f.t.Context(), domain.Token{
			Digest: domain.DigestOf(raw), Kind: kind, GrantID: grant.ID, ClientID: clientID, Subject: "alice", Scopes: grant.Scopes,
		})
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return raw
}

func TestIntrospectionDescribesALiveAccessTokenToAResourceServer(t *testing.T) {
	f := newFixture(t)
	f.preregister("rs")
	raw := f.tokens().text("access_token")
	body := f.introspect("rs", "rs", raw)
	var described struct {
		Active   bool     `json:"active"`
		Sub      string   `json:"sub"`
		Scope    string   `json:"scope"`
		ClientID string   `json:"client_id"`
		Aud      []string `json:"aud"`
		Exp      int64    `json:"exp"`
	}
	if err := json.Unmarshal([]byte(body), &described); err != nil {
		t.Fatal(err)
	}
	if !described.Active || described.Sub != "alice" || described.Scope != "profile" || described.ClientID != f.public.ID ||
		!slices.Equal(described.Aud, []string{resource}) || described.Exp != start.Add(time.Hour).Unix() {
		t.Error(body)
	}
	f.move(time.Hour)
	if got := f.introspect("rs", "rs", raw); got != inactive {
		t.Error("of an expired token,", got)
	}
}

func TestIntrospectionTellsAClientOfItsOwnTokensAndAnOperatorsClientOfAccessTokensToo(t *testing.T) {
	f := newFixture(t)
	f.preregister("rs")
	f.preregister(sessionClient)
	tokens := map[string]string{
		"another's access":  f.tokens().text("access_token"),
		"another's refresh": f.tokens().text("refresh_token"),
		"app's access":      f.add(f.confidential.ID, domain.AccessToken),
		"app's refresh":     f.add(f.confidential.ID, domain.RefreshToken),
		"rs's refresh":      f.add("rs", domain.RefreshToken),
		"session":           f.add(sessionClient, domain.AccessToken),
	}
	for id, tt := range map[string]struct {
		secret string
		told   []string
	}{
		f.confidential.ID: {f.secret, []string{"app's access", "app's refresh"}},
		"rs":              {"rs", []string{"another's access", "app's access", "rs's refresh"}},
		sessionClient:     {sessionClient, []string{"another's access", "app's access"}},
	} {
		for name, raw := range tokens {
			got := f.introspect(id, tt.secret, raw)
			if told := strings.Contains(got, `"active":true`); told != slices.Contains(tt.told, name) || !told && got != inactive {
				t.Errorf("%s is told of the %s token: %s", id, name, got)
			}
		}
	}
}

func TestIntrospectionOfATokenWithoutResourcesHasNoAudience(t *testing.T) {
	f := newFixture(t)
	body := f.introspect(f.confidential.ID, f.secret, f.add(f.confidential.ID, domain.AccessToken))
	if !strings.Contains(body, `"active":true`) || strings.Contains(body, `"aud"`) {
		t.Error(body)
	}
}
