package domain_test

import (
	"testing"

	"github.com/oauthstore/oauthstore/domain"
)

func TestOneResourceIsTheSameHoweverItIsWritten(t *testing.T) {
	for a, others := range map[string][]string{
		"https://mcp.example.com": {
			"https://mcp.example.com/", "HTTPS://MCP.Example.COM", "https://mcp.example.com:443", "https://mcp.example.com:443/",
			"https://mcp.example.com:", "https://mcp.example.com/a/..",
		},
		"https://mcp.example.com/v1/%C3%A4":  {"https://mcp.example.com/v1/%c3%a4/", "https://mcp.example.com/./v1/%C3%A4", "https://mcp.example.com/%76%31/%c3%a4"},
		"http://[::1]/mcp":                   {"http://[::1]:80/mcp", "http://[::1]/mcp/"},
		"https://mcp.example.com/mcp?a=%2f":  {"https://mcp.example.com/mcp/?a=%2F", "https://MCP.example.com:443/mcp?%61=%2f"},
		"urn:example:resource":               {"urn:example:resource"},
		"https://user@mcp.example.com/x?y=/": {"https://user@mcp.example.com:443/x?y=/"},
		"no URL % at all":                    {"no URL % at all"},
	} {
		for _, b := range append(others, a) {
			if !domain.SameResource(a, b) || !domain.SameResource(b, a) {
				t.Errorf("%s is not %s", a, b)
			}
		}
	}
}

func TestAnotherResourceIsNotTheSame(t *testing.T) {
	for a, others := range map[string][]string{
		"https://mcp.example.com/mcp": {
			"http://mcp.example.com/mcp", "https://mcp.example.com:80/mcp", "https://mcp.example.com:8443/mcp", "https://mcp.example.com/MCP",
			"https://mcp.example.com/mcp//", "https://mcp.example.com//mcp", "https://mcp.example.com/mcp?", "https://mcp.example.com/mcp?a",
			"https://mcp.example.com/mcp/a", "https://mcp.example.com", "https://mcp.example.com.evil.example/mcp",
			"https://evil.example/https://mcp.example.com/mcp", "https://mcp.example.com@evil.example/mcp", "https://a@mcp.example.com/mcp",
			"https://mcp.example.com/mcp%2F", "https://mcp.example.com/%2Fmcp", "//mcp.example.com/mcp", "mcp.example.com/mcp", "",
		},
		"http://mcp.example.com":     {"http://mcp.example.com:443", "http://mcp.example.com:8080", "http://mcp.example.co"},
		"urn:example:resource":       {"URN:example:resource", "urn:example:resource/", "urn:example:Resource"},
		"https://mcp.example.com/?a": {"https://mcp.example.com/?b", "https://mcp.example.com/?a/", "https://mcp.example.com/?A"},
	} {
		for _, b := range others {
			if domain.SameResource(a, b) || domain.SameResource(b, a) {
				t.Errorf("%s is %s", a, b)
			}
		}
	}
}

func FuzzSameResource(f *testing.F) {
	for _, seed := range []string{"https://a.example/b", "https://a.example:443/%62/", "urn:a", "http://[::1]:80?%", "https://%61/%"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if !domain.SameResource(a, a) {
			t.Error("a resource is not itself")
		}
		if domain.SameResource(a, b) != domain.SameResource(b, a) {
			t.Error("it depends on the order")
		}
	})
}
