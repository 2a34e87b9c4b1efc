package repository

import (
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

// Validate returns nil, or what entity.Validate says, as ErrInvalid.
func Validate(entity interface{ Validate() error }) error {
	if err := entity.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// CheckLimit returns ErrInvalid unless limit, of a batch to delete, is 1 or more.
func CheckLimit(limit int) error {
	if limit < 1 {
		return fmt.Errorf("%w: limit is %d, not 1 or more", ErrInvalid, limit)
	}
	return nil
}

// CheckNow returns ErrInvalid for a reading of the clock before the year 1970 or after 9999. A clock
// that was never set, for example, would revoke at a time that counts as none.
func CheckNow(now time.Time) error {
	if year := now.UTC().Year(); year < 1970 || year > 9999 {
		return fmt.Errorf("%w: the clock is in the year %d, not in 1970 to 9999", ErrInvalid, year)
	}
	return nil
}

// CheckTokens returns nil if each token is valid and all have the same GrantID, ClientID and
// Subject; else ErrInvalid, naming the field. For an empty list it returns nil.
func CheckTokens(tokens []domain.Token) error {
	for _, t := range tokens {
		if err := Validate(t); err != nil {
			return err
		}
		if err := checkFamily(tokens[0], t, "differs between tokens"); err != nil {
			return err
		}
	}
	return nil
}

// CheckRotation returns nil if old is a refresh token and next, which passed CheckTokens, has the
// GrantID, ClientID and Subject of old; else ErrInvalid, naming the field. next may be empty. It
// does not look whether old is live: that is for WhyNotLive.
func CheckRotation(old domain.Token, next []domain.Token) error {
	if old.Kind != domain.RefreshToken {
		return invalidField("Kind", "is access_token, which is never rotated")
	}
	if len(next) == 0 {
		return nil
	}
	return checkFamily(old, next[0], "differs between tokens")
}

// CheckRedemption returns nil if tokens, which passed CheckTokens, have the GrantID, ClientID and
// Subject of code; else ErrInvalid, naming the field. tokens may be empty. It does not look whether
// code is live: that is for WhyNotLive.
func CheckRedemption(code domain.AuthorizationCode, tokens []domain.Token) error {
	if len(tokens) == 0 {
		return nil
	}
	owner := domain.Token{GrantID: code.GrantID, ClientID: code.ClientID, Subject: code.Subject}
	return checkFamily(owner, tokens[0], "is not the code's")
}

func checkFamily(a, b domain.Token, differs string) error {
	switch {
	case a.GrantID != b.GrantID:
		return invalidField("GrantID", differs)
	case a.ClientID != b.ClientID:
		return invalidField("ClientID", differs)
	case a.Subject != b.Subject:
		return invalidField("Subject", differs)
	}
	return nil
}

// CheckOwner returns nil if clientID and subject, of what is about to be stored under g, are those
// of g; else ErrInvalid, naming the field.
func CheckOwner(g domain.Grant, clientID, subject string) error {
	const other = "is not the grant's"
	switch {
	case clientID != g.ClientID:
		return invalidField("ClientID", other)
	case subject != g.Subject:
		return invalidField("Subject", other)
	}
	return nil
}

func invalidField(field, problem string) error {
	return fmt.Errorf("%w: %w", ErrInvalid, &domain.FieldError{Field: field, Problem: problem})
}

// WhyNotLive returns nil if live is true; that is what the entity's own method Live said. Otherwise
// it returns the first that holds: ErrRevoked if revokedAt is set, ErrConsumed if consumedAt is
// set, else ErrExpired. The error is the sentinel itself, not wrapped. A grant is never consumed:
// its consumedAt is the zero time.
func WhyNotLive(live bool, revokedAt, consumedAt time.Time) error {
	switch {
	case live:
		return nil
	case !revokedAt.IsZero():
		return ErrRevoked
	case !consumedAt.IsZero():
		return ErrConsumed
	}
	return ErrExpired
}

// IsInactive returns true if err is ErrNotFound, ErrRevoked, ErrConsumed or ErrExpired: what was
// asked for does not exist or is not live. Introspection calls such a token inactive (RFC 7662
// §2.2). It returns false for nil, and for any other error: the store could not answer then.
func IsInactive(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrRevoked) ||
		errors.Is(err, ErrConsumed) || errors.Is(err, ErrExpired)
}
