package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

func TestTwoProcessesServeTheSameUsers(t *testing.T) {
	s := newSite(t)
	first, second := s.start(), s.start()
	c := register(t, first.url, "Split")
	b := newBrowser(t, first.url, plain())
	code := b.approve(c.authorizeURL()).Query().Get("code")
	status, tokens := c.exchange(second.url, code)
	if status != http.StatusOK {
		t.Fatal(status, tokens)
	}
	status, next := c.refresh(first.url, text(tokens, "refresh_token"))
	if status != http.StatusOK {
		t.Fatal(status, next)
	}
	for _, p := range []*process{first, second} {
		if got := s.whoami(p.url, text(next, "access_token")); got != "alice" {
			t.Errorf("the token is for %q", got)
		}
	}
	if status, answer := c.exchange(first.url, code); status != http.StatusBadRequest {
		t.Error("the code went twice:", status, answer)
	}
	if got := s.whoami(second.url, text(next, "access_token")); got != "" {
		t.Error("a code that came twice ends the grant, but its token lives on")
	}
}

func TestTwentyRefreshesAtOnceGetTheSameTokensAndALateOneEndsTheGrant(t *testing.T) {
	s := newSite(t)
	processes := []*process{s.start(), s.start()}
	c := register(t, s.url, "Impatient")
	b := newBrowser(t, s.url, plain())
	_, tokens := c.exchange(s.url, b.approve(c.authorizeURL()).Query().Get("code"))
	old := text(tokens, "refresh_token")
	var mu sync.Mutex
	got := make(map[[2]string]int)
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			_, answer := c.refresh(processes[i%2].url, old)
			mu.Lock()
			defer mu.Unlock()
			got[[2]string{text(answer, "access_token"), text(answer, "refresh_token")}]++
		})
	}
	wait.Wait()
	if len(got) != 1 || got[[2]string{}] > 0 {
		t.Fatalf("%d different answers", len(got))
	}
	s.move(10 * time.Minute)
	if status, answer := c.refresh(processes[1].url, old); status != http.StatusBadRequest || text(answer, "error") != "invalid_grant" {
		t.Error("a stale refresh token:", status, answer)
	}
	for pair := range got {
		if status, answer := c.refresh(s.url, pair[1]); status != http.StatusBadRequest {
			t.Error("the family lives on:", status, answer)
		}
	}
	if _, page := b.get("/apps"); !strings.Contains(page, "Impatient") || !strings.Contains(page, "an old refresh token was used again") { //nolint:bodyclose // send has read it
		t.Error("the page of connected apps does not say why:", page)
	}
}

// TestAnMCPClientNeverNoticesThatTheServerIsKilledBeforeEachRequest runs the client of the MCP SDK: discovery,
// registration, authorization, tool calls, a refresh. A process that was killed before each request serves it.
func TestAnMCPClientNeverNoticesThatTheServerIsKilledBeforeEachRequest(t *testing.T) {
	s := newSite(t)
	p := s.start()
	transport := &killing{p: p}
	b := newBrowser(t, p.url, transport)
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		RedirectURL: callback,
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "Unshaken", RedirectURIs: []string{callback}, TokenEndpointAuthMethod: "none",
			GrantTypes: []string{"authorization_code", "refresh_token"},
		}},
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			to := b.approve(args.URL).Query()
			return &auth.AuthorizationResult{Code: to.Get("code"), State: to.Get("state"), Iss: to.Get("iss")}, nil
		},
		Client: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: p.url + mcpPath, HTTPClient: &http.Client{Transport: transport}, OAuthHandler: handler,
		DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	whoami := func() {
		t.Helper()
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
		if err != nil || result.IsError {
			t.Fatal(result, err)
		}
		if identity, ok := result.StructuredContent.(map[string]any); !ok || identity["subject"] != "alice" {
			t.Errorf("%+v", result.StructuredContent)
		}
	}
	whoami()
	before := tokenOf(t, handler)
	s.move(2 * time.Hour) // the access token has expired at the server: the client does not know it yet
	whoami()
	if tokenOf(t, handler) == before {
		t.Error("the token is still the old one")
	}
	if transport.times < 10 {
		t.Errorf("the server was killed only %d times", transport.times)
	}
}

// whoami asks the MCP endpoint of a process whom a token is for: "" if it is not accepted.
func (s *site) whoami(base, token string) string {
	s.t.Helper()
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}`
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, base+mcpPath, strings.NewReader(call))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	answer, err := (&http.Client{Transport: plain()}).Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	body := readAll(s.t, answer)
	if answer.StatusCode == http.StatusUnauthorized {
		return ""
	}
	var called struct {
		Result struct{ StructuredContent struct{ Subject string } }
	}
	if err := json.Unmarshal([]byte(body), &called); err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatal(answer.Status, body)
	}
	return called.Result.StructuredContent.Subject
}

// tokenOf is the access token that the client has now.
func tokenOf(t *testing.T, handler *auth.AuthorizationCodeHandler) string {
	t.Helper()
	source, err := handler.TokenSource(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := source.Token()
	if err != nil || token.AccessToken == "" {
		t.Fatal("no token:", err)
	}
	return token.AccessToken
}

func TestASignalLetsARequestEndAndClosesTheStore(t *testing.T) {
	s := newSite(t)
	p := s.start()
	c := register(t, p.url, "Slow")
	body, rest := io.Pipe()
	begun := make(chan struct{}) // closed when the server asks for the body, which is still to be written
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(begun) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/revoke", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Expect", "100-continue")
	transport := plain()
	transport.ExpectContinueTimeout = time.Minute
	result := make(chan error, 1)
	go func() {
		answer, err := (&http.Client{Transport: transport}).Do(r)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				err = errors.New(answer.Status)
			}
		}
		result <- err
	}()
	<-begun
	ended := make(chan error, 1)
	go func() { ended <- p.stopped() }()
	for p.answers(t.Context()) {
		continue // until it takes no more connections
	}
	if _, err := io.WriteString(rest, url.Values{"client_id": {c.id}, "token": {"x"}}.Encode()); err != nil {
		t.Fatal(err)
	}
	if err := rest.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error("the request that had begun:", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the process: %v\n%s", err, p.stderr)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(s.clock), "oauth.db-*")); err != nil || strings.Contains(strings.Join(left, " "), "-wal") {
		t.Errorf("the store was not closed: %v %v", left, err)
	}
}

func TestAWrongStartSaysWhatIsWrongAndWhere(t *testing.T) {
	busy := newSite(t).start()
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("# us\nada:not-a-hash\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args    []string
		environ string
		want    string
	}{
		"an unknown flag":          {[]string{"-port", "1"}, "", "-port"},
		"an argument":              {[]string{"serve"}, "", `"serve"`},
		"a port that is taken":     {[]string{"-addr", busy.address}, "", busy.address},
		"an address that is none":  {[]string{"-addr", "nowhere"}, "", "nowhere"},
		"a URL with a path":        {[]string{"-addr", "127.0.0.1:0", "-url", "http://localhost/x"}, "", "http://localhost/x"},
		"a URL that is none":       {[]string{"-addr", "127.0.0.1:0", "-url", "::"}, usersVariable + "=" + users + ".good", "::"},
		"demo users for the world": {[]string{"-addr", "0.0.0.0:0"}, "", usersVariable},
		"demo users, public URL":   {[]string{"-addr", "127.0.0.1:0", "-url", "https://as.example"}, "", usersVariable},
		"a file without hashes":    {[]string{"-addr", "127.0.0.1:0"}, usersVariable + "=" + users, users + ": line 2"},
		"no such file":             {[]string{"-addr", "127.0.0.1:0"}, usersVariable + "=" + users + "x", users + "x"},
		"a wrong setting":          {[]string{"-addr", "127.0.0.1:0"}, "MCP_OAUTH_REFRESH_GRACE=soon", "MCP_OAUTH_REFRESH_GRACE"},
	} {
		t.Run(name, func(t *testing.T) {
			good, err := os.ReadFile("pages/users.txt")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(users+".good", good, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := newSite(t, tt.environ).command(ctx, tt.args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) || ctx.Err() != nil {
				t.Errorf("%v: %s, want it to name %s", err, out, tt.want)
			}
			if strings.Contains(string(out), "not-a-hash") {
				t.Errorf("it has the hash: %s", out)
			}
		})
	}
}
