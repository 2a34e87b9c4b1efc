package authserver

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// credentials are what a client presented, and how.
type credentials struct {
	id, secret, method string
}

// authenticated returns the client that a request to the token, revocation or introspection endpoint comes from
// (RFC 6749 §2.3). An unknown client and a wrong secret are the same error, at which MCP clients register anew.
func (s *Server) authenticated(r *http.Request, form url.Values) (domain.Client, error) {
	presented, err := credentialsOf(r, form)
	if err != nil {
		return domain.Client{}, err
	}
	client, err := s.Store.Clients().Get(r.Context(), presented.id)
	if errors.Is(err, repository.ErrNotFound) {
		return domain.Client{}, invalidClient("the client is unknown, or its authentication failed")
	}
	if err != nil {
		return domain.Client{}, err
	}
	if presented.method != methodOf(client) {
		return domain.Client{}, invalidClient("the client is unknown, or its authentication failed")
	}
	if presented.method != authNone && !client.Authenticate(presented.secret, s.Store.Now()) {
		return domain.Client{}, invalidClient("the client is unknown, or its authentication failed")
	}
	return client, nil
}

// methodOf returns how client must authenticate. Only one that says none and has no secrets gets by without: where an
// operator has removed all secrets of another, nobody can authenticate as it. Basic is the default (RFC 7591 §2).
func methodOf(client domain.Client) string {
	method := client.Metadata.TokenEndpointAuthMethod
	switch {
	case method == authNone && client.Public():
		return authNone
	case method == authPost:
		return authPost
	}
	return authBasic
}

func credentialsOf(r *http.Request, form url.Values) (credentials, error) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if r.Header.Get("Authorization") != "" {
		return basic(r, id, secret)
	}
	switch {
	case id == "":
		return credentials{}, invalidClient("the request names no client")
	case secret != "":
		return credentials{id, secret, authPost}, nil
	}
	return credentials{id, "", authNone}, nil
}

// basic reads client_secret_basic, whose two parts are form-encoded first (RFC 6749 §2.3.1).
func basic(r *http.Request, id, secret string) (credentials, error) {
	user, password, ok := r.BasicAuth()
	if !ok {
		return credentials{}, invalidClient("the Authorization header is not Basic")
	}
	user, errUser := url.QueryUnescape(user)
	password, errPassword := url.QueryUnescape(password)
	switch {
	case errUser != nil || errPassword != nil || !plain(user) || !plain(password):
		return credentials{}, invalidClient("the Authorization header cannot be decoded")
	case secret != "" || (id != "" && id != user):
		return credentials{}, invalidRequest("the client authenticates in more than one way")
	}
	return credentials{user, password, authBasic}, nil
}
