package repotest

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/repository"
)

// must ends the test unless err is nil.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// hexRun is what a digest looks like, in part at least.
var hexRun = regexp.MustCompile(`(?i)[0-9a-f]{8}`)

// wantError checks that err wraps sentinel, says more than it, and gives nothing away.
func wantError(t *testing.T, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("error is %v, want %v in its chain", err, sentinel)
		return
	}
	wantDiscreet(t, err)
	if err == sentinel || err.Error() == sentinel.Error() {
		t.Errorf("error %q is bare: it names no package and operation", err)
	}
}

// wantDiscreet checks that err contains no value of a fixture and no digest.
func wantDiscreet(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if strings.Contains(text, canary) || strings.Contains(text, "\x00") {
		t.Errorf("error %q contains a value", text)
	}
	if hexRun.MatchString(text) {
		t.Errorf("error %q contains a digest", text)
	}
}

// want checks got against wanted, field by field; nil and empty slices differ, and so do time zones.
func want(t *testing.T, got, wanted any) {
	t.Helper()
	if reflect.DeepEqual(got, wanted) {
		return
	}
	g, w := reflect.ValueOf(got), reflect.ValueOf(wanted)
	if g.Kind() != reflect.Struct || g.Type() != w.Type() {
		t.Errorf("got %s, want %s", shown(got), shown(wanted))
		return
	}
	for i := range g.NumField() {
		if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			t.Errorf("%s.%s is %s, want %s", g.Type().Name(), g.Type().Field(i).Name, shown(a), shown(b))
		}
	}
}

// want checks that the store has each entity exactly as given, and that it is live.
func (f *fixture) want(t *testing.T, entities ...any) {
	t.Helper()
	for _, e := range entities {
		got, err := f.get(e)
		must(t, err)
		want(t, got, e)
	}
}

// wantDead checks that the store has entity exactly as given, and says why it is dead.
func (f *fixture) wantDead(t *testing.T, entity any, why error) {
	t.Helper()
	got, err := f.get(entity)
	wantError(t, err, why)
	want(t, got, entity)
}

// wantGone checks that the store has none of entities, and returns zero ones.
func (f *fixture) wantGone(t *testing.T, entities ...any) {
	t.Helper()
	for _, e := range entities {
		got, err := f.get(e)
		wantError(t, err, repository.ErrNotFound)
		want(t, got, reflect.Zero(reflect.TypeOf(e)).Interface())
	}
}

// wantIs checks what Get says of each entity: nil for live.
func (f *fixture) wantIs(t *testing.T, why error, entities ...any) {
	t.Helper()
	for _, e := range entities {
		_, err := f.get(e)
		if why == nil {
			must(t, err)
			continue
		}
		wantError(t, err, why)
	}
}

// wantCount checks a number and the error that came with it.
func wantCount(t *testing.T, n int, err error, wanted int) {
	t.Helper()
	must(t, err)
	if n != wanted {
		t.Errorf("count is %d, want %d", n, wanted)
	}
}

// shown is v, short enough for a line of a log.
func shown(v any) string {
	text := fmt.Sprintf("%+v", v)
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Slice && rv.Len() == 0 {
		text = fmt.Sprintf("%#v", v)
	}
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return text
}
