package domain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
)

func TestAScopeIsSplitAtSpacesAndEachTokenKeptOnce(t *testing.T) {
	for in, want := range map[string][]string{
		"":              nil,
		"  ":            nil,
		"read":          {"read"},
		" read  write ": {"read", "write"},
		"a b a A":       {"a", "b", "A"},
		"a\tb":          {"a\tb"},
	} {
		if got := domain.ParseScope(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestContainsAllIsNeverTrueForABroaderRequest(t *testing.T) {
	granted := []string{"read", "write"}
	for _, tt := range []struct {
		wanted []string
		want   bool
	}{
		{nil, true}, {[]string{"read"}, true}, {[]string{"write", "read"}, true},
		{[]string{"admin"}, false}, {[]string{"read", "admin"}, false}, {[]string{"READ"}, false}, {[]string{""}, false},
	} {
		if domain.ContainsAll(granted, tt.wanted) != tt.want {
			t.Errorf("%q is not %v", tt.wanted, tt.want)
		}
	}
}

// FuzzScope: parsing what was formatted gives the same tokens, and Validate lets only what RFC 6749 §3.3
// allows into a grant.
func FuzzScope(f *testing.F) {
	f.Add("read write read")
	f.Add("  a\x00 \"b\" ü ")
	f.Fuzz(func(t *testing.T, in string) {
		scopes := domain.ParseScope(in)
		if again := domain.ParseScope(domain.FormatScope(scopes)); !slices.Equal(scopes, again) {
			t.Fatalf("%q came back as %q", scopes, again)
		}
		if !domain.ContainsAll(scopes, scopes) {
			t.Fatalf("%q does not contain itself", scopes)
		}
		g := domain.Grant{ID: "g", ClientID: "c", Scopes: scopes}
		odd := strings.IndexFunc(domain.FormatScope(scopes), func(r rune) bool {
			return r < ' ' || r > '~' || r == '"' || r == '\\'
		})
		if g.Validate() == nil && odd >= 0 {
			t.Fatalf("%q is valid", scopes)
		}
	})
}
