package authserver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// severed is a store whose connection breaks during a COMMIT, once: what was to be done is done.
type severed struct {
	repository.Store
	broken bool
}

func (s *severed) AuthorizationCodes() repository.AuthorizationCodes {
	return severedCodes{s.Store.AuthorizationCodes(), s}
}

func (s *severed) Tokens() repository.Tokens { return severedTokens{s.Store.Tokens(), s} }

func (s *severed) broke(err error) error {
	if err != nil || s.broken {
		return err
	}
	s.broken = true
	return fmt.Errorf("severed: commit: %w", repository.ErrUnknownOutcome)
}

type severedCodes struct {
	repository.AuthorizationCodes
	store *severed
}

func (c severedCodes) Redeem(ctx context.Context, d domain.Digest, tokens ...domain.Token) (domain.AuthorizationCode, error) {
	code, err := c.AuthorizationCodes.Redeem(ctx, d, tokens...)
	return code, c.store.broke(err)
}

type severedTokens struct {
	repository.Tokens
	store *severed
}

func (t severedTokens) Rotate(ctx context.Context, old domain.Digest, replay domain.Replay, next ...domain.Token) (domain.Token, error) {
	token, err := t.Tokens.Rotate(ctx, old, replay, next...)
	return token, t.store.broke(err)
}

// sever breaks the store's connection in the next COMMIT.
func (f *fixture) sever() {
	f.t.Helper()
	f.store = &severed{Store: f.store}
	f.serve(nil)
}

// obedient asks the token endpoint again as long as it says to, and returns all answers.
func (f *fixture) obedient(form url.Values) (all []answer) {
	f.t.Helper()
	for {
		got := f.do(postForm("/token", form))
		all = append(all, got)
		if got.header.Get("Retry-After") == "" {
			return all
		}
	}
}

func TestACodeIsNotTriedAgainWhenItIsUnknownWhetherItWasUsed(t *testing.T) {
	f := newFixture(t)
	form := f.exchanging(f.code(f.public))
	f.sever()
	got := f.obedient(form)
	if len(got) != 1 || got[0].String() != "400 invalid_grant" {
		t.Errorf("the answers are %s", got)
	}
	grants, err := f.store.Grants().List(t.Context(), repository.GrantFilter{ClientID: f.public.ID}, repository.Page{})
	if err != nil || len(grants) != 1 || grants[0].RevokedReason != "" {
		t.Errorf("%+v %v", grants, err)
	}
	if log := f.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, repository.ErrUnknownOutcome.Error()) {
		t.Error("the operator is not told:", log)
	}
}

func TestARefreshIsTriedAgainWhenItIsUnknownWhetherItWasDone(t *testing.T) {
	f := newFixture(t)
	form := f.refreshing(f.tokens().text("refresh_token"))
	f.sever()
	first := f.do(postForm("/token", form))
	if first.String() != "503 temporarily_unavailable" || first.header.Get("Retry-After") == "" {
		t.Error(first)
	}
	done := f.everything(t)
	again := f.obedient(form)
	if len(again) != 1 || again[0].status != http.StatusOK || again[0].text("access_token") == "" {
		t.Fatal(again)
	}
	f.wantUnchanged(t, done)
}
