package flow

import (
	"slices"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

// Issued is what Issue makes: the tokens to store, and the response that carries their raw values.
//
// GrantID, ClientID and Subject of a token may be left empty: they are the grant's. An access token
// that is not stored, such as a JWT, is in the Response alone: no revocation reaches it, and issuing it is no use of
// the grant. A refresh token in the Response must be among Tokens.
type Issued struct {
	Tokens   []domain.Token
	Response Response
}

// bind holds what was issued to the grant: owners, scopes, resources and the time of expiry.
// presented is the refresh token that stays the client's, if one does.
func bind(grant domain.Grant, issued Issued, presented string, now time.Time) (Issued, error) {
	tokens := slices.Clone(issued.Tokens)
	for i, token := range tokens {
		bound, err := bindToken(grant, token)
		if err != nil {
			return Issued{}, err
		}
		tokens[i] = bound
	}
	response, err := bindResponse(grant, issued.Response, tokens, presented, now)
	return Issued{tokens, response}, err
}

func bindToken(grant domain.Grant, t domain.Token) (domain.Token, error) {
	adopt(grant, &t.GrantID, &t.ClientID, &t.Subject)
	if t.GrantID != grant.ID {
		return t, invalid("a token belongs to another grant")
	}
	t.ExpiresAt = earlier(t.ExpiresAt, grant.ExpiresAt)
	return t, withinGrant(grant, t.Scopes, t.Resources)
}

func bindResponse(grant domain.Grant, r Response, tokens []domain.Token, presented string, now time.Time) (Response, error) {
	if r.AccessToken == "" {
		return r, invalid("the response has no access token")
	}
	if r.RefreshToken != "" && r.RefreshToken != presented && find(tokens, domain.RefreshToken, r.RefreshToken) < 0 {
		return r, invalid("the refresh token of the response is not among the tokens")
	}
	if err := withinGrant(grant, domain.ParseScope(r.Scope), nil); err != nil {
		return r, err
	}
	if r.TokenType == "" {
		r.TokenType = "Bearer"
	}
	return r.expiring(accessExpiry(grant, r, tokens, now), now), nil
}

// accessExpiry is that of the stored access token, else what the response says, within the grant.
func accessExpiry(grant domain.Grant, r Response, tokens []domain.Token, now time.Time) time.Time {
	if i := find(tokens, domain.AccessToken, r.AccessToken); i >= 0 {
		return tokens[i].ExpiresAt
	}
	end := r.ExpiresAt
	if end.IsZero() && r.ExpiresIn > 0 {
		end = now.Add(time.Duration(r.ExpiresIn) * time.Second)
	}
	return earlier(end, grant.ExpiresAt)
}

func find(tokens []domain.Token, kind domain.TokenKind, raw string) int {
	digest := domain.DigestOf(raw)
	return slices.IndexFunc(tokens, func(t domain.Token) bool { return t.Kind == kind && t.Digest == digest })
}

// earlier returns the first of two ends, where zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
