package domain

import (
	"cmp"
	"crypto/subtle"
	"slices"
	"time"
)

// ClientKind says how a client came to be known.
type ClientKind string

// The kinds of client.
const (
	Preregistered    ClientKind = "preregistered"     // by an operator
	Dynamic          ClientKind = "dynamic"           // by itself, RFC 7591
	MetadataDocument ClientKind = "metadata_document" // its ID is the https URL of its metadata (CIMD)
)

// Client is an application that may ask for grants.
type Client struct {
	ID        string         // 1..MaxClientID bytes, kept byte for byte: an https URL for a MetadataDocument client
	Kind      ClientKind     // one of the constants
	Secrets   []Secret       // none for a public client; two while one is rotated out
	Metadata  ClientMetadata // RFC 7591 §2
	Version   int64          // optimistic lock, set by the store: 1 when created, one more with each update
	CreatedAt time.Time      // zero: the store sets it
	UpdatedAt time.Time      // zero: the store sets it
}

// Secret is a client secret that was handed out.
type Secret struct {
	Digest    Digest
	ExpiresAt time.Time // zero: never
}

// Live reports whether the secret may still be used at now.
func (s Secret) Live(now time.Time) bool { return !expired(s.ExpiresAt, now) }

// Public reports whether the client has no secrets, expired ones included (RFC 6749 §2.1).
func (c Client) Public() bool { return len(c.Secrets) == 0 }

// Authenticate reports whether secret is one of the client's live secrets. It compares with all of
// them, in constant time. A public client authenticates nothing: the answer is false.
func (c Client) Authenticate(secret string, now time.Time) bool {
	presented := DigestOf(secret)
	found := 0
	for _, s := range c.Secrets {
		match := subtle.ConstantTimeCompare(s.Digest[:], presented[:])
		if s.Live(now) {
			found |= match
		}
	}
	return found == 1
}

// AllowsRedirect reports whether uri is one of the client's redirect URIs: the same string, byte for
// byte, or one by http to 127.0.0.1, [::1] or localhost that differs in its port alone (RFC 8252 §7.3, RFC 9700 §4.1.3).
// An empty uri is none.
func (c Client) AllowsRedirect(uri string) bool {
	return slices.ContainsFunc(c.Metadata.RedirectURIs, func(registered string) bool {
		return redirectMatches(registered, uri)
	})
}

// Validate returns nil, or a *FieldError that names the first field that breaks a limit.
func (c Client) Validate() error {
	return cmp.Or(
		checkText("ID", c.ID, 1, MaxClientID),
		checkClientKind(c.Kind),
		checkSecrets(c.Secrets),
		within("Metadata.", c.Metadata.Validate()),
		checkTime("CreatedAt", c.CreatedAt),
		checkTime("UpdatedAt", c.UpdatedAt),
	)
}

// Clone returns a deep copy as a store keeps it: times in UTC and cut to the microsecond.
func (c Client) Clone() Client {
	c.Secrets = slices.Clone(c.Secrets)
	for i := range c.Secrets {
		c.Secrets[i].ExpiresAt = Microsecond(c.Secrets[i].ExpiresAt)
	}
	c.Metadata = c.Metadata.Clone()
	c.CreatedAt, c.UpdatedAt = Microsecond(c.CreatedAt), Microsecond(c.UpdatedAt)
	return c
}

func checkClientKind(k ClientKind) error {
	switch k {
	case Preregistered, Dynamic, MetadataDocument:
		return nil
	}
	return &FieldError{"Kind", "is not one of preregistered, dynamic, metadata_document"}
}

func checkSecrets(secrets []Secret) error {
	if len(secrets) > MaxSecrets {
		return tooMany("Secrets", len(secrets), MaxSecrets)
	}
	for _, s := range secrets {
		if s.Digest.IsZero() {
			return &FieldError{"Secrets", "holds one without a digest"}
		}
		if err := checkTime("Secrets", s.ExpiresAt); err != nil {
			return err
		}
	}
	return nil
}
