package domain

import (
	"cmp"
	"slices"
	"time"
)

// TokenKind tells access tokens from refresh tokens, by the names of RFC 7009 §2.1.
type TokenKind string

// The kinds of token.
const (
	AccessToken  TokenKind = "access_token"
	RefreshToken TokenKind = "refresh_token"
)

// Token is an access or refresh token that was issued under a grant.
type Token struct {
	Digest            Digest
	Kind              TokenKind
	GrantID           string
	ClientID, Subject string // as on the grant, so that one row answers a hot read
	Scopes, Resources []string
	Data              []byte    // opaque, at most MaxData bytes
	CreatedAt         time.Time // zero: the store sets it
	ExpiresAt         time.Time // zero: never, and cleanup keeps it, rotated or not, for as long as its grant
	ConsumedAt        time.Time // refresh only: when it was rotated
	Replay            Replay    // refresh only: the answer of that rotation
	RevokedAt         time.Time // zero: not yet
}

// Replay is the answer that the rotation of a refresh token gave, sealed under that token, and the
// time until which it is given out again. The zero Replay is none.
type Replay struct {
	Sealed    []byte    // at most MaxReplay bytes
	ExpiresAt time.Time // required with Sealed
}

// Live reports whether the token is neither revoked nor consumed nor expired at now.
func (t Token) Live(now time.Time) bool {
	return t.RevokedAt.IsZero() && t.ConsumedAt.IsZero() && !expired(t.ExpiresAt, now)
}

// Live reports whether there is an answer that may still be given out at now.
func (r Replay) Live(now time.Time) bool { return len(r.Sealed) > 0 && now.Before(r.ExpiresAt) }

// Validate returns nil, or a *FieldError that names the first field that breaks a limit.
func (t Token) Validate() error {
	return cmp.Or(
		checkDigest(t.Digest),
		checkTokenKind(t),
		checkText("GrantID", t.GrantID, 1, MaxID),
		checkText("ClientID", t.ClientID, 1, MaxClientID),
		checkText("Subject", t.Subject, 0, MaxSubject),
		checkScopes(t.Scopes),
		checkTexts("Resources", t.Resources, MaxURI),
		checkData("Data", t.Data),
		within("Replay.", t.Replay.Validate()),
		checkTime("CreatedAt", t.CreatedAt),
		checkTime("ExpiresAt", t.ExpiresAt),
		checkTime("ConsumedAt", t.ConsumedAt),
		checkTime("RevokedAt", t.RevokedAt),
	)
}

// Validate returns nil, or a *FieldError that names the first field that breaks a limit.
func (r Replay) Validate() error {
	if len(r.Sealed) > MaxReplay {
		return tooLong("Sealed", len(r.Sealed), MaxReplay)
	}
	if (len(r.Sealed) == 0) != r.ExpiresAt.IsZero() {
		return &FieldError{"ExpiresAt", "and Sealed go together"}
	}
	return checkTime("ExpiresAt", r.ExpiresAt)
}

// Clone returns a deep copy as a store keeps it: times in UTC and cut to the microsecond.
func (t Token) Clone() Token {
	t.Scopes, t.Resources, t.Data = slices.Clone(t.Scopes), slices.Clone(t.Resources), slices.Clone(t.Data)
	t.CreatedAt, t.ExpiresAt = Microsecond(t.CreatedAt), Microsecond(t.ExpiresAt)
	t.ConsumedAt, t.RevokedAt = Microsecond(t.ConsumedAt), Microsecond(t.RevokedAt)
	t.Replay = t.Replay.Clone()
	return t
}

// Clone returns a deep copy as a store keeps it; an empty Sealed becomes nil.
func (r Replay) Clone() Replay {
	if len(r.Sealed) == 0 {
		return Replay{}
	}
	return Replay{Sealed: slices.Clone(r.Sealed), ExpiresAt: Microsecond(r.ExpiresAt)}
}

func checkTokenKind(t Token) error {
	switch t.Kind {
	case RefreshToken:
		return nil
	case AccessToken:
		if !t.ConsumedAt.IsZero() || len(t.Replay.Sealed) > 0 {
			return &FieldError{"Kind", "is access_token, which is never consumed"}
		}
		return nil
	}
	return &FieldError{"Kind", "is not access_token or refresh_token"}
}
