package repository

import (
	"cmp"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

// The number of entities on a page, and of bytes.
const (
	DefaultPageLimit = 100
	MaxPageLimit     = 1000
	MaxPageBytes     = 8 << 20 // one entity more than fits ends the page
)

// Page asks for the entities that come after a key, in the byte order of the keys: IDs for clients
// and grants, Digest.Hex for tokens. What exists during the whole walk is seen exactly once, while
// others come and go.
//
// A page whose entities are large ends with the one that makes it larger than MaxPageBytes, before
// Limit. So a short page is not the end of a walk: an empty one is.
type Page struct {
	After string // the key of the last one seen; empty: from the start
	Limit int    // 0: DefaultPageLimit; at most MaxPageLimit
}

// Size returns the number of entities asked for, or ErrInvalid.
func (p Page) Size() (int, error) {
	switch {
	case p.Limit == 0:
		return DefaultPageLimit, nil
	case p.Limit < 0 || p.Limit > MaxPageLimit:
		return 0, fmt.Errorf("%w: page limit is %d, not 0..%d", ErrInvalid, p.Limit, MaxPageLimit)
	}
	return p.Limit, nil
}

// AfterID returns After as the ID of a client or grant, or ErrInvalid for what no ID can be.
func (p Page) AfterID() (string, error) { return p.After, checkText("page cursor", p.After) }

// checkText returns ErrInvalid for what is no text, which some databases refuse to compare with.
func checkText(field, text string) error {
	if !domain.ValidText(text) {
		return fmt.Errorf("%w: %s is not UTF-8 without NUL", ErrInvalid, field)
	}
	return nil
}

// AfterDigest returns After as a digest, zero if it is empty, or ErrInvalid.
func (p Page) AfterDigest() (domain.Digest, error) {
	if p.After == "" {
		return domain.Digest{}, nil
	}
	d, err := domain.ParseDigest(p.After)
	if err != nil {
		return domain.Digest{}, fmt.Errorf("%w: page cursor: %w", ErrInvalid, err)
	}
	return d, nil
}

// State selects by liveness at the store's clock.
type State int

// The states. A grant is live while it is neither revoked nor expired; a token, while it is neither
// revoked nor consumed nor expired. What is not live has ended.
const (
	Any State = iota
	Live
	Ended
)

// Matches reports whether s selects an entity that is live or not.
func (s State) Matches(live bool) bool { return s == Any || (s == Live) == live }

func (s State) validate() error {
	if s < Any || s > Ended {
		return fmt.Errorf("%w: state is %d, not Any, Live or Ended", ErrInvalid, s)
	}
	return nil
}

// GrantFilter selects the grants that fit all fields that are set.
type GrantFilter struct {
	ID       string
	ClientID string
	Subject  string
	State    State
}

// Validate returns nil or ErrInvalid: for a State that is none, and for an ID, ClientID or Subject that no grant can have.
func (f GrantFilter) Validate() error {
	return cmp.Or(checkText("ID", f.ID), checkText("ClientID", f.ClientID), checkText("Subject", f.Subject), f.State.validate())
}

// ValidateRevoke is Validate for Grants.Revoke, which wants ID, ClientID or Subject, and a reason.
func (f GrantFilter) ValidateRevoke(why domain.Reason) error {
	if f.ID == "" && f.ClientID == "" && f.Subject == "" {
		return fmt.Errorf("%w: filter has no ID, ClientID or Subject: it would revoke every grant", ErrInvalid)
	}
	if !why.Valid() {
		return fmt.Errorf("%w: reason is not one of the domain's", ErrInvalid)
	}
	return f.Validate()
}

// Matches reports whether f selects g at now.
func (f GrantFilter) Matches(g domain.Grant, now time.Time) bool {
	return (f.ID == "" || f.ID == g.ID) &&
		(f.ClientID == "" || f.ClientID == g.ClientID) &&
		(f.Subject == "" || f.Subject == g.Subject) &&
		f.State.Matches(g.Live(now))
}

// TokenFilter selects the tokens that fit all fields that are set.
type TokenFilter struct {
	GrantID  string
	ClientID string
	Subject  string
	Kind     domain.TokenKind
	State    State
}

// Validate returns nil or ErrInvalid: for a Kind or State that is none, and for a GrantID, ClientID or Subject that no token
// can have.
func (f TokenFilter) Validate() error {
	switch f.Kind {
	case "", domain.AccessToken, domain.RefreshToken:
	default:
		return fmt.Errorf("%w: kind is not access_token or refresh_token", ErrInvalid)
	}
	return cmp.Or(checkText("GrantID", f.GrantID), checkText("ClientID", f.ClientID), checkText("Subject", f.Subject), f.State.validate())
}

// Matches reports whether f selects t at now.
func (f TokenFilter) Matches(t domain.Token, now time.Time) bool {
	return (f.GrantID == "" || f.GrantID == t.GrantID) &&
		(f.ClientID == "" || f.ClientID == t.ClientID) &&
		(f.Subject == "" || f.Subject == t.Subject) &&
		(f.Kind == "" || f.Kind == t.Kind) &&
		f.State.Matches(t.Live(now))
}
