package flow

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

// keyInfo names the use of the derived key and the version of what is sealed.
const keyInfo = "github.com/oauthstore/oauthstore/repository/flow replay v1"

// sealed is the plain text of a replay.
type sealed struct {
	AccessToken  string                     `json:"a"`
	TokenType    string                     `json:"t"`
	RefreshToken string                     `json:"r,omitzero"`
	Scope        string                     `json:"s,omitzero"`
	ExpiresAt    int64                      `json:"e,omitzero"` // microseconds since the Unix epoch
	Extra        map[string]json.RawMessage `json:"x,omitzero"`
}

// seal encrypts the answer that raw, a refresh token, got, to be given out again until end. The key comes
// from raw itself, which is stored nowhere; the token and end are authenticated, so that the answer
// can neither be moved to another row nor be kept open for longer.
func seal(raw string, r Response, end time.Time) (domain.Replay, error) {
	end = domain.Microsecond(end)
	plain := sealed{AccessToken: r.AccessToken, TokenType: r.TokenType, RefreshToken: r.RefreshToken, Scope: r.Scope, Extra: r.Extra}
	if !r.ExpiresAt.IsZero() {
		plain.ExpiresAt = r.ExpiresAt.UnixMicro()
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return domain.Replay{}, invalid("the response is not JSON") // err may quote it
	}
	aead, err := replayCipher(raw)
	if err != nil {
		return domain.Replay{}, err
	}
	return domain.Replay{Sealed: aead.Seal(nil, nil, text, boundTo(raw, end)), ExpiresAt: end}, nil //nolint:gosec // see aead
}

// unseal opens what seal made with the same token, and reports whether it could.
func unseal(raw string, replay domain.Replay) (Response, bool) {
	aead, err := replayCipher(raw)
	if err != nil {
		return Response{}, false
	}
	text, err := aead.Open(nil, nil, replay.Sealed, boundTo(raw, replay.ExpiresAt))
	if err != nil {
		return Response{}, false
	}
	var plain sealed
	if err := json.Unmarshal(text, &plain); err != nil {
		return Response{}, false
	}
	r := Response{AccessToken: plain.AccessToken, TokenType: plain.TokenType, RefreshToken: plain.RefreshToken, Scope: plain.Scope, Extra: plain.Extra}
	if plain.ExpiresAt != 0 {
		r.ExpiresAt = time.UnixMicro(plain.ExpiresAt).UTC()
	}
	return r, true
}

// replayCipher is AES-256-GCM with a random nonce in front, under a key that only raw leads to.
func replayCipher(raw string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(raw), nil, keyInfo, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func boundTo(raw string, end time.Time) []byte {
	digest := domain.DigestOf(raw)
	return binary.BigEndian.AppendUint64(digest[:], uint64(end.UnixMicro()))
}
