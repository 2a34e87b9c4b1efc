package mcpauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository/mcpauth"
)

func ExampleVerifier() {
	store := memoryrepo.New(nil)
	defer store.Close()

	mcp := http.NotFoundHandler() // in truth, mcp.NewStreamableHTTPHandler
	guarded := auth.RequireBearerToken(mcpauth.Verifier(store.Tokens(), "https://mcp.example/mcp"),
		&auth.RequireBearerTokenOptions{ResourceMetadataURL: "https://mcp.example/.well-known/oauth-protected-resource/mcp"})

	answer := httptest.NewRecorder()
	guarded(mcp).ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/mcp", nil))
	fmt.Println(answer.Code, answer.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp"
}
