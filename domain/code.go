package domain

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"time"
)

// The code challenge methods of RFC 7636 §4.2. OAuth 2.1 servers should offer S256 alone.
const (
	MethodS256  = "S256"
	MethodPlain = "plain"
)

// ErrPKCE says that a code verifier does not fit: the wrong one, one of the wrong form, one where
// there should be none or none where there should be one. It never says which characters were wrong.
var ErrPKCE = errors.New("domain: the code verifier does not match the code challenge")

// AuthorizationCode is a code that was issued under a grant (RFC 6749 §4.1.2).
type AuthorizationCode struct {
	Digest              Digest
	GrantID             string
	ClientID, Subject   string // as on the grant, so that one row answers a hot read
	RedirectURI         string // as the authorization request had it; empty if it had none
	Scopes, Resources   []string
	CodeChallenge       string // RFC 7636; both empty without PKCE
	CodeChallengeMethod string
	Nonce               string
	Data                []byte    // opaque: a framework's session, for instance; at most MaxData bytes
	CreatedAt           time.Time // zero: the store sets it
	ExpiresAt           time.Time // required
	ConsumedAt          time.Time // zero: not yet
	RevokedAt           time.Time // zero: not yet
}

// Live reports whether the code is neither revoked nor consumed nor expired at now.
func (c AuthorizationCode) Live(now time.Time) bool {
	return c.RevokedAt.IsZero() && c.ConsumedAt.IsZero() && !expired(c.ExpiresAt, now)
}

// VerifyPKCE returns nil if verifier is what the code challenge was made of (RFC 7636 §4.6), else
// ErrPKCE. A code without a challenge refuses any verifier but the empty one, which stands for none:
// so a stripped challenge is noticed (RFC 9700 §4.8.2).
func (c AuthorizationCode) VerifyPKCE(verifier string) error {
	if c.CodeChallenge == "" {
		if verifier != "" {
			return ErrPKCE
		}
		return nil
	}
	if !verifierFormed(verifier) {
		return ErrPKCE
	}
	var made string
	switch c.CodeChallengeMethod {
	case MethodS256:
		sum := sha256.Sum256([]byte(verifier))
		made = base64.RawURLEncoding.EncodeToString(sum[:])
	case MethodPlain:
		made = verifier
	default:
		return ErrPKCE
	}
	if subtle.ConstantTimeCompare([]byte(made), []byte(c.CodeChallenge)) != 1 {
		return ErrPKCE
	}
	return nil
}

// Validate returns nil, or a *FieldError that names the first field that breaks a limit.
func (c AuthorizationCode) Validate() error {
	return cmp.Or(
		checkDigest(c.Digest),
		checkText("GrantID", c.GrantID, 1, MaxID),
		checkText("ClientID", c.ClientID, 1, MaxClientID),
		checkText("Subject", c.Subject, 0, MaxSubject),
		checkText("RedirectURI", c.RedirectURI, 0, MaxURI),
		checkScopes(c.Scopes),
		checkTexts("Resources", c.Resources, MaxURI),
		checkChallenge(c.CodeChallenge, c.CodeChallengeMethod),
		checkText("Nonce", c.Nonce, 0, MaxURI),
		checkData("Data", c.Data),
		checkTime("CreatedAt", c.CreatedAt),
		checkRequired("ExpiresAt", c.ExpiresAt),
		checkTime("ConsumedAt", c.ConsumedAt),
		checkTime("RevokedAt", c.RevokedAt),
	)
}

// Clone returns a deep copy as a store keeps it: times in UTC and cut to the microsecond.
func (c AuthorizationCode) Clone() AuthorizationCode {
	c.Scopes, c.Resources, c.Data = slices.Clone(c.Scopes), slices.Clone(c.Resources), slices.Clone(c.Data)
	c.CreatedAt, c.ExpiresAt = Microsecond(c.CreatedAt), Microsecond(c.ExpiresAt)
	c.ConsumedAt, c.RevokedAt = Microsecond(c.ConsumedAt), Microsecond(c.RevokedAt)
	return c
}

func checkChallenge(challenge, method string) error {
	switch {
	case challenge == "" && method == "":
		return nil
	case method != MethodS256 && method != MethodPlain:
		return &FieldError{"CodeChallengeMethod", "is not S256 or plain, and goes with a CodeChallenge only"}
	case !verifierFormed(challenge) || method == MethodS256 && len(challenge) != 43:
		return &FieldError{"CodeChallenge", "is not of the form of RFC 7636 §4.2"}
	}
	return nil
}

// verifierFormed checks RFC 7636 §4.1: 43 to 128 unreserved characters.
func verifierFormed(s string) bool {
	if len(s) < 43 || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if !isUnreserved(s[i]) {
			return false
		}
	}
	return true
}
