package repository_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestWhatIsNotLiveHasTheFirstReasonThatHolds(t *testing.T) {
	set, not := now, time.Time{}
	for _, tt := range []struct {
		revoked, consumed, expires time.Time
		want                       error
	}{
		{not, not, not, nil},
		{not, not, now.Add(1), nil},
		{not, not, now, repository.ErrExpired},
		{not, set, not, repository.ErrConsumed},
		{not, set, now, repository.ErrConsumed},
		{set, not, not, repository.ErrRevoked},
		{set, set, now, repository.ErrRevoked},
	} {
		token := domain.Token{RevokedAt: tt.revoked, ConsumedAt: tt.consumed, ExpiresAt: tt.expires}
		if err := repository.WhyNotLive(token.Live(now), token.RevokedAt, token.ConsumedAt); err != tt.want {
			t.Errorf("%+v: %v", tt, err)
		}
		if !tt.consumed.IsZero() {
			continue
		}
		grant := domain.Grant{RevokedAt: tt.revoked, ExpiresAt: tt.expires}
		if err := repository.WhyNotLive(grant.Live(now), grant.RevokedAt, time.Time{}); err != tt.want {
			t.Errorf("a grant, %+v: %v", tt, err)
		}
	}
}

// tokenOf returns a valid token of that owner.
func tokenOf(grant, client, subject string) domain.Token {
	return domain.Token{Digest: domain.DigestOf("raw"), Kind: domain.RefreshToken, GrantID: grant, ClientID: client, Subject: subject}
}

func TestTokensAreValidAndOfOneOwner(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tokens []domain.Token
		want   string
	}{
		{"none", nil, ""},
		{"one", []domain.Token{tokenOf("g", "c", "s")}, ""},
		{"without a subject", []domain.Token{tokenOf("g", "c", ""), tokenOf("g", "c", "")}, ""},
		{"three", []domain.Token{tokenOf("g", "c", "s"), tokenOf("g", "c", "s"), tokenOf("g", "c", "s")}, ""},
		{"one that is not valid", []domain.Token{{}}, "invalid: Digest is not set"},
		{"a second one that is not valid", []domain.Token{tokenOf("g", "c", "s"), tokenOf("g", "", "s")}, "invalid: ClientID is empty"},
		{"another grant", []domain.Token{tokenOf("g", "c", "s"), tokenOf("h", "c", "s")}, "invalid: GrantID differs between tokens"},
		{"another client", []domain.Token{tokenOf("g", "c", "s"), tokenOf("g", "C", "s")}, "invalid: ClientID differs between tokens"},
		{"another subject, last", []domain.Token{tokenOf("g", "c", "s"), tokenOf("g", "c", "s"), tokenOf("g", "c", "")},
			"invalid: Subject differs between tokens"},
	} {
		wantInvalid(t, tt.name, repository.CheckTokens(tt.tokens), tt.want)
	}
}

func TestARefreshTokenIsReplacedWithinItsOwnGrantAlone(t *testing.T) {
	old, access := tokenOf("g", "c", "s"), tokenOf("g", "c", "s")
	access.Kind = domain.AccessToken
	revoked := old
	revoked.RevokedAt = now
	for _, tt := range []struct {
		name string
		old  domain.Token
		next []domain.Token
		want string
	}{
		{"by nothing", old, nil, ""},
		{"by an access and a refresh token", old, []domain.Token{access, old}, ""},
		{"a revoked one, which is not looked at here", revoked, []domain.Token{old}, ""},
		{"an access token", access, nil, "invalid: Kind is access_token, which is never rotated"},
		{"an access token, by another grant's", access, []domain.Token{tokenOf("h", "c", "s")},
			"invalid: Kind is access_token, which is never rotated"},
		{"by another grant's", old, []domain.Token{tokenOf("h", "c", "s")}, "invalid: GrantID differs between tokens"},
		{"by another client's", old, []domain.Token{tokenOf("g", "d", "s")}, "invalid: ClientID differs between tokens"},
		{"by another subject's", old, []domain.Token{tokenOf("g", "c", "")}, "invalid: Subject differs between tokens"},
	} {
		wantInvalid(t, tt.name, repository.CheckRotation(tt.old, tt.next), tt.want)
	}
}

func TestWhatIsStoredUnderAGrantHasItsOwner(t *testing.T) {
	for _, tt := range []struct{ grantSubject, client, subject, want string }{
		{"s", "c", "s", ""},
		{"", "c", "", ""},
		{"s", "d", "s", "invalid: ClientID is not the grant's"},
		{"s", "d", "x", "invalid: ClientID is not the grant's"},
		{"s", "c", "x", "invalid: Subject is not the grant's"},
		{"s", "c", "", "invalid: Subject is not the grant's"},
		{"", "c", "s", "invalid: Subject is not the grant's"},
	} {
		grant := domain.Grant{ID: "g", ClientID: "c", Subject: tt.grantSubject}
		wantInvalid(t, fmt.Sprintf("%+v", tt), repository.CheckOwner(grant, tt.client, tt.subject), tt.want)
	}
}

// wantInvalid wants nil for an empty text, else ErrInvalid with that text, of a field.
func wantInvalid(t *testing.T, name string, err error, text string) {
	t.Helper()
	if text == "" {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	_, named := errors.AsType[*domain.FieldError](err)
	if !named || !errors.Is(err, repository.ErrInvalid) || err.Error() != text {
		t.Errorf("%s: %v", name, err)
	}
}

func TestInactiveIsWhatIsUnknownOrNotLiveAndNotWhatCannotBeAnswered(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{repository.ErrNotFound, true},
		{repository.ErrRevoked, true},
		{repository.ErrConsumed, true},
		{repository.ErrExpired, true},
		{fmt.Errorf("store: get token: %w", repository.ErrExpired), true},
		{repository.ErrAlreadyExists, false},
		{repository.ErrConflict, false},
		{repository.ErrInvalid, false},
		{repository.ErrClosed, false},
		{repository.ErrUnknownOutcome, false},
		{errors.New("not found"), false},
	} {
		if repository.IsInactive(tt.err) != tt.want {
			t.Errorf("%v is not %v", tt.err, tt.want)
		}
	}
}
