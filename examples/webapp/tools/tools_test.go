package tools_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/oauthstore/oauthstore/examples/webapp/tools"
)

// as adds a token to each request.
type as string

func (token as) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(token))
	return http.DefaultTransport.RoundTrip(r)
}

// newServer serves the tools to whoever has a token of the form subject:scope,scope.
func newServer(t *testing.T) (url string) {
	t.Helper()
	verify := func(_ context.Context, raw string, _ *http.Request) (*auth.TokenInfo, error) {
		subject, scopes, _ := strings.Cut(raw, ":")
		return &auth.TokenInfo{
			UserID: subject, Scopes: strings.Split(scopes, ","), Expiration: time.Now().Add(time.Hour),
			Extra: map[string]any{"client_id": "app of " + subject},
		}, nil
	}
	server := httptest.NewServer(auth.RequireBearerToken(verify, nil)(tools.NewHandler()))
	t.Cleanup(server.Close)
	return server.URL
}

// call calls a tool, and returns what it said and whether that is an error.
func call(t *testing.T, url, token, tool string, arguments map[string]any) (any, bool) {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: as(token)}, DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatal(err)
	}
	if result.IsError {
		text, ok := result.Content[0].(*mcp.TextContent)
		if !ok {
			t.Fatalf("%T", result.Content[0])
		}
		return text.Text, true
	}
	return result.StructuredContent, false
}

func TestWhoamiSaysWhomTheTokenIsFor(t *testing.T) {
	got, failed := call(t, newServer(t), "alice:profile,notes", "whoami", nil)
	identity, ok := got.(map[string]any)
	if failed || !ok || identity["subject"] != "alice" || identity["client_id"] != "app of alice" {
		t.Error(got)
	}
}

func TestEachUserHasANoteOfTheirOwn(t *testing.T) {
	url := newServer(t)
	var users sync.WaitGroup
	for _, user := range []string{"alice", "bob", "carol"} {
		users.Go(func() {
			for _, text := range []string{"first", user + " ä€🙂", strings.Repeat("x", 4096)} {
				if got, failed := call(t, url, user+":notes", "remember", map[string]any{"text": text}); failed {
					t.Error(got)
				}
				got, failed := call(t, url, user+":notes", "recall", nil)
				if note, ok := got.(map[string]any); failed || !ok || note["text"] != text {
					t.Errorf("%s recalls %v, not %q", user, got, text)
				}
			}
		})
	}
	users.Wait()
}

func TestAToolNeedsItsScopeAndAShortNote(t *testing.T) {
	url := newServer(t)
	for name, tt := range map[string]struct {
		token, tool string
		arguments   map[string]any
		want        string
	}{
		"whoami without profile":  {"alice:notes", "whoami", nil, "scope profile"},
		"remember without notes":  {"alice:profile", "remember", map[string]any{"text": "x"}, "scope notes"},
		"recall without notes":    {"alice:profile", "recall", nil, "scope notes"},
		"a note that is too long": {"alice:notes", "remember", map[string]any{"text": strings.Repeat("x", 4097)}, "4096 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, failed := call(t, url, tt.token, tt.tool, tt.arguments)
			if text, ok := got.(string); !failed || !ok || !strings.Contains(text, tt.want) {
				t.Errorf("%v, want an error with %q", got, tt.want)
			}
		})
	}
}
