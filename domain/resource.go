package domain

import (
	"net/url"
	"strings"
)

// SameResource reports whether a and b name one resource (RFC 8707), after what RFC 3986 §6.2.2 and
// §6.2.3 make equal: the case of scheme and host, the default port of http and https, escapes that
// need not be and the case of their digits, dot segments, an empty path; and one slash at the end,
// which some MCP clients add and others drop. What is no URL with a host is compared byte for byte.
func SameResource(a, b string) bool {
	if a == b {
		return true
	}
	normalA, okA := normalResource(a)
	normalB, okB := normalResource(b)
	return okA && okB && normalA == normalB
}

// resource is a URL in its normal form: the path, and the URL without it.
type resource struct{ path, rest string }

func normalResource(text string) (resource, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return resource{}, false
	}
	u.Host = strings.ToLower(u.Host)
	if port := defaultPorts[u.Scheme]; port != "" {
		u.Host = strings.TrimSuffix(strings.TrimSuffix(u.Host, port), ":")
	}
	u = new(url.URL).ResolveReference(u) // without dot segments
	path := strings.TrimSuffix(normalEscapes(u.EscapedPath()), "/")
	u.Path, u.RawPath = "", ""
	return resource{path, normalEscapes(u.String())}, true
}

// defaultPorts are those that a URL of the scheme has when it names none (RFC 9110 §4.2).
var defaultPorts = map[string]string{"http": ":80", "https": ":443"}

// normalEscapes decodes the escapes of unreserved characters, and makes the digits of others capitals.
func normalEscapes(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) {
			out.WriteByte(s[i])
			continue
		}
		escape := s[i : i+3]
		i += 2
		if c, err := url.PathUnescape(escape); err == nil && isUnreserved(c[0]) {
			out.WriteByte(c[0])
		} else {
			out.WriteString(strings.ToUpper(escape))
		}
	}
	return out.String()
}

// isUnreserved reports whether a URL means the same with b and with its escape (RFC 3986 §2.3). RFC
// 7636 §4.1 has the same characters for a code verifier.
func isUnreserved(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9',
		b == '-', b == '.', b == '_', b == '~':
		return true
	}
	return false
}
