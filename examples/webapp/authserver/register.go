package authserver

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

const maxRedirects = 20

// register is dynamic client registration (RFC 7591 §3).
func (s *Server) register(w http.ResponseWriter, r *http.Request) error {
	metadata, err := registrationOf(r)
	if err != nil {
		return err
	}
	if err := s.settle(&metadata); err != nil {
		return err
	}
	now := s.Store.Now()
	client := domain.Client{ID: domain.NewID(), Kind: domain.Dynamic, Metadata: metadata, CreatedAt: now, UpdatedAt: now}
	secret := ""
	if metadata.TokenEndpointAuthMethod != authNone {
		secret = domain.NewSecret()
		client.Secrets = []domain.Secret{{Digest: domain.DigestOf(secret)}}
	}
	if err := s.Store.Clients().Create(r.Context(), client); err != nil {
		if errors.Is(err, repository.ErrInvalid) {
			return invalidMetadata("a member breaks a limit of this server")
		}
		return err
	}
	answer, err := registered(client, secret)
	if err != nil {
		return err
	}
	s.Log.InfoContext(r.Context(), "client registered", "client", client.ID)
	writeJSON(w, http.StatusCreated, answer)
	return nil
}

func registrationOf(r *http.Request) (metadata domain.ClientMetadata, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return metadata, invalidRequest("the body must be application/json")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return metadata, tooLarge()
		}
		return metadata, invalidRequest("the body cannot be read")
	}
	if err := json.Unmarshal(body, &metadata); err != nil {
		return metadata, invalidMetadata("the body is not a JSON object of client metadata, or a member has a wrong type")
	}
	return metadata, nil
}

// settle makes metadata what the server registers: the defaults of RFC 7591 §2 filled in, unknown grant types
// dropped, or an error for what it cannot be.
func (s *Server) settle(m *domain.ClientMetadata) error {
	if m.TokenEndpointAuthMethod == "" {
		m.TokenEndpointAuthMethod = authBasic
	}
	if !slices.Contains(authMethods, m.TokenEndpointAuthMethod) {
		return invalidMetadata("token_endpoint_auth_method is not none, client_secret_basic or client_secret_post")
	}
	if len(m.GrantTypes) == 0 {
		m.GrantTypes = []string{grantCode}
	}
	m.GrantTypes = slices.DeleteFunc(slices.Clone(m.GrantTypes), func(t string) bool { return !slices.Contains(grantTypes, t) })
	if !slices.Contains(m.GrantTypes, grantCode) {
		return invalidMetadata("grant_types does not have authorization_code")
	}
	if len(m.ResponseTypes) == 0 {
		m.ResponseTypes = []string{"code"}
	}
	if !slices.Equal(m.ResponseTypes, []string{"code"}) {
		return invalidMetadata("response_types is not code")
	}
	if !domain.ContainsAll(s.Scopes, domain.ParseScope(m.Scope)) {
		return invalidMetadata("scope has what this server does not know")
	}
	for _, ours := range []string{"client_id", "client_id_issued_at", "client_secret", "client_secret_expires_at"} {
		delete(m.Extra, ours) // not the client's to say, and a secret is never stored
	}
	return checkTexts(m)
}

func checkTexts(m *domain.ClientMetadata) error {
	if err := m.Validate(); err != nil {
		if field, ok := errors.AsType[*domain.FieldError](err); ok && field.Field == "redirect_uris" {
			return refuse("invalid_redirect_uri", field.Error())
		}
		return invalidMetadata(err.Error())
	}
	if !plain(m.ClientName) {
		return invalidMetadata("client_name is not plain text")
	}
	return checkRedirects(m.RedirectURIs)
}

// checkRedirects allows https anywhere, http on loopback alone, and schemes of an application's own (RFC 8252 §7).
func checkRedirects(uris []string) error {
	if len(uris) == 0 || len(uris) > maxRedirects {
		return refuse("invalid_redirect_uri", "redirect_uris must have 1 to 20 URIs")
	}
	for _, uri := range uris {
		u, err := url.Parse(uri)
		switch {
		case err != nil || !isVisible(uri) || strings.Contains(uri, " ") || u.User != nil:
			return refuse("invalid_redirect_uri", "redirect_uris has one that is not a plain URI")
		case u.Scheme == "http" && !isLoopback(u.Hostname()):
			return refuse("invalid_redirect_uri", "redirect_uris has one with http that is not on loopback")
		}
	}
	return nil
}

// registered is the answer of RFC 7591 §3.2.1: what was registered, and the secret, which nobody can ask for again.
func registered(client domain.Client, secret string) (map[string]any, error) {
	text, err := json.Marshal(client.Metadata)
	if err != nil {
		return nil, err
	}
	answer := make(map[string]any)
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	answer["client_id"] = client.ID
	answer["client_id_issued_at"] = client.CreatedAt.Unix()
	if secret != "" {
		answer["client_secret"] = secret
		answer["client_secret_expires_at"] = 0
	}
	return answer, nil
}
