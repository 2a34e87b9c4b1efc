package pages

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
)

type consent struct {
	Name       string // of the client
	Unverified bool   // the name is what the client says of itself
	Host       string // of the document that says it, for a client that has one
	Redirect   string // the host or the scheme that the answer goes to
	Local      bool   // that is a program on the user's own device
	Scopes     []string
	Resources  []string
	Subject    string
	Action     string
	Form       []field
}

type field struct{ Name, Value string }

// Consent asks the user.
func (p *Pages) Consent(w http.ResponseWriter, r *http.Request, c authserver.Consent) {
	body := consent{
		Name: nameOf(c.Client), Unverified: c.Client.Kind == domain.Dynamic,
		Redirect: destination(c.Redirect), Local: isLoopback(c.Redirect),
		Scopes: inWords(c.Scopes), Resources: c.Resources, Subject: c.Subject, Action: r.URL.Path, Form: fieldsOf(c.Form),
	}
	if c.Client.Kind == domain.MetadataDocument {
		if id, err := url.Parse(c.Client.ID); err == nil {
			body.Host = id.Host
		}
	}
	w.Header().Set("Content-Security-Policy", policy+redirectSource(c.Redirect))
	p.show(w, r, http.StatusOK, "consent", page{Title: "Connect " + body.Name, User: c.Subject, Body: body})
}

// destination names where an answer goes: the host, or the scheme of the app that the browser opens.
func destination(u *url.URL) string {
	if isWeb(u) {
		return u.Host
	}
	return u.Scheme + ":"
}

func isWeb(u *url.URL) bool { return u.Scheme == "https" || u.Scheme == "http" }

func isLoopback(u *url.URL) bool {
	return isWeb(u) && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback())
}

// redirectSource adds where the answer goes to form-action, which browsers hold against redirects too. It is empty if
// that cannot be said in a policy.
func redirectSource(u *url.URL) string {
	source := u.Scheme + ":"
	if isWeb(u) && !strings.HasPrefix(u.Host, "[") { // a policy cannot name an IPv6 address: browsers ignore it
		source += "//" + u.Host
	}
	if strings.ContainsFunc(source, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`;,'"*`, r) }) {
		return ""
	}
	return " " + source
}

func nameOf(c domain.Client) string {
	if c.Metadata.ClientName != "" {
		return c.Metadata.ClientName
	}
	return c.ID
}

// fieldsOf lists a form in the order of its names.
func fieldsOf(form url.Values) (out []field) {
	for name, values := range form {
		for _, value := range values {
			out = append(out, field{name, value})
		}
	}
	slices.SortStableFunc(out, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// inWords says what scopes allow. One that is not known here is shown as it is.
func inWords(scopes []string) []string {
	words := map[string]string{"profile": "See who you are", "notes": "Read and write your notes"}
	out := make([]string, len(scopes))
	for i, scope := range scopes {
		if out[i] = words[scope]; out[i] == "" {
			out[i] = scope
		}
	}
	return out
}
