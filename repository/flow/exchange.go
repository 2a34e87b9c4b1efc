package flow

import (
	"context"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// CodeExchange is a request to redeem an authorization code (RFC 6749 §4.1.3). Both functions are
// required. They run at most once, outside of any transaction: they may take their time and call the
// store.
type CodeExchange struct {
	// Code is the raw code that was presented.
	Code string

	// Check returns nil if the request fits the code: client, redirect URI, PKCE.
	Check func(code domain.AuthorizationCode) error

	// Issue makes the tokens and the response. When a race is lost, what it made is dropped.
	Issue func(code domain.AuthorizationCode, grant domain.Grant) (Issued, error)
}

// ExchangeCode redeems a code, once across all processes, stores the tokens and returns the response.
//
// If Check or Issue refuses, its error comes back unchanged, nothing is stored and the code is not
// burned. If the code was redeemed before, and Check agrees, its grant is revoked with all tokens, for
// good, and the error is repository.ErrConsumed; that takes the code itself, which cleanup removes once
// it has expired. The other errors are ErrNotFound, ErrRevoked, which a further replay gets, ErrExpired,
// and ErrInvalid for tokens that exceed the grant. After ErrUnknownOutcome, the client should ask for a
// new code: if this one was redeemed, it would count as replayed.
func (f *Flow) ExchangeCode(ctx context.Context, x CodeExchange) (Response, error) {
	if x.Check == nil || x.Issue == nil {
		return Response{}, failed("exchange code", invalid("Check and Issue are required"))
	}
	code, err := f.presentedCode(ctx, x)
	var response Response
	if err == nil {
		response, err = f.redeem(ctx, code, x)
	}
	if consumed(err) {
		err = f.endReplayed(ctx, code.GrantID, domain.CodeReplayed)
	}
	if err != nil {
		return Response{}, failed("exchange code", err)
	}
	return response, nil
}

// presentedCode returns the code, with its reason if it is dead, once Check has agreed.
func (f *Flow) presentedCode(ctx context.Context, x CodeExchange) (domain.AuthorizationCode, error) {
	code, reason := f.store.AuthorizationCodes().Get(ctx, domain.DigestOf(x.Code))
	if !found(reason) {
		return domain.AuthorizationCode{}, reason
	}
	if err := x.Check(code); err != nil {
		return domain.AuthorizationCode{}, &refusal{err}
	}
	return code, reason
}

// redeem stores what Issue makes.
func (f *Flow) redeem(ctx context.Context, code domain.AuthorizationCode, x CodeExchange) (Response, error) {
	grant, err := f.store.Grants().Get(ctx, code.GrantID)
	if err != nil {
		return Response{}, err
	}
	issued, err := x.Issue(code, grant)
	if err != nil {
		return Response{}, &refusal{err}
	}
	issued, err = bind(grant, issued, "", f.store.Now())
	if err != nil {
		return Response{}, err
	}
	_, err = f.store.AuthorizationCodes().Redeem(ctx, code.Digest, issued.Tokens...)
	return issued.Response, err
}

// endReplayed revokes the grant of a code or refresh token that was presented again.
func (f *Flow) endReplayed(ctx context.Context, grantID string, why domain.Reason) error {
	if _, err := f.store.Grants().Revoke(ctx, repository.GrantFilter{ID: grantID}, why); err != nil {
		return err
	}
	return repository.ErrConsumed
}
