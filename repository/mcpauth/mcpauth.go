// Package mcpauth lets an MCP server accept the access tokens of a repository.Store.
//
// It is the one package of this module that needs github.com/modelcontextprotocol/go-sdk: a program without an MCP
// server does not link it.
package mcpauth

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// The keys of auth.TokenInfo.Extra. Both values are strings.
const (
	ClientID = "client_id"
	GrantID  = "grant_id"
)

// Verifier returns a function for auth.RequireBearerToken that accepts the live access tokens of store which were
// issued for resource, the URL of the MCP endpoint (RFC 8707), compared by domain.SameResource: a token without
// resources, or for others alone, is refused, as the MCP authorization specification requires. It makes one read of the
// store for each request.
//
// The TokenInfo has the token's scopes and expiry, the subject as UserID, and ClientID and GrantID in Extra. A token
// that never expires has a zero Expiration: see RequireBearerTokenOptions.AllowMissingExpiration.
//
// A refused token is auth.ErrInvalidToken, without a hint why. When the store cannot answer, the error is another
// one, with the store's in its chain and not in its text, which RequireBearerToken shows to the client.
func Verifier(tokens repository.Tokens, resource string) auth.TokenVerifier {
	return func(ctx context.Context, raw string, _ *http.Request) (*auth.TokenInfo, error) {
		token, err := tokens.Get(ctx, domain.DigestOf(raw))
		switch {
		case repository.IsInactive(err) || (err == nil && !isFor(token, resource)):
			return nil, fmt.Errorf("mcpauth: %w", auth.ErrInvalidToken)
		case err != nil:
			return nil, &unavailable{err}
		}
		return &auth.TokenInfo{
			Scopes: token.Scopes, Expiration: token.ExpiresAt, UserID: token.Subject,
			Extra: map[string]any{ClientID: token.ClientID, GrantID: token.GrantID},
		}, nil
	}
}

func isFor(token domain.Token, resource string) bool {
	same := func(r string) bool { return domain.SameResource(r, resource) }
	return token.Kind == domain.AccessToken && slices.ContainsFunc(token.Resources, same)
}

// unavailable is a store that could not answer.
type unavailable struct{ cause error }

func (*unavailable) Error() string   { return "mcpauth: the token cannot be checked now" }
func (e *unavailable) Unwrap() error { return e.cause }
