package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

// token is the token endpoint (RFC 6749 §3.2).
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	client, err := s.authenticated(r, form)
	if err != nil {
		return err
	}
	kind := form.Get("grant_type")
	switch {
	case kind == "":
		return invalidRequest("grant_type is missing")
	case !slices.Contains(grantTypes, kind):
		return refuse("unsupported_grant_type", "grant_type is not authorization_code or refresh_token")
	case !slices.Contains(client.Metadata.GrantTypes, kind):
		return refuse("unauthorized_client", "the client is not registered for "+kind)
	}
	answer, err := s.issue(r, form, client)
	if errors.Is(err, repository.ErrInvalid) { // more than what was granted; Check has said what it could
		return invalidScope("more is asked for than was granted")
	}
	if err != nil {
		return err
	}
	s.Observe(TokensIssued)
	s.Log.InfoContext(r.Context(), "tokens issued", "client", client.ID, "grant_type", kind)
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func (s *Server) issue(r *http.Request, form url.Values, client domain.Client) (flow.Response, error) {
	if form.Get("grant_type") == grantRefresh {
		return s.refresh(r, form, client)
	}
	return s.exchange(r, form, client)
}

// exchange redeems a code (RFC 6749 §4.1.3).
func (s *Server) exchange(r *http.Request, form url.Values, client domain.Client) (flow.Response, error) {
	if form.Get("code") == "" {
		return flow.Response{}, invalidRequest("code is missing")
	}
	var resources []string
	var grant string
	answer, err := s.flow.ExchangeCode(r.Context(), flow.CodeExchange{
		Code: form.Get("code"),
		Check: func(code domain.AuthorizationCode) (err error) {
			grant = code.GrantID
			if err := fits(code, client, form); err != nil {
				return err
			}
			resources, err = resourcesOf(form, code.Resources)
			return err
		},
		Issue: func(code domain.AuthorizationCode, _ domain.Grant) (flow.Issued, error) {
			return s.mint(client, minted{code.Scopes, code.Scopes, code.Resources, resources}), nil
		},
	})
	s.noteReuse(r, client, grant, "code", err)
	return answer, ofCode(err)
}

// noteReuse logs that flow has revoked a grant, as somebody may have stolen what was presented.
func (s *Server) noteReuse(r *http.Request, client domain.Client, grant, what string, err error) {
	if errors.Is(err, repository.ErrConsumed) {
		s.Log.WarnContext(r.Context(), "grant revoked: its "+what+" was used again", "client", client.ID, "grant", grant)
	}
}

// fits checks a code against the request that presents it. The redirect URI may be left out, as in OAuth 2.1,
// where PKCE does its work.
func fits(code domain.AuthorizationCode, client domain.Client, form url.Values) error {
	redirect := form.Get("redirect_uri")
	switch {
	case code.ClientID != client.ID:
		return invalidGrant("the code is unknown, expired, revoked or used") // no hint that it is another's
	case redirect != "" && redirect != code.RedirectURI:
		return invalidGrant("redirect_uri is not the one of the authorization request")
	case form.Get("code_verifier") == "":
		return invalidGrant("code_verifier is missing")
	case code.VerifyPKCE(form.Get("code_verifier")) != nil:
		return invalidGrant("code_verifier does not fit the challenge")
	}
	return nil
}

// refresh uses a refresh token (RFC 6749 §6).
func (s *Server) refresh(r *http.Request, form url.Values, client domain.Client) (flow.Response, error) {
	if form.Get("refresh_token") == "" {
		return flow.Response{}, invalidRequest("refresh_token is missing")
	}
	var resources []string
	var grant string
	scopes := domain.ParseScope(form.Get("scope"))
	answer, repeated, err := s.flow.Refresh(r.Context(), flow.RefreshRequest{
		Token: form.Get("refresh_token"),
		Check: func(old domain.Token) (err error) {
			grant = old.GrantID
			switch {
			case old.ClientID != client.ID:
				return invalidGrant("the refresh token is unknown, expired, revoked or used")
			case !domain.ContainsAll(old.Scopes, scopes):
				return invalidScope("scope is broader than what was granted")
			}
			resources, err = resourcesOf(form, old.Resources)
			return err
		},
		Issue: func(old domain.Token, _ domain.Grant) (flow.Issued, error) {
			narrowed := scopes
			if len(narrowed) == 0 {
				narrowed = old.Scopes
			}
			return s.mint(client, minted{old.Scopes, narrowed, old.Resources, resources}), nil
		},
	})
	if repeated {
		s.Log.InfoContext(r.Context(), "refresh repeated within the grace period", "client", client.ID)
	}
	s.noteReuse(r, client, grant, "refresh token", err)
	return answer, ofGrant("refresh token", err)
}

// minted is what tokens are for: the refresh token keeps all, the access token has what was asked for.
type minted struct {
	scopes, narrowed, resources, asked []string
}

func (s *Server) mint(client domain.Client, m minted) flow.Issued {
	now := s.Store.Now()
	access := domain.NewSecret()
	out := flow.Issued{
		Tokens: []domain.Token{token(domain.AccessToken, access, m.narrowed, m.asked, now, s.Config.AccessTokenTTL)},
		Response: flow.Response{
			AccessToken: access, Scope: domain.FormatScope(m.narrowed),
		},
	}
	if slices.Contains(client.Metadata.GrantTypes, grantRefresh) {
		refresh := domain.NewSecret()
		out.Response.RefreshToken = refresh
		out.Tokens = append(out.Tokens, token(domain.RefreshToken, refresh, m.scopes, m.resources, now, s.Config.RefreshTokenTTL))
	}
	return out
}

func token(kind domain.TokenKind, raw string, scopes, resources []string, now time.Time, ttl time.Duration) domain.Token {
	return domain.Token{
		Digest: domain.DigestOf(raw), Kind: kind, Scopes: scopes, Resources: resources,
		CreatedAt: now, ExpiresAt: now.Add(ttl),
	}
}
