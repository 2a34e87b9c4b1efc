package domain

import (
	"cmp"
	"slices"
	"time"
)

// Reason says why a grant was revoked.
type Reason string

// The reasons. The zero Reason belongs to a grant that was not revoked.
const (
	ByUser             Reason = "user"
	ByClient           Reason = "client"
	ByOperator         Reason = "operator"
	CodeReplayed       Reason = "code_replayed"
	RefreshTokenReused Reason = "refresh_token_reused"
)

// Valid reports whether r is one of the constants.
func (r Reason) Valid() bool {
	switch r {
	case ByUser, ByClient, ByOperator, CodeReplayed, RefreshTokenReused:
		return true
	}
	return false
}

// Grant is what was approved for a client, by a user or for itself. Every code and token belongs to
// exactly one, and ends with it.
type Grant struct {
	ID            string
	ClientID      string
	Subject       string    // the user; empty for client_credentials
	Scopes        []string  // the most that was approved
	Resources     []string  // likewise, RFC 8707
	Data          []byte    // opaque to the store, at most MaxData bytes
	CreatedAt     time.Time // zero: the store sets it
	LastUsedAt    time.Time // the last time that tokens were stored under it, set by the store
	ExpiresAt     time.Time // absolute end of the whole family, however often refreshed; zero: none
	RevokedAt     time.Time // zero: not revoked
	RevokedReason Reason
}

// Live reports whether the grant is neither revoked nor expired at now.
func (g Grant) Live(now time.Time) bool { return g.RevokedAt.IsZero() && !expired(g.ExpiresAt, now) }

// Validate returns nil, or a *FieldError that names the first field that breaks a limit.
func (g Grant) Validate() error {
	return cmp.Or(
		checkText("ID", g.ID, 1, MaxID),
		checkText("ClientID", g.ClientID, 1, MaxClientID),
		checkText("Subject", g.Subject, 0, MaxSubject),
		checkScopes(g.Scopes),
		checkTexts("Resources", g.Resources, MaxURI),
		checkData("Data", g.Data),
		checkReason(g.RevokedReason, g.RevokedAt),
		checkTime("CreatedAt", g.CreatedAt),
		checkTime("LastUsedAt", g.LastUsedAt),
		checkTime("ExpiresAt", g.ExpiresAt),
		checkTime("RevokedAt", g.RevokedAt),
	)
}

// Clone returns a deep copy as a store keeps it: times in UTC and cut to the microsecond.
func (g Grant) Clone() Grant {
	g.Scopes, g.Resources, g.Data = slices.Clone(g.Scopes), slices.Clone(g.Resources), slices.Clone(g.Data)
	g.CreatedAt, g.LastUsedAt = Microsecond(g.CreatedAt), Microsecond(g.LastUsedAt)
	g.ExpiresAt, g.RevokedAt = Microsecond(g.ExpiresAt), Microsecond(g.RevokedAt)
	return g
}

func checkReason(r Reason, revokedAt time.Time) error {
	if revokedAt.IsZero() != (r == "") {
		return &FieldError{"RevokedReason", "and RevokedAt go together"}
	}
	if r != "" && !r.Valid() {
		return &FieldError{"RevokedReason", "is not one of the reasons"}
	}
	return nil
}
