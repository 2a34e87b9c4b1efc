package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// authorization is a request to the authorization endpoint that has been checked (RFC 6749 §4.1.1).
type authorization struct {
	client    domain.Client
	redirect  *url.URL
	uri       string // of redirect, as it was sent or is registered
	state     string
	scopes    []string
	resources []string
	challenge string
	form      url.Values
}

// authorize asks the user, or answers what is wrong.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		s.problem(w, r, invalidRequest("the parameters cannot be decoded"))
		return
	}
	asked, subject, ok := s.asked(w, r, form)
	if !ok {
		return
	}
	s.Pages.Consent(w, r, Consent{
		Client: asked.client, Redirect: asked.redirect, Subject: subject,
		Scopes: asked.scopes, Resources: asked.resources, Form: form,
	})
}

// decide takes the user's answer: everything is checked again, and nothing is remembered in between.
func (s *Server) decide(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	form, err := formOf(r)
	if err != nil {
		s.problem(w, r, asOAuthError(err))
		return
	}
	decision := form.Get("decision")
	form.Del("decision")
	asked, subject, ok := s.asked(w, r, form)
	if !ok {
		return
	}
	switch decision {
	case "allow":
		s.allow(w, r, asked, subject)
	case "deny":
		s.toClient(w, r, asked, refuse("access_denied", "the user said no"))
	default:
		s.problem(w, r, invalidRequest("decision is not allow or deny"))
	}
}

// asked finds the user and checks the request. What is wrong is answered here, and ok is false: to the client once
// its redirect URI is known to be its own, else to the user (RFC 6749 §4.1.2.1).
func (s *Server) asked(w http.ResponseWriter, r *http.Request, form url.Values) (a authorization, subject string, ok bool) {
	subject, ok = s.signedIn(w, r, form)
	if !ok {
		return a, "", false
	}
	a, err := s.destination(r, form)
	if err != nil {
		s.problem(w, r, asOAuthError(err))
		return a, "", false
	}
	if err := s.complete(&a, form); err != nil {
		s.toClient(w, r, a, asOAuthError(err))
		return a, "", false
	}
	return a, subject, true
}

// signedIn returns the user, or asks for a sign-in, which leads back to the request that form is, and ok is false. It
// comes before all else, as anybody can register a client or write a link: whoever has not signed in is sent to no
// client, not even with an error (RFC 9700 §4.11.2), and has no metadata document fetched.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request, form url.Values) (subject string, ok bool) {
	subject, err := s.Pages.Subject(r)
	switch {
	case err != nil:
		s.problem(w, r, unavailable(err))
	case subject == "":
		back := *r
		back.URL = &url.URL{Path: authorizePath, RawQuery: form.Encode()}
		s.Pages.SignIn(w, &back)
	default:
		return subject, true
	}
	return "", false
}

// destination finds the client and the redirect URI, which must be one of its own.
func (s *Server) destination(r *http.Request, form url.Values) (a authorization, err error) {
	if err := checkParams(form); err != nil {
		return a, err
	}
	if a.client, err = s.known(r.Context(), form.Get("client_id")); err != nil {
		return a, err
	}
	a.uri = form.Get("redirect_uri")
	registered := a.client.Metadata.RedirectURIs
	if a.uri == "" && len(registered) == 1 {
		a.uri = registered[0]
	}
	if !a.client.AllowsRedirect(a.uri) {
		return a, invalidRequest("redirect_uri is not one of the client's")
	}
	if a.redirect, err = url.Parse(a.uri); err != nil {
		return a, invalidRequest("redirect_uri is not one of the client's")
	}
	return a, nil
}

// complete reads the rest of the request into a.
func (s *Server) complete(a *authorization, form url.Values) error {
	a.form = form
	if state := form.Get("state"); len(state) > maxState || !isVisible(state) {
		return invalidRequest("state is longer than 4096 bytes or has other characters than printable ASCII")
	}
	a.state = form.Get("state")
	switch {
	case form.Has("request") || form.Has("request_uri"):
		return refuse("request_not_supported", "request objects are not supported")
	case !form.Has("response_type"):
		return invalidRequest("response_type is missing")
	case form.Get("response_type") != "code":
		return refuse("unsupported_response_type", "response_type is not code")
	case form.Has("response_mode") && form.Get("response_mode") != "query":
		return invalidRequest("response_mode is not query")
	case !slices.Contains(a.client.Metadata.GrantTypes, grantCode):
		return refuse("unauthorized_client", "the client is not registered for authorization_code")
	}
	if err := a.setChallenge(form); err != nil {
		return err
	}
	return s.setWanted(a, form)
}

// setChallenge requires PKCE with S256 (RFC 7636 §4.3): without a method, plain would be meant.
func (a *authorization) setChallenge(form url.Values) error {
	a.challenge = form.Get("code_challenge")
	switch {
	case a.challenge == "":
		return invalidRequest("code_challenge is missing")
	case form.Get("code_challenge_method") != "S256":
		return invalidRequest("code_challenge_method is not S256")
	case len(a.challenge) != 43 || !isBase64URL(a.challenge):
		return invalidRequest("code_challenge is not the base64url of a SHA-256 digest")
	}
	return nil
}

func isBase64URL(text string) bool {
	for _, r := range text {
		if (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

func (s *Server) setWanted(a *authorization, form url.Values) (err error) {
	most := s.Scopes
	if registered := domain.ParseScope(a.client.Metadata.Scope); len(registered) > 0 {
		most = registered
	}
	if a.scopes = domain.ParseScope(form.Get("scope")); len(a.scopes) == 0 {
		a.scopes = most
	}
	if !domain.ContainsAll(s.Scopes, a.scopes) || !domain.ContainsAll(most, a.scopes) {
		return invalidScope("scope has what this server does not know, or the client is not registered for")
	}
	a.resources, err = resourcesOf(form, []string{s.Resource})
	return err
}

// allow stores the grant with its code, and gives the code to the client.
func (s *Server) allow(w http.ResponseWriter, r *http.Request, a authorization, subject string) {
	now := s.Store.Now()
	raw := domain.NewSecret()
	grant := domain.Grant{
		ID: domain.NewID(), ClientID: a.client.ID, Subject: subject,
		Scopes: a.scopes, Resources: a.resources, CreatedAt: now,
	}
	err := s.flow.Authorize(r.Context(), grant, domain.AuthorizationCode{
		Digest: domain.DigestOf(raw), RedirectURI: a.uri, Scopes: a.scopes, Resources: a.resources,
		CodeChallenge: a.challenge, CodeChallengeMethod: "S256",
		CreatedAt: now, ExpiresAt: now.Add(s.Config.AuthorizationCodeTTL),
	})
	switch {
	case errors.Is(err, repository.ErrNotFound): // the client was deleted while the user read
		s.problem(w, r, unknownClient())
	case err != nil:
		s.toClient(w, r, a, unavailable(err))
	default:
		s.Observe(CodeIssued)
		s.Log.InfoContext(r.Context(), "code issued", "client", a.client.ID, "grant", grant.ID)
		s.redirect(w, r, a, url.Values{"code": {raw}})
	}
}

func unknownClient() *oauthError {
	return invalidClient("the client is unknown: it has to register again")
}

// problem tells the user, because the request names nobody else who may be told.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, e *oauthError) {
	s.note(r, e)
	s.Pages.Problem(w, r, e.status, e.Error())
}

// toClient answers an error by way of the user's browser.
func (s *Server) toClient(w http.ResponseWriter, r *http.Request, a authorization, e *oauthError) {
	s.note(r, e)
	s.redirect(w, r, a, url.Values{"error": {e.Code}, "error_description": {e.Description}})
}

// redirect sends the browser to the client, with state and iss (RFC 9207).
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, a authorization, answer url.Values) {
	answer.Set("iss", s.Issuer)
	if a.state != "" {
		answer.Set("state", a.state)
	}
	to := *a.redirect
	query := answer.Encode()
	if to.RawQuery != "" {
		query = to.RawQuery + "&" + query // what was registered stays as it is
	}
	to.RawQuery = query
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}
