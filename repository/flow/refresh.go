package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// RefreshRequest is a request to use a refresh token (RFC 6749 §6). Both functions are required.
type RefreshRequest struct {
	// Token is the raw refresh token that was presented.
	Token string

	// Check returns nil if the token is the client's that asks. It is called before a new answer is
	// made and before an old one is repeated, so it is where the client must be checked.
	Check func(old domain.Token) error

	// Issue makes the successors and the response. Scopes may be narrower than the old token's, for
	// the access token of this answer, and must stay within the grant's. When a race is lost, what it
	// made is dropped.
	Issue func(old domain.Token, grant domain.Grant) (Issued, error)
}

// Refresh consumes the refresh token, stores its successors and returns the response.
//
// Presented again within the grace period of that, to any process, the token gets the same response
// again, with the expires_in of now, and repeated is true. So it is for requests that race. This holds
// also when the successors have been used or rotated since; it ends when the grant does.
//
// Presented after it, or with an answer that cannot be opened, the token is taken for stolen: its grant
// is revoked with all tokens, for good, and the error is repository.ErrConsumed. The other errors are
// ErrNotFound, also for an access token, ErrRevoked and ErrExpired, of the token or its grant, and
// ErrInvalid for tokens that exceed the grant. If Check or Issue refuses, nothing changes. After ErrUnknownOutcome, the
// same token may be presented again: within the grace period it gets its answer, whether it was rotated or not. Without
// one, that could count as reuse.
func (f *Flow) Refresh(ctx context.Context, r RefreshRequest) (response Response, repeated bool, err error) {
	if r.Check == nil || r.Issue == nil {
		return Response{}, false, failed("refresh", invalid("Check and Issue are required"))
	}
	old, err := f.presented(ctx, r)
	if err == nil {
		response, old, err = f.succeed(ctx, old, r)
	}
	if consumed(err) {
		repeated = true
		response, err = f.repeat(ctx, old, r.Token)
	}
	if err != nil {
		return Response{}, false, failed("refresh", err)
	}
	return response, repeated, nil
}

// consumed reports whether the store, not a function of the caller, said ErrConsumed.
func consumed(err error) bool {
	_, refused := errors.AsType[*refusal](err)
	return !refused && errors.Is(err, repository.ErrConsumed)
}

// presented returns the refresh token, with its reason if it is dead, once Check has agreed.
func (f *Flow) presented(ctx context.Context, r RefreshRequest) (domain.Token, error) {
	old, reason := f.store.Tokens().Get(ctx, domain.DigestOf(r.Token))
	if !found(reason) {
		return domain.Token{}, reason
	}
	if old.Kind != domain.RefreshToken {
		return domain.Token{}, repository.ErrNotFound
	}
	if err := r.Check(old); err != nil {
		return domain.Token{}, &refusal{err}
	}
	return old, reason
}

// succeed stores what Issue makes. With an error it returns the token as it is now.
func (f *Flow) succeed(ctx context.Context, old domain.Token, r RefreshRequest) (Response, domain.Token, error) {
	grant, err := f.store.Grants().Get(ctx, old.GrantID)
	if err != nil {
		return Response{}, old, err
	}
	issued, err := r.Issue(old, grant)
	if err != nil {
		return Response{}, old, &refusal{err}
	}
	if f.noRotation {
		issued, old, err = f.keep(ctx, old, grant, issued, r.Token)
	} else {
		issued, old, err = f.rotate(ctx, old, grant, issued, r.Token)
	}
	return issued.Response, old, err
}

func (f *Flow) rotate(ctx context.Context, old domain.Token, grant domain.Grant, issued Issued, raw string) (Issued, domain.Token, error) {
	now := f.store.Now()
	issued, err := bind(grant, issued, "", now)
	if err != nil {
		return Issued{}, old, err
	}
	replay, err := f.replay(raw, issued.Response, now)
	if err != nil {
		return Issued{}, old, err
	}
	old, err = f.store.Tokens().Rotate(ctx, old.Digest, replay, issued.Tokens...)
	return issued, old, err
}

func (f *Flow) replay(raw string, response Response, now time.Time) (domain.Replay, error) {
	if f.grace <= 0 {
		return domain.Replay{}, nil
	}
	return seal(raw, response, now.Add(f.grace))
}

// keep adds the access tokens and leaves the refresh token. It looks at that after the grant is locked
// by Create, so that it cannot outlive a rotation elsewhere.
func (f *Flow) keep(ctx context.Context, old domain.Token, grant domain.Grant, issued Issued, raw string) (Issued, domain.Token, error) {
	if slices.ContainsFunc(issued.Tokens, func(t domain.Token) bool { return t.Kind == domain.RefreshToken }) {
		return Issued{}, old, invalid("a new refresh token, without rotation")
	}
	issued, err := bind(grant, issued, raw, f.store.Now())
	if err != nil || len(issued.Tokens) == 0 {
		return issued, old, err
	}
	err = f.store.InTx(ctx, func(tx repository.Repositories) (err error) {
		if err := tx.Tokens().Create(ctx, issued.Tokens...); err != nil {
			return err
		}
		old, err = tx.Tokens().Get(ctx, domain.DigestOf(raw))
		return err
	})
	return issued, old, err
}

// repeat answers for a token that was consumed: the same again, or the end of its grant.
func (f *Flow) repeat(ctx context.Context, old domain.Token, raw string) (Response, error) {
	now := f.store.Now()
	response, ok := Response{}, false
	if old.Replay.Live(now) {
		response, ok = unseal(raw, old.Replay)
	}
	if !ok {
		return Response{}, f.endReplayed(ctx, old.GrantID, domain.RefreshTokenReused)
	}
	if _, err := f.store.Grants().Get(ctx, old.GrantID); err != nil {
		return Response{}, err
	}
	return response.expiring(response.ExpiresAt, now), nil
}
