package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
)

// DatabaseURL is the URL of a database with its password. Every printed form of it leaves out the
// password and the query.
type DatabaseURL string

// String returns scheme, user, host and path. Of what is not a URL that a backend reads, or where a password that was
// not escaped may have ended up elsewhere, it shows nothing.
func (u DatabaseURL) String() string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil || u.backend() == "" || parsed.Host == "" || strings.Contains(parsed.Host, "(") ||
		strings.Count(string(u), "@") > 1 || strings.Contains(string(u), "@") && parsed.User == nil {
		return "(a URL that cannot be shown)"
	}
	safe := url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: parsed.Path}
	if name := parsed.User.Username(); name != "" {
		safe.User = url.User(name)
	}
	return safe.String()
}

// backend returns the backend that reads u as a URL, or "".
func (u DatabaseURL) backend() Backend {
	switch scheme, _, found := strings.Cut(string(u), "://"); {
	case found && (scheme == "postgres" || scheme == "postgresql"):
		return Postgres
	case found && scheme == "mysql":
		return MySQL
	}
	return ""
}

// keywords matches the beginning of libpq's keyword=value form.
var keywords = regexp.MustCompile(`^\s*[A-Za-z_][\w.]*\s*=`)

// fits reports whether u may name a database of backend. What else is wrong with it, the driver says.
func (u DatabaseURL) fits(backend Backend) bool {
	text := string(u)
	switch backend {
	case Postgres:
		return u.backend() == Postgres || keywords.MatchString(text)
	case MySQL:
		return u.backend() == MySQL || !strings.Contains(text, "://") && strings.Contains(text, "/")
	case Memory, SQLite:
	}
	return true
}

// Format makes every verb of fmt print String, but for %p and %w: for these, and for what is in an unexported field, fmt
// asks no method.
func (u DatabaseURL) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(u.String())) }

// GoString returns the same as String.
func (u DatabaseURL) GoString() string { return u.String() }

// MarshalText returns the same as String.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue returns the same as String.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.String()) }
