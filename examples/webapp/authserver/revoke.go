package authserver

import (
	"net/http"

	"github.com/oauthstore/oauthstore/domain"
)

// revoke is RFC 7009. What was revoked, if anything, is not said.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	client, err := s.authenticated(r, form)
	if err != nil {
		return err
	}
	if form.Get("token") == "" {
		return invalidRequest("token is missing")
	}
	if err := s.flow.Revoke(r.Context(), client.ID, form.Get("token")); err != nil {
		return err
	}
	s.Log.InfoContext(r.Context(), "revocation answered", "client", client.ID)
	w.WriteHeader(http.StatusOK)
	return nil
}

// introspect is RFC 7662, for clients that authenticate. Of a token that the client may not know of it says the same as
// of one that never was.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	client, err := s.authenticated(r, form)
	if err != nil {
		return err
	}
	if client.Public() {
		return invalidClient("introspection is for clients that authenticate")
	}
	if form.Get("token") == "" {
		return invalidRequest("token is missing")
	}
	token, active, err := s.flow.Introspect(r.Context(), form.Get("token"))
	if err != nil {
		return err
	}
	if !active || !s.mayKnow(client, token) {
		writeJSON(w, http.StatusOK, map[string]any{"active": false})
		return nil
	}
	writeJSON(w, http.StatusOK, s.described(token))
	return nil
}

// mayKnow reports whether client is told of t. It is of its own tokens; one that the operator registered, such as a
// resource server, of the access tokens of others too. Nobody is told of sessions.
func (s *Server) mayKnow(client domain.Client, t domain.Token) bool {
	switch t.ClientID {
	case s.SessionClient:
		return false
	case client.ID:
		return true
	}
	return client.Kind == domain.Preregistered && t.Kind == domain.AccessToken
}

// described is the answer of RFC 7662 §2.2 for a live token.
func (s *Server) described(t domain.Token) map[string]any {
	answer := map[string]any{
		"active": true, "client_id": t.ClientID, "sub": t.Subject, "username": t.Subject, "iss": s.Issuer,
		"scope": domain.FormatScope(t.Scopes), "iat": t.CreatedAt.Unix(),
	}
	if len(t.Resources) > 0 {
		answer["aud"] = t.Resources
	}
	if t.Kind == domain.AccessToken {
		answer["token_type"] = "Bearer"
	}
	if !t.ExpiresAt.IsZero() {
		answer["exp"] = t.ExpiresAt.Unix()
	}
	return answer
}
