package config

import (
	"log/slog"
	"net/url"
	"strings"
)

// DatabaseURL is the URL of a database with its password. Every printed form of it leaves out the
// password and the query.
type DatabaseURL string

// String returns scheme, user, host and path. Of what is not a URL, or where a password that was not
// escaped may have ended up elsewhere, it shows nothing.
func (u DatabaseURL) String() string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Scheme == "" || parsed.Host == "" || strings.Count(string(u), "@") > 1 ||
		strings.Contains(string(u), "@") && parsed.User == nil {
		return "(a URL that cannot be shown)"
	}
	safe := url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: parsed.Path}
	if name := parsed.User.Username(); name != "" {
		safe.User = url.User(name)
	}
	return safe.String()
}

// fits reports whether u may name a database of backend. What else is wrong with it, the driver says.
func (u DatabaseURL) fits(backend Backend) bool {
	scheme, _, found := strings.Cut(string(u), "://")
	switch backend {
	case Postgres:
		return found && (scheme == "postgres" || scheme == "postgresql") || strings.Contains(string(u), "dbname=")
	case MySQL:
		return scheme == "mysql" || !found && strings.Contains(string(u), "/")
	case Memory, SQLite:
	}
	return true
}

// GoString returns the same as String.
func (u DatabaseURL) GoString() string { return u.String() }

// MarshalText returns the same as String.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue returns the same as String.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.String()) }
