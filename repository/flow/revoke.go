package flow

import (
	"context"
	"errors"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// Revoke ends a token at the request of its client, which the caller has authenticated (RFC 7009): an
// access token alone; a refresh token, a dead one too, with its whole grant. An unknown token and that
// of another client are nil, and nothing happens: no hint which it was.
func (f *Flow) Revoke(ctx context.Context, clientID, raw string) error {
	token, err := f.store.Tokens().Get(ctx, domain.DigestOf(raw))
	switch {
	case errors.Is(err, repository.ErrNotFound):
		return nil
	case !found(err):
		return failed("revoke", err)
	case token.ClientID != clientID:
		return nil
	}
	if err := f.end(ctx, token); err != nil && !errors.Is(err, repository.ErrNotFound) {
		return failed("revoke", err)
	}
	return nil
}

func (f *Flow) end(ctx context.Context, token domain.Token) error {
	if token.Kind == domain.AccessToken {
		return f.store.Tokens().Revoke(ctx, token.Digest)
	}
	_, err := f.store.Grants().Revoke(ctx, repository.GrantFilter{ID: token.GrantID}, domain.ByClient)
	return err
}
