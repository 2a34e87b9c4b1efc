package authserver

import (
	"net/http"
	"net/url"

	"github.com/oauthstore/oauthstore/domain"
)

// Pages shows a person what the authorization endpoint needs one for.
type Pages interface {
	// Subject returns who is signed in, or "" for nobody. An error means that it could not be found out.
	Subject(r *http.Request) (string, error)

	// SignIn asks for a sign-in, which leads back to the URL of r.
	SignIn(w http.ResponseWriter, r *http.Request)

	// Consent asks whether the client may have what it asks for. The answer is a form that is posted to the
	// path of r, with everything in c.Form, and with decision=allow or decision=deny.
	Consent(w http.ResponseWriter, r *http.Request, c Consent)

	// Problem says what is wrong with a request that cannot be answered to the client, for whoever looks at
	// the browser.
	Problem(w http.ResponseWriter, r *http.Request, status int, problem string)
}

// Consent is what a user is asked to approve.
type Consent struct {
	Client    domain.Client
	Redirect  *url.URL // where the answer goes
	Subject   string
	Scopes    []string
	Resources []string
	Form      url.Values
}

// Event is something that the operator's page counts.
type Event int

// The events.
const (
	CodeIssued   Event = iota // an authorization code
	TokensIssued              // an answer of the token endpoint with tokens, repeated ones included
	Refused                   // an error answer of any endpoint
)
