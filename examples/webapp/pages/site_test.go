package pages_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
	"github.com/oauthstore/oauthstore/examples/webapp/pages"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
)

// clock is moved by tests.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// site is the pages on a server, with a handler in place of the authorization endpoint that asks for consent.
type site struct {
	t        *testing.T
	url      string
	clock    *clock
	store    repository.Store
	pages    *pages.Pages
	activity *pages.Activity
	consent  authserver.Consent // what the authorization endpoint asks
}

// newSite serves the pages on an empty store in memory; change may be nil.
func newSite(t *testing.T, change func(o *pages.Options)) *site {
	t.Helper()
	s := &site{t: t, clock: &clock{now: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)}}
	s.activity = pages.NewActivity(s.clock.Now)
	o := pages.Options{
		Store: memoryrepo.New(&memoryrepo.Options{Now: s.clock.Now}), Users: testUsers(t), Activity: s.activity,
		Now: s.clock.Now, SignIns: 1000, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	s.store, s.pages = o.Store, pages.New(o)
	mux := http.NewServeMux()
	s.pages.Routes(mux)
	mux.HandleFunc("/authorize", s.authorize)
	server := httptest.NewServer(http.NewCrossOriginProtection().Handler(mux))
	t.Cleanup(server.Close)
	s.url = server.URL
	if s.store != nil {
		if err := s.pages.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// authorize asks for consent, and sends the answer to the redirect URI.
func (s *site) authorize(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		to := *s.consent.Redirect
		to.RawQuery = url.Values{"decision": {r.PostFormValue("decision")}, "state": {r.PostFormValue("state")}}.Encode()
		http.Redirect(w, r, to.String(), http.StatusSeeOther)
		return
	}
	s.pages.Consent(w, r, s.consent)
}

// testUsers are alice, bob, and olga, an operator. The passwords are their names, backwards.
func testUsers(t *testing.T) *pages.Users {
	t.Helper()
	lines := "alice:" + hashOf(t, "ecila") + "\nbob:" + hashOf(t, "bob") + "\nolga:" + hashOf(t, "aglo") + ":operator\n"
	users, err := pages.ReadUsers(strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	return users
}

func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func (s *site) addClient(id, name string, kind domain.ClientKind) {
	s.t.Helper()
	err := s.store.Clients().Create(s.t.Context(), domain.Client{ID: id, Kind: kind, Metadata: domain.ClientMetadata{ClientName: name}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// addGrant stores a grant with an access token, whose value is the ID of the grant with "-token" after it.
func (s *site) addGrant(g domain.Grant) {
	s.t.Helper()
	err := s.store.InTx(s.t.Context(), func(tx repository.Repositories) error {
		if err := tx.Grants().Create(s.t.Context(), g); err != nil {
			return err
		}
		return tx.Tokens().Create(s.t.Context(), domain.Token{
			Digest: domain.DigestOf(g.ID + "-token"), Kind: domain.AccessToken, GrantID: g.ID, ClientID: g.ClientID,
			Subject: g.Subject, Scopes: g.Scopes,
		})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) revoke(id string, why domain.Reason) {
	s.t.Helper()
	if _, err := s.store.Grants().Revoke(s.t.Context(), repository.GrantFilter{ID: id}, why); err != nil {
		s.t.Fatal(err)
	}
}

// visitor is a person's browser: it has cookies, and does not follow redirects.
type visitor struct {
	t *testing.T
	*http.Client
	base *url.URL
}

func (s *site) visitor() *visitor {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	base, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &visitor{s.t, &http.Client{Jar: jar, CheckRedirect: stay}, base}
}

// signedIn is a visitor who has signed in.
func (s *site) signedIn(name, password string) *visitor {
	s.t.Helper()
	v := s.visitor()
	if a := v.signIn(name, password, ""); a.status != http.StatusSeeOther {
		s.t.Fatalf("sign-in of %s: %d %s", name, a.status, a.body)
	}
	return v
}

// answer is what a visitor gets.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) location() string { return a.header.Get("Location") }

func (v *visitor) get(path string) answer {
	v.t.Helper()
	return v.send(http.MethodGet, path, nil)
}

func (v *visitor) post(path string, form url.Values) answer {
	v.t.Helper()
	return v.send(http.MethodPost, path, form)
}

func (v *visitor) signIn(name, password, next string) answer {
	v.t.Helper()
	return v.post("/sign-in", url.Values{"username": {name}, "password": {password}, "next": {next}})
}

func (v *visitor) send(method, path string, form url.Values) answer {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.base.String()+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := v.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// cookie is the value of the session cookie, "" for none.
func (v *visitor) cookie() string {
	for _, c := range v.Jar.Cookies(v.base) {
		if c.Name == "session" {
			return c.Value
		}
	}
	return ""
}

func (v *visitor) setCookie(value string) {
	v.Jar.SetCookies(v.base, []*http.Cookie{{Name: "session", Value: value, Path: "/"}})
}

// brokenStore cannot answer for tokens.
type brokenStore struct{ repository.Store }

func (b brokenStore) Tokens() repository.Tokens { return brokenTokens{b.Store.Tokens()} }

type brokenTokens struct{ repository.Tokens }

func (brokenTokens) Get(context.Context, domain.Digest) (domain.Token, error) {
	return domain.Token{}, repository.ErrClosed
}

// revokedIs checks why a grant was revoked: "" if it is live.
func (s *site) revokedIs(id string, want domain.Reason) {
	s.t.Helper()
	grants, err := s.store.Grants().List(s.t.Context(), repository.GrantFilter{ID: id}, repository.Page{})
	if err != nil || len(grants) != 1 || grants[0].RevokedReason != want {
		s.t.Errorf("%+v %v, want the reason %q", grants, err, want)
	}
}
