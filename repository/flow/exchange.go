package flow

import (
	"context"
	"errors"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// CodeExchange is a request to redeem an authorization code (RFC 6749 §4.1.3). Both functions are
// required. They run inside a transaction and may run more than once: they must have no other effects,
// must mint tokens anew each time, and must not call the store.
type CodeExchange struct {
	// Code is the raw code that was presented.
	Code string

	// Check returns nil if the request fits the code: client, redirect URI, PKCE.
	Check func(code domain.AuthorizationCode) error

	// Issue makes the tokens and the response.
	Issue func(code domain.AuthorizationCode, grant domain.Grant) (Issued, error)
}

// ExchangeCode redeems a code, once across all processes, stores the tokens and returns the response.
//
// If Check or Issue refuses, its error comes back unchanged, nothing is stored and the code is not
// burned. If the code was redeemed before, and Check agrees, its grant is revoked with all tokens, for good, and the
// error is repository.ErrConsumed; that takes the code itself, which cleanup removes once it has expired. The other errors
// are ErrNotFound, ErrRevoked, which a further replay gets, ErrExpired, and ErrInvalid for tokens that exceed the grant.
// After ErrUnknownOutcome, the client should ask for a new code: if this one was redeemed, it would count as replayed.
func (f *Flow) ExchangeCode(ctx context.Context, x CodeExchange) (Response, error) {
	if x.Check == nil || x.Issue == nil {
		return Response{}, failed("exchange code", invalid("Check and Issue are required"))
	}
	var response Response
	var replayed error
	err := f.store.InTx(ctx, func(tx repository.Repositories) (err error) {
		response, replayed, err = f.redeem(ctx, tx, x)
		return err
	})
	if err == nil {
		err = replayed // once its consequence is committed
	}
	if err != nil {
		return Response{}, failed("exchange code", err)
	}
	return response, nil
}

// redeem returns an error to roll back, or the reason that a replayed code came with, to commit.
func (f *Flow) redeem(ctx context.Context, tx repository.Repositories, x CodeExchange) (r Response, replayed, err error) {
	code, reason := tx.AuthorizationCodes().Consume(ctx, domain.DigestOf(x.Code))
	if !found(reason) {
		return Response{}, nil, reason
	}
	if err := x.Check(code); err != nil {
		return Response{}, nil, &refusal{err}
	}
	switch {
	case reason == nil:
		r, err = f.issueForCode(ctx, tx, code, x)
		return r, nil, err
	case errors.Is(reason, repository.ErrConsumed):
		_, err = tx.Grants().Revoke(ctx, repository.GrantFilter{ID: code.GrantID}, domain.CodeReplayed)
		return Response{}, reason, err
	default:
		return Response{}, nil, reason
	}
}

func (f *Flow) issueForCode(ctx context.Context, tx repository.Repositories, code domain.AuthorizationCode, x CodeExchange) (Response, error) {
	grant, err := tx.Grants().Get(ctx, code.GrantID)
	if err != nil {
		return Response{}, err
	}
	issued, err := x.Issue(code, grant)
	if err != nil {
		return Response{}, &refusal{err}
	}
	issued, err = bind(grant, issued, "", tx.Now())
	if err != nil {
		return Response{}, err
	}
	if len(issued.Tokens) == 0 {
		return issued.Response, nil
	}
	return issued.Response, tx.Tokens().Create(ctx, issued.Tokens...)
}
