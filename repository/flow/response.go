package flow

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"time"
)

// Response is the successful answer of a token endpoint (RFC 6749 §5.1). Encoded as JSON it has the
// names given there. It holds raw tokens: fmt and log/slog print none of it.
type Response struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"` // empty: set to Bearer
	RefreshToken string `json:"refresh_token,omitzero"`
	Scope        string `json:"scope,omitzero"` // space-separated

	// ExpiresIn is the number of whole seconds left to the access token. It is set from ExpiresAt,
	// and left out of the JSON if that is zero.
	ExpiresIn int64 `json:"-"`

	// ExpiresAt is when the access token expires, zero if it does not. It is set from the stored
	// access token; for one that is not stored, Issue sets ExpiresAt or ExpiresIn.
	ExpiresAt time.Time `json:"-"`

	// Extra holds further members, such as id_token. It can't replace one of the above.
	Extra map[string]json.RawMessage `json:"-"`
}

// MarshalJSON writes all members, Extra among them, as one object.
func (r Response) MarshalJSON() ([]byte, error) {
	type members Response
	body := struct {
		members
		ExpiresIn *int64 `json:"expires_in,omitempty"`
	}{members: members(r)}
	if !r.ExpiresAt.IsZero() || r.ExpiresIn > 0 {
		body.ExpiresIn = &r.ExpiresIn
	}
	text, err := json.Marshal(body)
	if err != nil || len(r.Extra) == 0 {
		return text, err
	}
	all := maps.Clone(r.Extra)
	for _, own := range []string{"access_token", "token_type", "refresh_token", "scope", "expires_in"} {
		delete(all, own) // also where it is left out of the above
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// String returns no part of the response.
func (r Response) String() string { return "flow.Response" }

// Format makes every verb of fmt print String.
func (r Response) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.String())) }

// LogValue implements slog.LogValuer with String.
func (r Response) LogValue() slog.Value { return slog.StringValue(r.String()) }

// expiring returns r with an access token that expires at end, as seen at now.
func (r Response) expiring(end, now time.Time) Response {
	r.ExpiresAt, r.ExpiresIn = time.Time{}, 0
	if !end.IsZero() {
		// Not domain.Microsecond: where Issue set it, it can be of a year that no store has checked.
		r.ExpiresAt = end.UTC().Truncate(time.Microsecond)
		r.ExpiresIn = max(0, int64(r.ExpiresAt.Sub(now)/time.Second))
	}
	return r
}
