package authserver_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
)

const (
	issuer   = "https://as.example"
	resource = issuer + "/mcp"
	redirect = "http://127.0.0.1:7777/callback"
	verifier = "a-verifier-of-at-least-forty-three-characters-as-it-must-be"

	sessionClient = "website"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fixture is a server over a memory store, with two clients, on a clock of its own.
type fixture struct {
	t            *testing.T
	store        repository.Store
	mux          *http.ServeMux
	public       domain.Client
	confidential domain.Client
	secret       string
	user         string
	log          *lockedBuffer

	mu     sync.Mutex
	clock  time.Time
	events map[authserver.Event]int
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: start, user: "alice", mux: http.NewServeMux(), log: &lockedBuffer{}, events: make(map[authserver.Event]int)}
	f.store = memoryrepo.New(&memoryrepo.Options{Now: f.now})
	t.Cleanup(func() { _ = f.store.Close() })
	f.serve(nil)
	f.public = f.register(`{"redirect_uris":["` + redirect + `"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}`)
	f.confidential = f.register(`{"redirect_uris":["` + redirect + `"],"grant_types":["authorization_code","refresh_token"]}`)
	return f
}

func (f *fixture) serve(documents *http.Client) {
	f.t.Helper()
	server, err := authserver.New(authserver.Options{
		Issuer: issuer, Resource: resource, Scopes: []string{"profile", "notes"}, Store: f.store,
		Config: config.Config{
			AuthorizationCodeTTL: 10 * time.Minute, AccessTokenTTL: time.Hour,
			RefreshTokenTTL: 30 * 24 * time.Hour, RefreshGrace: 2 * time.Minute,
		},
		Pages: fakePages{f}, SessionClient: sessionClient, Documents: documents,
		Observe: func(e authserver.Event) { f.mu.Lock(); f.events[e]++; f.mu.Unlock() },
		Log:     slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.mux = http.NewServeMux()
	server.Routes(f.mux)
}

func (f *fixture) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.clock
}

func (f *fixture) move(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock = f.clock.Add(d)
}

// register registers a client, and keeps its secret if it has one.
func (f *fixture) register(metadata string) domain.Client {
	f.t.Helper()
	got := f.do(post("/register", "application/json", metadata))
	if got.status != http.StatusCreated {
		f.t.Fatalf("register: %s", got)
	}
	if secret := got.text("client_secret"); secret != "" {
		f.secret = secret
	}
	client, err := f.store.Clients().Get(f.t.Context(), got.text("client_id"))
	if err != nil {
		f.t.Fatal(err)
	}
	return client
}

// fakePages has one user, who is asked nothing.
type fakePages struct{ f *fixture }

func (p fakePages) Subject(*http.Request) (string, error) { return p.f.user, nil }

func (fakePages) SignIn(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
}

func (fakePages) Consent(w http.ResponseWriter, _ *http.Request, c authserver.Consent) {
	fmt.Fprint(w, "consent ", c.Client.ID, " ", c.Redirect, " ", c.Subject, " ", c.Scopes, " ", c.Resources)
}

func (fakePages) Problem(w http.ResponseWriter, _ *http.Request, status int, problem string) {
	w.WriteHeader(status)
	fmt.Fprint(w, "page: ", problem)
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) do(r *http.Request) answer {
	f.t.Helper()
	recorder := httptest.NewRecorder()
	f.mux.ServeHTTP(recorder, r.WithContext(f.t.Context()))
	result := recorder.Result()
	defer result.Body.Close()
	body, err := io.ReadAll(result.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{result.StatusCode, result.Header, string(body)}
}

// String is the answer in short: "400 invalid_grant", "303 access_denied" for an error that went to the client, or
// "400 page" for one that was shown to the user.
func (a answer) String() string {
	code := "ok"
	var body struct {
		Error string `json:"error"`
	}
	switch err := json.Unmarshal([]byte(a.body), &body); {
	case a.status == http.StatusSeeOther:
		code = a.location().Get("error")
	case err == nil && body.Error != "":
		code = body.Error
	case strings.HasPrefix(a.body, "page: "):
		code = "page"
	}
	return strings.TrimSpace(fmt.Sprint(a.status, " ", code))
}

// text returns a member of a JSON answer.
func (a answer) text(member string) string {
	all := make(map[string]any)
	_ = json.Unmarshal([]byte(a.body), &all)
	text, _ := all[member].(string)
	return text
}

// location returns the parameters of a redirect.
func (a answer) location() url.Values {
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		return nil
	}
	return to.Query()
}

func post(path, contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

func postForm(path string, form url.Values) *http.Request {
	return post(path, "application/x-www-form-urlencoded", form.Encode())
}

func get(path string, query url.Values) *http.Request {
	return httptest.NewRequest(http.MethodGet, path+"?"+query.Encode(), http.NoBody)
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// asking is a good authorization request of a client.
func asking(c domain.Client) url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {redirect}, "state": {"xyz"}, "scope": {"profile"},
		"resource": {resource}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
}

// code lets the user approve a request of the client.
func (f *fixture) code(c domain.Client) string {
	f.t.Helper()
	form := asking(c)
	form.Set("decision", "allow")
	got := f.do(postForm("/authorize", form))
	if got.status != http.StatusSeeOther || got.location().Get("code") == "" {
		f.t.Fatalf("authorize: %s %s", got, got.body)
	}
	return got.location().Get("code")
}

// exchanging is a good token request for a code of the public client.
func (f *fixture) exchanging(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "client_id": {f.public.ID},
		"redirect_uri": {redirect}, "code_verifier": {verifier},
	}
}

func (f *fixture) refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {f.public.ID}}
}

// tokens signs the public client in.
func (f *fixture) tokens() answer {
	f.t.Helper()
	got := f.do(postForm("/token", f.exchanging(f.code(f.public))))
	if got.status != http.StatusOK {
		f.t.Fatalf("token: %s %s", got, got.body)
	}
	return got
}

// lockedBuffer is a log that many goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	all strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}
