// Package tools is a small MCP server: it says who is asking, and keeps one note for each user.
package tools

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/oauthstore/oauthstore/repository/mcpauth"
)

// The scopes of the tools.
const (
	Profile = "profile" // whoami
	Notes   = "notes"   // remember and recall
)

// Scopes are all scopes of the tools.
func Scopes() []string { return []string{Profile, Notes} }

// maxNote is the longest note, in bytes.
const maxNote = 4096

// NewHandler returns an MCP endpoint over streamable HTTP. It keeps no sessions, so that any process can answer any
// request, also after a restart. It must be behind auth.RequireBearerToken. The notes are in memory: they are this
// example's, and neither shared with other processes nor kept when this one ends.
func NewHandler() http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "oauthstore-webapp", Version: "1"}, nil)
	n := &notes{of: make(map[string]string)}
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Says which user and client the access token is for."}, whoami)
	mcp.AddTool(server, &mcp.Tool{Name: "remember", Description: "Keeps a note for the user, in place of the one before."}, n.remember)
	mcp.AddTool(server, &mcp.Tool{Name: "recall", Description: "Returns the user's note."}, n.recall)
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})
}

type nothing struct{}

type identity struct {
	Subject  string   `json:"subject" jsonschema:"the user"`
	ClientID string   `json:"client_id" jsonschema:"the client that asks for the user"`
	Scopes   []string `json:"scopes" jsonschema:"what the client may do"`
}

func whoami(_ context.Context, request *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, identity, error) {
	token, err := allowed(request, Profile)
	if err != nil {
		return nil, identity{}, err
	}
	client, _ := token.Extra[mcpauth.ClientID].(string)
	return nil, identity{Subject: token.UserID, ClientID: client, Scopes: token.Scopes}, nil
}

// allowed returns the token of a request if it has scope.
func allowed(request *mcp.CallToolRequest, scope string) (*auth.TokenInfo, error) {
	if request.Extra == nil || request.Extra.TokenInfo == nil {
		return nil, errors.New("the request has no access token")
	}
	token := request.Extra.TokenInfo
	if !slices.Contains(token.Scopes, scope) {
		return nil, errors.New("this needs the scope " + scope)
	}
	return token, nil
}

type note struct {
	Text string `json:"text" jsonschema:"the note, at most 4096 bytes"`
}

// notes are one for each subject.
type notes struct {
	mu sync.Mutex
	of map[string]string
}

func (n *notes) remember(_ context.Context, request *mcp.CallToolRequest, in note) (*mcp.CallToolResult, note, error) {
	token, err := allowed(request, Notes)
	switch {
	case err != nil:
		return nil, note{}, err
	case len(in.Text) > maxNote:
		return nil, note{}, errors.New("the note is longer than 4096 bytes")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of[token.UserID] = in.Text
	return nil, in, nil
}

func (n *notes) recall(_ context.Context, request *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, note, error) {
	token, err := allowed(request, Notes)
	if err != nil {
		return nil, note{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return nil, note{n.of[token.UserID]}, nil
}
