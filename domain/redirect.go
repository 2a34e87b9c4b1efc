package domain

import (
	"net/url"
	"slices"
	"strings"
)

// redirectMatches compares byte for byte, but for the port of two loopback URIs.
func redirectMatches(registered, presented string) bool {
	if registered == presented {
		return presented != ""
	}
	want, ok := cutLoopbackPort(registered)
	if !ok {
		return false
	}
	got, ok := cutLoopbackPort(presented)
	return ok && got == want
}

// cutLoopbackPort returns uri without its port, and whether it is a loopback redirect URI: http to
// 127.0.0.1, [::1] or localhost, without a fragment. It works on the text, so that nothing which a
// parser would forgive (user info, escapes, a trailing dot, control characters) can hide in it.
func cutLoopbackPort(uri string) (string, bool) {
	for _, origin := range []string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
		rest, ok := strings.CutPrefix(uri, origin)
		if !ok {
			continue
		}
		if port, ok := strings.CutPrefix(rest, ":"); ok {
			rest = strings.TrimLeft(port, "0123456789")
			if digits := len(port) - len(rest); digits < 1 || digits > 5 {
				return "", false
			}
		}
		plain := rest == "" || rest[0] == '/' || rest[0] == '?'
		return origin + rest, plain && !strings.Contains(rest, "#")
	}
	return "", false
}

// checkRedirect refuses what can never be a redirect URI (RFC 6749 §3.1.2: absolute, without a
// fragment), and the schemes that a browser would run instead of visit.
func checkRedirect(field, uri string) error {
	parsed, err := url.Parse(uri)
	switch {
	case err != nil || !parsed.IsAbs():
		return &FieldError{field, "holds one that is not an absolute URI"}
	case strings.Contains(uri, "#"):
		return &FieldError{field, "holds one with a fragment"}
	case slices.Contains([]string{"javascript", "data", "vbscript", "about", "blob", "file"}, parsed.Scheme):
		return &FieldError{field, "holds one with the scheme " + parsed.Scheme}
	case (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host == "":
		return &FieldError{field, "holds one without a host"}
	}
	return nil
}
