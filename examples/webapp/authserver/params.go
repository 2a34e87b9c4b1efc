package authserver

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/oauthstore/oauthstore/domain"
)

// The limits of what a client sends, in bytes.
const (
	maxBody  = 64 << 10
	maxState = 4096
)

// formOf returns the parameters of a body (RFC 6749 §3.2). Those of the URL do not count: a secret must not be there.
func formOf(r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("the body must be application/x-www-form-urlencoded")
	}
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, tooLarge()
		}
		return nil, invalidRequest("the parameters cannot be decoded")
	}
	return r.PostForm, checkParams(r.PostForm)
}

// checkParams refuses what no parameter may be: repeated (RFC 6749 §3.1, but for resource, RFC 8707 §2), or text
// with control characters. An empty one is as if it were left out, and is.
func checkParams(form url.Values) error {
	for name, values := range form {
		if !plain(name) {
			return invalidRequest("a parameter's name is not plain text")
		}
		for _, value := range values {
			if !plain(value) {
				return invalidRequest(nameOf(name) + " is not plain text")
			}
		}
		if len(values) > 1 && name != "resource" {
			return invalidRequest(nameOf(name) + " is repeated")
		}
		if values[0] == "" && len(values) == 1 {
			delete(form, name)
		}
	}
	return nil
}

// nameOf returns the name of a parameter to print: of one that is not known here, not even that.
func nameOf(name string) string {
	for _, known := range strings.Fields("client_id client_secret code code_challenge code_challenge_method code_verifier " +
		"decision grant_type redirect_uri refresh_token resource response_mode response_type scope state token token_type_hint") {
		if name == known {
			return name
		}
	}
	return "a parameter"
}

func plain(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0
}

// isVisible reports whether text has printable ASCII only, which RFC 6749 appendix A calls VSCHAR.
func isVisible(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// resourcesOf returns the resources that are asked for, which are default where there is no such parameter, or an
// error if one is not the server's.
func resourcesOf(form url.Values, allowed []string) ([]string, error) {
	asked := form["resource"]
	if len(asked) == 0 {
		return allowed, nil
	}
	var out []string
	for _, resource := range asked {
		found := ""
		for _, a := range allowed {
			if domain.SameResource(a, resource) {
				found = a
			}
		}
		if found == "" {
			return nil, invalidTarget("a resource is not one of this server's, or not one that was granted")
		}
		if len(out) == 0 || out[len(out)-1] != found {
			out = append(out, found)
		}
	}
	return out, nil
}
