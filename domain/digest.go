package domain

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Digest is the SHA-256 of a secret, code or token: the only form of it that is stored.
// The values digested are expected to have 128 bits of entropy or more (see NewSecret), which is
// what makes an unsalted hash enough.
type Digest [sha256.Size]byte

// DigestOf returns the digest of value, byte for byte.
func DigestOf(value string) Digest { return sha256.Sum256([]byte(value)) }

// ParseDigest returns the digest that Hex wrote as s, or an error that does not repeat s.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(len(d)) {
		return Digest{}, fmt.Errorf("domain: a digest has %d hex digits, not %d", hex.EncodedLen(len(d)), len(s))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, errors.New("domain: a digest has hex digits only")
	}
	return d, nil
}

// String returns the first eight hex digits: enough to correlate log lines, too few to look a row up.
func (d Digest) String() string { return hex.EncodeToString(d[:4]) }

// GoString is String, so that %#v does not print the whole digest either.
func (d Digest) GoString() string { return "domain.Digest(" + d.String() + ")" }

// Format makes every verb of fmt print String.
func (d Digest) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(d.String())) }

// LogValue implements slog.LogValuer with String.
func (d Digest) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText implements encoding.TextMarshaler with String, so that no encoder writes the whole digest.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Hex returns all 64 hex digits: the cursor of a page of tokens. Keep it out of logs, errors and URLs.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// NewSecret returns 256 random bits, base64url without padding (43 characters): a client secret,
// an authorization code or a token.
func NewSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// NewID returns an ID for a client or a grant: 48 bits with the milliseconds since 1970 and 80 random
// ones, base32hex without padding (26 characters, 0 to 9 and A to V). IDs of different milliseconds
// sort by time, so that lists come in the order of creation and databases insert at one place. An ID
// is no secret: it can be guessed more easily than one.
func NewID() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixMilli())<<16)
	_, _ = rand.Read(b[6:])
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
}
