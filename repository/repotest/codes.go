package repotest

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func codeChecks() []check {
	return []check{
		{"Get looks at a code and does not consume it", codeGet},
		{"Consume redeems a code once and says when", codeConsume},
		{"a code expires at the exact instant, and is not consumed then", codeExpiry},
		{"revoked comes before consumed, consumed before expired", codePrecedence},
		{"a digest is taken once, and the first code stays", codeTaken},
		{"digests compare in all their bytes", codeBytes},
		{"a code without its grant is not found and not stored", codeOrphan},
		{"a code of another client or subject than its grant is invalid and not stored", codeMismatch},
		{"an unknown code is not found and zero", codeUnknown},
	}
}

func codeGet(t *testing.T, f *fixture) {
	_, g := f.family(t)
	c := aCode("code", g)
	must(t, f.AuthorizationCodes().Create(f.ctx, c))
	f.want(t, stored(c), stored(c), stored(g))
	_, err := f.AuthorizationCodes().Consume(f.ctx, c.Digest)
	must(t, err)
}

func codeConsume(t *testing.T, f *fixture) {
	_, g := f.family(t)
	other := aCode("other", g)
	f.put(t, fullCode(g), other)
	f.clock.Advance(time.Second)
	c := stored(fullCode(g))
	c.ConsumedAt = f.clock.Now()
	got, err := f.AuthorizationCodes().Consume(f.ctx, c.Digest)
	must(t, err)
	want(t, got, c)
	f.clock.Advance(time.Second)
	got, err = f.AuthorizationCodes().Consume(f.ctx, c.Digest)
	wantError(t, err, repository.ErrConsumed)
	want(t, got, c)
	f.wantDead(t, c, repository.ErrConsumed)
	f.want(t, stored(other))
}

func codeExpiry(t *testing.T, f *fixture) {
	_, g := f.family(t)
	early, late := aCode("early", g), aCode("late", g)
	f.put(t, early, late)
	f.clock.Set(early.ExpiresAt.Add(-instant))
	f.wantIs(t, nil, early, late)
	_, err := f.AuthorizationCodes().Consume(f.ctx, early.Digest)
	must(t, err)
	f.clock.Set(late.ExpiresAt)
	f.wantDead(t, stored(late), repository.ErrExpired)
	got, err := f.AuthorizationCodes().Consume(f.ctx, late.Digest)
	wantError(t, err, repository.ErrExpired)
	want(t, got, stored(late))
	f.wantDead(t, stored(late), repository.ErrExpired)
}

func codePrecedence(t *testing.T, f *fixture) {
	_, g := f.family(t)
	base := stored(aCode("", g))
	for _, c := range []struct {
		name                      string
		consumed, revoked, passed bool
		why                       error
	}{
		{"all", true, true, true, repository.ErrRevoked},
		{"revoked and consumed", true, true, false, repository.ErrRevoked},
		{"revoked and expired", false, true, true, repository.ErrRevoked},
		{"revoked", false, true, false, repository.ErrRevoked},
		{"consumed and expired", true, false, true, repository.ErrConsumed},
		{"consumed", true, false, false, repository.ErrConsumed},
		{"expired", false, false, true, repository.ErrExpired},
	} {
		code := base
		code.Digest = domain.DigestOf(c.name)
		code.ConsumedAt, code.RevokedAt = when(c.consumed), when(c.revoked)
		if c.passed {
			code.ExpiresAt = start
		}
		f.put(t, code)
		f.wantDead(t, code, c.why)
		got, err := f.AuthorizationCodes().Consume(f.ctx, code.Digest)
		wantError(t, err, c.why)
		want(t, got, code)
	}
}

// when is an instant before the start, or zero.
func when(happened bool) time.Time {
	if !happened {
		return time.Time{}
	}
	return start.Add(-time.Minute)
}

func codeTaken(t *testing.T, f *fixture) {
	c, g := f.family(t)
	first := aCode("taken", g)
	other := aGrant("-other", c)
	f.put(t, first, other)
	wantError(t, f.AuthorizationCodes().Create(f.ctx, first), repository.ErrAlreadyExists)
	wantError(t, f.AuthorizationCodes().Create(f.ctx, aCode("taken", other)), repository.ErrAlreadyExists)
	f.want(t, stored(first))
}

// likeDigests differ in one byte each, which text comparison could lose.
func likeDigests() []domain.Digest {
	return []domain.Digest{
		{1}, {1, 0, 1}, {0, 1}, {31: 1}, {31: ' '}, {31: 'a'}, {31: 'A'}, {31: 0xe1}, {31: 0xc1},
		{0: 0xff}, {0: 0xff, 31: 1}, {'\''}, {'%'}, {'_'}, {0: 0x7f, 1: 0x80},
	}
}

func codeBytes(t *testing.T, f *fixture) {
	_, g := f.family(t)
	for i, d := range likeDigests() {
		code, token := aCode("", g), anAccess("", g)
		code.Digest, token.Digest = d, d
		code.Nonce, token.Data = string(rune('a'+i)), []byte{byte(i)}
		f.wantGone(t, code, token)
		f.put(t, code, token)
		f.want(t, stored(code), stored(token))
	}
}

func codeOrphan(t *testing.T, f *fixture) {
	c, _ := f.family(t)
	code := aCode("orphan", aGrant("-nothing", c))
	wantError(t, f.AuthorizationCodes().Create(f.ctx, code), repository.ErrNotFound)
	f.wantGone(t, code)
}

func codeMismatch(t *testing.T, f *fixture) {
	_, g := f.family(t)
	other := aClient("-other")
	f.put(t, other)
	byClient, bySubject := aCode("client", g), aCode("subject", g)
	byClient.ClientID = other.ID
	bySubject.Subject = g.Subject + " "
	wantInvalid(t, f.AuthorizationCodes().Create(f.ctx, byClient), "ClientID")
	wantInvalid(t, f.AuthorizationCodes().Create(f.ctx, bySubject), "Subject")
	f.wantGone(t, byClient, bySubject)
}

func codeUnknown(t *testing.T, f *fixture) {
	_, g := f.family(t)
	f.put(t, anAccess("a token", g))
	for _, name := range []string{"nothing", "a token"} {
		f.wantGone(t, aCode(name, g))
		got, err := f.AuthorizationCodes().Consume(f.ctx, domain.DigestOf(name))
		wantError(t, err, repository.ErrNotFound)
		want(t, got, domain.AuthorizationCode{})
	}
	f.want(t, stored(anAccess("a token", g)))
}
