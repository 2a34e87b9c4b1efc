package flow

import (
	"context"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// Introspect returns the token and true if it is live (RFC 7662), else a zero token and false, never
// a reason. A refresh token is active too: a resource server accepts domain.AccessToken alone. An error means that the store could not say. It is one read: a token ends with its grant
// because revoking the grant revokes it, and because this package gives none a longer life.
func (f *Flow) Introspect(ctx context.Context, raw string) (token domain.Token, active bool, err error) {
	token, err = f.store.Tokens().Get(ctx, domain.DigestOf(raw))
	switch {
	case err == nil:
		return token, true, nil
	case repository.IsInactive(err):
		return domain.Token{}, false, nil
	}
	return domain.Token{}, false, failed("introspect", err)
}
