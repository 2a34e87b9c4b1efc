package domain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
)

func TestPKCEAcceptsTheVerifierOfTheChallengeAlone(t *testing.T) {
	// RFC 7636, appendix B.
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	s256 := domain.AuthorizationCode{CodeChallenge: challenge, CodeChallengeMethod: domain.MethodS256}
	plain := domain.AuthorizationCode{CodeChallenge: verifier, CodeChallengeMethod: domain.MethodPlain}
	for _, tt := range []struct {
		name     string
		code     domain.AuthorizationCode
		verifier string
		want     error
	}{
		{"the right one", s256, verifier, nil},
		{"the right one, plain", plain, verifier, nil},
		{"the challenge itself", s256, challenge, domain.ErrPKCE},
		{"none", s256, "", domain.ErrPKCE},
		{"one with padding", s256, verifier + "=", domain.ErrPKCE},
		{"one that is too short", domain.AuthorizationCode{CodeChallenge: "short", CodeChallengeMethod: domain.MethodPlain}, "short", domain.ErrPKCE},
		{"one that is too long", s256, strings.Repeat("a", 129), domain.ErrPKCE},
		{"an unknown method", domain.AuthorizationCode{CodeChallenge: verifier, CodeChallengeMethod: "none"}, verifier, domain.ErrPKCE},
		{"none where there is no challenge", domain.AuthorizationCode{}, "", nil},
		{"one where there is no challenge", domain.AuthorizationCode{}, verifier, domain.ErrPKCE},
	} {
		if err := tt.code.VerifyPKCE(tt.verifier); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
