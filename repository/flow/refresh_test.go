package flow_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

func TestRefreshRotatesTheToken(t *testing.T) {
	w := newWorld(t, nil)
	_, first := w.signedIn()
	second, repeated, err := w.refresh(first.RefreshToken)
	w.ok(err)
	if repeated || second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
		t.Fatal("not a new answer")
	}
	w.active(first.RefreshToken, false)
	w.active(first.AccessToken, true)
	w.active(second.RefreshToken, true)
}

func TestARepeatWithinGraceGetsTheSameAnswerFromAnyProcess(t *testing.T) {
	w := newWorld(t, nil)
	grantID, first := w.signedIn()
	second, _, err := w.refresh(first.RefreshToken)
	w.ok(err)
	third, _, err := w.refresh(second.RefreshToken) // its successor is rotated, too
	w.ok(err)

	w.clock.advance(flow.DefaultGrace - time.Microsecond)
	w.flow = flow.New(w.store, nil)
	again, repeated, err := w.refresh(first.RefreshToken)
	w.ok(err)
	if !repeated {
		t.Fatal("the repeat is not marked")
	}
	if second.ExpiresIn != 3600 || again.ExpiresIn != 3480 {
		t.Fatalf("expires in %d s, then %d s", second.ExpiresIn, again.ExpiresIn)
	}
	again.ExpiresIn = second.ExpiresIn
	if !reflect.DeepEqual(again, second) {
		t.Fatal("the repeat differs from the answer")
	}
	w.revoked(grantID, "")
	w.active(third.AccessToken, true)
}

func TestReuseAfterGraceRevokesTheGrantForGood(t *testing.T) {
	for name, c := range map[string]struct {
		grace time.Duration
		after time.Duration
	}{
		"at the instant that grace ends":         {flow.DefaultGrace, flow.DefaultGrace},
		"at once, without grace":                 {-1, 0},
		"when the old token has expired as well": {flow.DefaultGrace, 29 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, &flow.Options{Grace: c.grace})
			grantID, first := w.signedIn()
			second, _, err := w.refresh(first.RefreshToken)
			w.ok(err)
			w.clock.advance(c.after)
			_, repeated, err := w.refresh(first.RefreshToken)
			w.is(err, repository.ErrConsumed)
			if repeated {
				t.Fatal("reuse is marked as a repeat")
			}
			w.revoked(grantID, domain.RefreshTokenReused)
			w.active(second.RefreshToken, false)
			_, _, err = w.refresh(first.RefreshToken)
			w.is(err, repository.ErrRevoked)
		})
	}
}

func TestStrictGraceStoresNoAnswer(t *testing.T) {
	w := newWorld(t, &flow.Options{Grace: -1})
	_, first := w.signedIn()
	_, _, err := w.refresh(first.RefreshToken)
	w.ok(err)
	old, _ := w.store.Tokens().Get(w.ctx, domain.DigestOf(first.RefreshToken))
	if len(old.Replay.Sealed) != 0 {
		t.Fatal("an answer is stored")
	}
}

func TestAnotherClientGetsNothingAndChangesNothing(t *testing.T) {
	w := newWorld(t, nil)
	grantID, first := w.signedIn()
	for _, prepare := range []func(){
		func() {},
		func() { _, _, err := w.refresh(first.RefreshToken); w.ok(err) },
		func() { w.clock.advance(flow.DefaultGrace) },
	} {
		prepare()
		got, _, err := w.refreshAs("other", first.RefreshToken, nil)
		if err != errNotYours || got.AccessToken != "" {
			t.Fatalf("got %v, want the error of Check unchanged", err)
		}
		w.revoked(grantID, "")
	}
}

func TestAnErrorOfIssueIsReturnedUnchanged(t *testing.T) {
	w := newWorld(t, nil)
	grantID, first := w.signedIn()
	for _, refusal := range []error{errors.New("invalid_scope"), repository.ErrConsumed} {
		_, _, err := w.flow.Refresh(w.ctx, flow.RefreshRequest{
			Token: first.RefreshToken,
			Check: func(domain.Token) error { return nil },
			Issue: func(domain.Token, domain.Grant) (flow.Issued, error) { return flow.Issued{}, refusal },
		})
		if err != refusal {
			t.Fatalf("got %v, want %v", err, refusal)
		}
	}
	w.revoked(grantID, "")
	w.active(first.RefreshToken, true)
}

func TestNarrowingOneRefreshDoesNotNarrowTheGrant(t *testing.T) {
	w := newWorld(t, nil)
	_, first := w.signedIn()
	second, _, err := w.refreshAs("app", first.RefreshToken, []string{"read"})
	w.ok(err)
	third, _, err := w.refreshAs("app", second.RefreshToken, []string{"write", "read"})
	w.ok(err)
	if second.Scope != "read" || third.Scope != "write read" {
		t.Fatalf("scopes are %q, then %q", second.Scope, third.Scope)
	}
}

func TestBroadeningIsRefusedAndKeepsTheToken(t *testing.T) {
	w := newWorld(t, nil)
	_, first := w.signedIn()
	_, _, err := w.refreshAs("app", first.RefreshToken, []string{"read", "admin"})
	w.is(err, repository.ErrInvalid)
	w.active(first.RefreshToken, true)
}

func TestAFamilyEndsWithItsGrantHoweverOftenRefreshed(t *testing.T) {
	w := newWorld(t, nil)
	_, r := w.signedIn(endsIn(w, 100*time.Minute))
	for _, want := range []int64{3600, 40 * 60} {
		var err error
		w.clock.advance(30 * time.Minute)
		r, _, err = w.refresh(r.RefreshToken)
		w.ok(err)
		if r.ExpiresIn != want {
			t.Fatalf("expires in %d s, want %d", r.ExpiresIn, want)
		}
	}
	w.clock.advance(39 * time.Minute)
	last, _, err := w.refresh(r.RefreshToken)
	w.ok(err)
	w.clock.advance(time.Minute)
	w.active(last.AccessToken, false)
	_, _, err = w.refresh(last.RefreshToken)
	w.is(err, repository.ErrExpired)
	_, _, err = w.refresh(r.RefreshToken) // within grace
	w.is(err, repository.ErrExpired)
}

func TestARepeatEndsWhenTheGrantIsRevoked(t *testing.T) {
	w := newWorld(t, nil)
	grantID, first := w.signedIn()
	_, _, err := w.refresh(first.RefreshToken)
	w.ok(err)
	_, err = w.store.Grants().Revoke(w.ctx, repository.GrantFilter{ID: grantID}, domain.ByUser)
	w.ok(err)
	_, _, err = w.refresh(first.RefreshToken)
	w.is(err, repository.ErrRevoked)
	w.revoked(grantID, domain.ByUser)
}

func TestRefreshRefusesWhatIsNotALiveRefreshToken(t *testing.T) {
	w := newWorld(t, nil)
	_, first := w.signedIn()
	_, _, err := w.refresh("unknown")
	w.is(err, repository.ErrNotFound)
	_, _, hint := w.refresh(first.AccessToken)
	w.is(hint, repository.ErrNotFound)
	_, _, err = w.flow.Refresh(w.ctx, flow.RefreshRequest{Token: first.RefreshToken})
	w.is(err, repository.ErrInvalid)
	w.clock.advance(30 * 24 * time.Hour)
	_, _, err = w.refresh(first.RefreshToken)
	w.is(err, repository.ErrExpired)
}

func TestAHundredRacingRefreshesGetTheSameTokens(t *testing.T) {
	w := newWorld(t, nil)
	grantID, first := w.signedIn()
	answers, originals := make([]flow.Response, 100), make([]bool, 100)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			r, repeated, err := w.refresh(first.RefreshToken)
			if err != nil {
				t.Errorf("refresh: %v", err)
			}
			answers[i], originals[i] = r, !repeated
		})
	}
	wg.Wait()
	count := 0
	for i, r := range answers {
		if r.AccessToken != answers[0].AccessToken || r.RefreshToken != answers[0].RefreshToken {
			t.Fatal("answers differ")
		}
		if originals[i] {
			count++
		}
	}
	if count != 1 {
		t.Fatalf("%d answers are not repeats, want 1", count)
	}
	w.revoked(grantID, "")
	w.active(answers[0].RefreshToken, true)
}

func TestWithoutRotationTheRefreshTokenStays(t *testing.T) {
	w := newWorld(t, &flow.Options{NoRotation: true})
	_, first := w.signedIn()
	ask := func(change func(*flow.Issued)) (flow.Response, bool, error) {
		return w.flow.Refresh(w.ctx, flow.RefreshRequest{
			Token: first.RefreshToken,
			Check: func(domain.Token) error { return nil },
			Issue: func(old domain.Token, _ domain.Grant) (flow.Issued, error) {
				issued := w.mint(old.Scopes)
				change(&issued)
				return issued, nil
			},
		})
	}
	for range 2 {
		r, repeated, err := ask(func(i *flow.Issued) { i.Tokens, i.Response.RefreshToken = i.Tokens[:1], first.RefreshToken })
		w.ok(err)
		if repeated {
			t.Fatal("marked as a repeat")
		}
		w.active(r.AccessToken, true)
		w.active(first.RefreshToken, true)
	}
	_, _, err := ask(func(*flow.Issued) {})
	w.is(err, repository.ErrInvalid)
}

func TestWithoutRotationATokenRevokedMeanwhileGetsNothing(t *testing.T) {
	w := newWorld(t, &flow.Options{NoRotation: true})
	_, first := w.signedIn()
	var made string
	_, _, err := w.flow.Refresh(w.ctx, flow.RefreshRequest{
		Token: first.RefreshToken,
		Check: func(domain.Token) error { return nil },
		Issue: func(old domain.Token, _ domain.Grant) (flow.Issued, error) {
			w.ok(w.store.Tokens().Revoke(w.ctx, old.Digest))
			issued := w.mint(old.Scopes)
			issued.Tokens, issued.Response.RefreshToken = issued.Tokens[:1], ""
			made = issued.Response.AccessToken
			return issued, nil
		},
	})
	w.is(err, repository.ErrRevoked)
	w.active(made, false)
}

func TestACancelledRefreshSaysSo(t *testing.T) {
	w := newWorld(t, nil)
	_, first := w.signedIn()
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	w.ctx = ctx
	_, _, err := w.refresh(first.RefreshToken)
	w.is(err, context.Canceled)
}
