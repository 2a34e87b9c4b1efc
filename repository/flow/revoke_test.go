package flow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

func TestRevokingAnAccessTokenEndsItAlone(t *testing.T) {
	w := newWorld(t, nil)
	grantID, first := w.signedIn()
	w.ok(w.flow.Revoke(w.ctx, "app", first.AccessToken))
	w.ok(w.flow.Revoke(w.ctx, "app", first.AccessToken))
	w.active(first.AccessToken, false)
	w.active(first.RefreshToken, true)
	w.revoked(grantID, "")
}

func TestRevokingARefreshTokenEndsItsGrantEvenIfItIsDead(t *testing.T) {
	for name, kill := range map[string]func(*world, string){
		"live":    func(*world, string) {},
		"rotated": func(w *world, raw string) { _, _, err := w.refresh(raw); w.ok(err) },
		"expired": func(w *world, _ string) { w.clock.advance(31 * 24 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			grantID, first := w.signedIn()
			kill(w, first.RefreshToken)
			w.ok(w.flow.Revoke(w.ctx, "app", first.RefreshToken))
			w.revoked(grantID, domain.ByClient)
			w.active(first.AccessToken, false)
		})
	}
}

func TestRevokingWhatIsUnknownOrAnothersDoesNothing(t *testing.T) {
	w := newWorld(t, nil)
	grantID, first := w.signedIn()
	w.ok(w.flow.Revoke(w.ctx, "app", "unknown"))
	w.ok(w.flow.Revoke(w.ctx, "other", first.AccessToken))
	w.ok(w.flow.Revoke(w.ctx, "other", first.RefreshToken))
	w.revoked(grantID, "")
	w.active(first.AccessToken, true)
}

func TestIntrospectNeverGivesAReason(t *testing.T) {
	w := newWorld(t, nil)
	_, first := w.signedIn()
	_, _, err := w.refresh(first.RefreshToken)
	w.ok(err)
	w.clock.advance(time.Hour)
	for name, raw := range map[string]string{"expired": first.AccessToken, "consumed": first.RefreshToken, "unknown": "unknown"} {
		token, active, err := w.flow.Introspect(w.ctx, raw)
		if err != nil || active || token.GrantID != "" {
			t.Errorf("%s: active %v, error %v", name, active, err)
		}
	}
}

func TestAClosedStoreIsAnErrorNotAnAnswer(t *testing.T) {
	w := newWorld(t, nil)
	_, first := w.signedIn()
	w.ok(w.store.Close())
	_, _, err := w.flow.Introspect(w.ctx, first.AccessToken)
	w.is(err, repository.ErrClosed)
	w.is(w.flow.Revoke(w.ctx, "app", first.AccessToken), repository.ErrClosed)
}

func TestWithoutOptionsGraceIsTwoMinutes(t *testing.T) {
	w := newWorld(t, nil)
	store := memoryrepo.New(nil)
	t.Cleanup(func() { _ = store.Close() })
	w.ok(store.Clients().Create(w.ctx, domain.Client{ID: "app", Kind: domain.Preregistered}))
	w.store, w.flow, w.clock.now = store, flow.New(store, nil), time.Now()
	_, first := w.signedIn()
	_, _, err := w.refresh(first.RefreshToken)
	w.ok(err)
	old, _ := store.Tokens().Get(context.Background(), domain.DigestOf(first.RefreshToken))
	if got := old.Replay.ExpiresAt.Sub(old.ConsumedAt).Round(time.Second); got != 2*time.Minute {
		t.Fatalf("grace is %v", got)
	}
}

func TestAResponseIsWrittenAsRFC6749AndNeverPrinted(t *testing.T) {
	r := flow.Response{AccessToken: "at-raw", TokenType: "Bearer"}
	for _, c := range []struct {
		change func()
		want   string
	}{
		{func() {}, `{"access_token":"at-raw","token_type":"Bearer"}`},
		{func() { r.ExpiresIn = 60 }, `{"access_token":"at-raw","token_type":"Bearer","expires_in":60}`},
		{func() { r.ExpiresIn, r.ExpiresAt = 0, time.Unix(1, 0) }, `{"access_token":"at-raw","token_type":"Bearer","expires_in":0}`},
		{func() {
			r.Extra = map[string]json.RawMessage{"id_token": json.RawMessage(`"i"`), "token_type": json.RawMessage(`"mac"`), "scope": json.RawMessage(`"all"`)}
		}, `{"access_token":"at-raw","expires_in":0,"id_token":"i","token_type":"Bearer"}`},
	} {
		c.change()
		got, err := json.Marshal(r)
		if err != nil || string(got) != c.want {
			t.Errorf("got %s, %v, want %s", got, err, c.want)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", r, r, &r, r.LogValue()); strings.Contains(text, "raw") {
		t.Errorf("printed as %s", text)
	}
}
