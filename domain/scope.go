package domain

import (
	"slices"
	"strings"
)

// ParseScope splits a space-separated scope (RFC 6749 §3.3) into its tokens, in order, each once.
// It returns nil for an empty one.
func ParseScope(scope string) []string {
	var out []string
	for _, token := range strings.Split(scope, " ") {
		if token != "" && !slices.Contains(out, token) {
			out = append(out, token)
		}
	}
	return out
}

// FormatScope joins scopes into the space-separated form.
func FormatScope(scopes []string) string { return strings.Join(scopes, " ") }

// ContainsAll reports whether all of wanted are in granted: a request that narrows, or keeps, but
// never broadens. Scopes compare byte for byte (RFC 6749 §3.3).
func ContainsAll(granted, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(granted, w) })
}

// checkScopes allows what RFC 6749 §3.3 does: printable ASCII but for space, quote and backslash.
func checkScopes(scopes []string) error {
	if err := checkTexts("Scopes", scopes, MaxScope); err != nil {
		return err
	}
	for _, scope := range scopes {
		for i := range len(scope) {
			if b := scope[i]; b <= ' ' || b > '~' || b == '"' || b == '\\' {
				return &FieldError{"Scopes", "holds one with a character that RFC 6749 §3.3 does not allow"}
			}
		}
	}
	return nil
}
