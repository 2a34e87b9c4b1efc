package domain_test

import (
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

// A secret is stored as its digest alone, and a digest does not print as what it is.
func ExampleDigestOf() {
	secret := "correct horse battery staple"
	client := domain.Client{ID: "editor", Secrets: []domain.Secret{{Digest: domain.DigestOf(secret)}}}
	fmt.Println(client.Authenticate(secret, time.Now()), client.Authenticate("guess", time.Now()))
	fmt.Println(domain.DigestOf(secret))
	// Output:
	// true false
	// c4bbcb1f
}

// A native app listens on whatever port is free (RFC 8252 §7.3); everything else is exact.
func ExampleClient_AllowsRedirect() {
	client := domain.Client{Metadata: domain.ClientMetadata{RedirectURIs: []string{
		"http://127.0.0.1/callback", "https://app.example/callback",
	}}}
	for _, uri := range []string{
		"http://127.0.0.1:51004/callback", "https://app.example/callback", "https://app.example/callback/",
	} {
		fmt.Println(client.AllowsRedirect(uri))
	}
	// Output:
	// true
	// true
	// false
}

// The verifier and challenge are those of RFC 7636, appendix B.
func ExampleAuthorizationCode_VerifyPKCE() {
	code := domain.AuthorizationCode{
		CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CodeChallengeMethod: "S256",
	}
	fmt.Println(code.VerifyPKCE("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
	fmt.Println(code.VerifyPKCE("another one, of the forty-three characters") != nil)
	// Output:
	// <nil>
	// true
}
