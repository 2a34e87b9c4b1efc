package repotest

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func aliasChecks() []check {
	return []check{
		{"changing what was passed in changes nothing in the store", aliasIn},
		{"changing what Get gave back changes nothing in the store", aliasGet},
		{"changing what List gave back changes nothing in the store", aliasList},
		{"changing what Update took and gave back changes nothing in the store", aliasUpdate},
		{"changing what Consume gave back changes nothing in the store", aliasConsume},
		{"changing what Rotate took and gave back changes nothing in the store", aliasRotate},
	}
}

// scramble overwrites in place all that the slices and maps under v hold.
func scramble(v any) { scrambleValue(reflect.ValueOf(v)) }

func scrambleValue(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				scrambleValue(v.Field(i))
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			scrambleValue(v.MapIndex(key))
		}
		if v.Len() > 0 {
			v.SetMapIndex(reflect.ValueOf("scrambled"), reflect.ValueOf(json.RawMessage(`1`)))
		}
	case reflect.Slice:
		for i := range v.Len() {
			v.Index(i).Set(other(v.Index(i)))
		}
	}
}

// other is a value of the type of v that differs from it.
func other(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.String:
		return reflect.ValueOf(v.String() + "-scrambled").Convert(v.Type())
	case reflect.Uint8:
		return reflect.ValueOf(byte(v.Uint()) ^ 1)
	}
	return reflect.Zero(v.Type())
}

// wholeFamily has every slice and map of every entity set.
func wholeFamily() (domain.Client, domain.Grant, domain.AuthorizationCode, domain.Token) {
	c := fullClient()
	g := fullGrant(c)
	token := fullToken(g)
	token.ConsumedAt, token.Replay = start, aReplay()
	return c, g, fullCode(g), token
}

func (f *fixture) putWhole(t *testing.T) {
	t.Helper()
	c, g, code, token := wholeFamily()
	f.put(t, c, g, code, token)
}

// wantWhole checks that the store has wholeFamily, as it was put there.
func (f *fixture) wantWhole(t *testing.T) {
	t.Helper()
	c, g, code, token := wholeFamily()
	g.LastUsedAt = start
	f.want(t, stored(c), stored(g), stored(code))
	f.wantDead(t, stored(token), repository.ErrConsumed)
}

func aliasIn(t *testing.T, f *fixture) {
	c, g, code, token := wholeFamily()
	f.put(t, c, g, code, token)
	for _, entity := range []any{c, g, code, token} {
		scramble(entity)
	}
	f.wantWhole(t)
	batch := []domain.Token{fullToken(g)}
	batch[0].Digest = domain.DigestOf("batch")
	must(t, f.Tokens().Create(f.ctx, batch...))
	kept := stored(batch[0]).Clone()
	scramble(batch[0])
	batch[0] = domain.Token{}
	f.want(t, kept)
}

func aliasGet(t *testing.T, f *fixture) {
	f.putWhole(t)
	c, g, code, token := wholeFamily()
	for _, entity := range []any{c, g, code, token} {
		got, _ := f.get(entity)
		scramble(got)
	}
	f.wantWhole(t)
}

func aliasList(t *testing.T, f *fixture) {
	f.putWhole(t)
	clients, err := f.Clients().List(f.ctx, repository.Page{})
	wantCount(t, len(clients), err, 1)
	grants, err := f.Grants().List(f.ctx, repository.GrantFilter{}, repository.Page{})
	wantCount(t, len(grants), err, 1)
	tokens, err := f.Tokens().List(f.ctx, repository.TokenFilter{}, repository.Page{})
	wantCount(t, len(tokens), err, 1)
	for i := range clients {
		scramble(clients[i])
	}
	for i := range grants {
		scramble(grants[i])
	}
	for i := range tokens {
		scramble(tokens[i])
	}
	f.wantWhole(t)
}

func aliasUpdate(t *testing.T, f *fixture) {
	f.put(t, aClient("-client"))
	asked := stored(aClient("-client"))
	asked.Secrets, asked.Metadata = fullClient().Secrets, fullMetadata()
	wanted := asked.Clone()
	wanted.Version = 2
	got, err := f.Clients().Update(f.ctx, asked)
	must(t, err)
	scramble(asked)
	f.want(t, wanted)
	scramble(got)
	f.want(t, wanted)
}

func aliasConsume(t *testing.T, f *fixture) {
	f.putWhole(t)
	_, _, code, _ := wholeFamily()
	wanted := stored(code)
	wanted.ConsumedAt = start
	for range 3 {
		got, _ := f.AuthorizationCodes().Consume(f.ctx, code.Digest)
		want(t, got, wanted)
		scramble(got)
	}
	f.wantDead(t, wanted, repository.ErrConsumed)
}

func aliasRotate(t *testing.T, f *fixture) {
	_, g := f.family(t)
	old, next, replay := fullToken(g), fullToken(g), aReplay()
	next.Digest = domain.DigestOf("next")
	f.put(t, old)
	wanted, wantedNext := rotated(old.Clone(), start, replay), stored(next)
	wanted.CreatedAt = old.CreatedAt
	got, err := f.Tokens().Rotate(f.ctx, old.Digest, replay, next)
	must(t, err)
	scramble(replay)
	scramble(next)
	f.wantDead(t, wanted, repository.ErrConsumed)
	f.want(t, wantedNext)
	scramble(got)
	loser, err := f.Tokens().Rotate(f.ctx, old.Digest, aReplay(), next)
	wantError(t, err, repository.ErrConsumed)
	want(t, loser, wanted)
	scramble(loser)
	f.wantDead(t, wanted, repository.ErrConsumed)
}
