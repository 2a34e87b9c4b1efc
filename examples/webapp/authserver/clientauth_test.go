package authserver_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
)

// ways are the ways to authenticate at the token endpoint, as client with a code.
func (f *fixture) ways(client domain.Client, code string) map[string]func(secret string) *http.Request {
	form := func() url.Values { return changes{"client_id": {client.ID}}.of(f.exchanging(code)) }
	return map[string]func(secret string) *http.Request{
		"none": func(string) *http.Request { return postForm("/token", form()) },
		"client_secret_basic": func(secret string) *http.Request {
			r := postForm("/token", changes{"client_id": nil}.of(form()))
			r.SetBasicAuth(url.QueryEscape(client.ID), url.QueryEscape(secret))
			return r
		},
		"client_secret_post": func(secret string) *http.Request {
			return postForm("/token", changes{"client_secret": {secret}}.of(form()))
		},
	}
}

func TestAConfidentialClientAuthenticatesInItsOwnWayAlone(t *testing.T) {
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			f := newFixture(t)
			client := f.register(`{"redirect_uris":["` + redirect + `"],"token_endpoint_auth_method":"` + method + `"}`)
			ways := f.ways(client, f.code(client))
			for way, request := range ways {
				if got := f.do(request("wrong")); got.status == http.StatusOK {
					t.Errorf("%s with a wrong secret: %s", way, got)
				}
				if way == method {
					continue
				}
				if got := f.do(request(f.secret)); got.String() != "401 invalid_client" {
					t.Errorf("%s for %s: %s", way, method, got)
				}
			}
			if got := f.do(ways[method](f.secret)); got.status != http.StatusOK {
				t.Errorf("%s: %s %s", method, got, got.body)
			}
		})
	}
}

func TestAConfidentialClientWhoseSecretsWereRemovedAuthenticatesNobody(t *testing.T) {
	for _, method := range []string{"client_secret_basic", "client_secret_post", ""} { // none named: basic (RFC 7591 §2)
		t.Run("method "+method, func(t *testing.T) {
			f := newFixture(t)
			client := f.register(`{"redirect_uris":["` + redirect + `"],"token_endpoint_auth_method":"` + method + `"}`)
			code := f.code(client)
			client.Secrets, client.Metadata.TokenEndpointAuthMethod = nil, method
			if _, err := f.store.Clients().Update(t.Context(), client); err != nil {
				t.Fatal(err)
			}
			before := f.everything(t)
			for way, request := range f.ways(client, code) {
				for _, secret := range []string{f.secret, ""} {
					f.wantRefused(t, f.do(request(secret)), "401 invalid_client")
					if t.Failed() {
						t.Fatalf("%s with the secret %q", way, secret)
					}
				}
			}
			f.wantUnchanged(t, before)
		})
	}
}
