package flow_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

var sample = flow.Response{
	AccessToken: "access-token-in-plain", TokenType: "Bearer", RefreshToken: "refresh-token-in-plain", Scope: "read",
	ExpiresAt: time.Date(2030, 1, 1, 0, 0, 0, 1000, time.UTC),
	Extra:     map[string]json.RawMessage{"id_token": json.RawMessage(`"x"`)},
}

func TestASealedAnswerOpensWithItsTokenAlone(t *testing.T) {
	end := time.Date(2030, 1, 1, 0, 2, 0, 0, time.UTC)
	replay, err := flow.Seal("token", sample, end)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := flow.Unseal("token", replay); !ok || !reflect.DeepEqual(got, sample) {
		t.Fatal("the token does not open its answer")
	}
	digest := domain.DigestOf("token")
	for _, other := range []string{"", "token ", digest.Hex(), string(digest[:])} {
		if _, ok := flow.Unseal(other, replay); ok {
			t.Fatal("something else opens it")
		}
	}
	replay.ExpiresAt = end.Add(time.Hour)
	if _, ok := flow.Unseal("token", replay); ok {
		t.Fatal("it opens with a longer time than it was sealed for")
	}
}

func TestASealedAnswerHoldsNoPlainTextAndIsNeverTheSame(t *testing.T) {
	one, _ := flow.Seal("token", sample, time.Unix(1, 0))
	two, _ := flow.Seal("token", sample, time.Unix(1, 0))
	if bytes.Equal(one.Sealed, two.Sealed) {
		t.Fatal("sealing twice gives the same bytes")
	}
	for _, plain := range []string{"plain", "Bearer", "read", "id_token"} {
		if bytes.Contains(one.Sealed, []byte(plain)) {
			t.Fatalf("%q is readable", plain)
		}
	}
}

// A stored answer that is not what was sealed into that row counts as reuse.
func TestATamperedAnswerRevokesTheGrant(t *testing.T) {
	w := newWorld(t, nil)
	grantID, first := w.signedIn()
	_, other := w.signedIn()
	_, _, err := w.refresh(other.RefreshToken)
	w.ok(err)
	moved, _ := w.store.Tokens().Get(w.ctx, domain.DigestOf(other.RefreshToken))
	_, err = w.store.Tokens().Rotate(w.ctx, domain.DigestOf(first.RefreshToken), moved.Replay)
	w.ok(err)
	_, _, err = w.refresh(first.RefreshToken)
	w.is(err, repository.ErrConsumed)
	w.revoked(grantID, domain.RefreshTokenReused)
}

func FuzzUnseal(f *testing.F) {
	end := time.Unix(1_900_000_000, 0)
	replay, err := flow.Seal("token", sample, end)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("token", replay.Sealed)
	f.Add("token", replay.Sealed[:20])
	f.Add("", []byte(nil))
	f.Fuzz(func(t *testing.T, raw string, stored []byte) {
		got, ok := flow.Unseal(raw, domain.Replay{Sealed: stored, ExpiresAt: end})
		if ok && (raw != "token" || !reflect.DeepEqual(got, sample)) {
			t.Fatal("something opened that was never sealed")
		}
	})
}
