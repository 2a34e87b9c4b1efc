package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const (
	callback = "http://127.0.0.1:7777/callback"
	verifier = "a-verifier-of-at-least-forty-three-characters-as-it-must-be"
)

// browser is a person's: it has cookies, and stops where the person would be sent to another site.
type browser struct {
	t *testing.T
	*http.Client
	base string
}

func newBrowser(t *testing.T, base string, transport http.RoundTripper) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport, Jar: jar}
	client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if "http://"+r.URL.Host != base {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &browser{t, client, base}
}

func (b *browser) get(path string) (*http.Response, string) {
	b.t.Helper()
	return b.send(http.MethodGet, path, nil)
}

func (b *browser) post(path string, form url.Values) (*http.Response, string) {
	b.t.Helper()
	return b.send(http.MethodPost, path, form)
}

func (b *browser) send(method, path string, form url.Values) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	answer, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer, readAll(b.t, answer)
}

// signIn signs in at the page that the browser was sent to, or anywhere.
func (b *browser) signIn(name, password, next string) (*http.Response, string) {
	b.t.Helper()
	return b.post("/sign-in", url.Values{"username": {name}, "password": {password}, "next": {next}})
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// approve opens an authorization URL, signs alice in if need be, allows, and returns where that leads.
func (b *browser) approve(address string) *url.URL {
	b.t.Helper()
	path := strings.TrimPrefix(address, b.base)
	answer, body := b.get(path) //nolint:bodyclose // send has read it
	if answer.Request.URL.Path == "/sign-in" {
		answer, body = b.signIn("alice", "in-wonderland", answer.Request.URL.Query().Get("next")) //nolint:bodyclose // see above
	}
	form := url.Values{"decision": {"allow"}}
	for _, field := range hidden.FindAllStringSubmatch(body, -1) {
		form.Add(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	if answer.StatusCode != http.StatusOK || !form.Has("client_id") {
		b.t.Fatalf("no consent page: %s %s", answer.Status, body)
	}
	answer, body = b.post("/authorize", form) //nolint:bodyclose // see above
	to, err := answer.Location()
	if err != nil || to.Query().Get("code") == "" {
		b.t.Fatalf("no code: %s %s", answer.Status, body)
	}
	return to
}

// client is one that was registered at a server.
type client struct {
	t        *testing.T
	base     string
	id       string
	redirect string
}

func register(t *testing.T, base, name string) *client {
	t.Helper()
	return registerAt(t, base, name, callback)
}

// registerAt registers a client with a redirect URI of its own.
func registerAt(t *testing.T, base, name, redirect string) *client {
	t.Helper()
	metadata, err := json.Marshal(map[string]any{
		"redirect_uris": []string{redirect}, "token_endpoint_auth_method": "none", "client_name": name,
		"grant_types": []string{"authorization_code", "refresh_token"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, base: base, redirect: redirect}
	status, answer := c.send("/register", "application/json", string(metadata))
	if status != http.StatusCreated {
		t.Fatal(status, answer)
	}
	c.id, _ = answer["client_id"].(string)
	return c
}

// send posts to an endpoint and returns the answer's members.
func (c *client) send(path, contentType, body string) (int, map[string]any) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	answer, err := (&http.Client{Transport: plain()}).Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	members := make(map[string]any)
	if text := readAll(c.t, answer); text != "" {
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			c.t.Fatalf("%s: %s %s", path, answer.Status, text)
		}
	}
	return answer.StatusCode, members
}

func (c *client) authorizeURL() string {
	sum := sha256.Sum256([]byte(verifier))
	return c.base + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {c.redirect}, "state": {"s"}, "scope": {"profile notes"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

// token asks the token endpoint of a server that need not be the one that the client was registered at.
func (c *client) token(base string, form url.Values) (int, map[string]any) {
	c.t.Helper()
	form.Set("client_id", c.id)
	other := *c
	other.base = base
	return other.send("/token", "application/x-www-form-urlencoded", form.Encode())
}

func (c *client) exchange(base, code string) (int, map[string]any) {
	c.t.Helper()
	return c.token(base, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {c.redirect},
	})
}

func (c *client) refresh(base, raw string) (int, map[string]any) {
	c.t.Helper()
	return c.token(base, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {raw}})
}

func text(members map[string]any, name string) string {
	value, _ := members[name].(string)
	return value
}
