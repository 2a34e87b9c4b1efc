package repotest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func pageChecks() []check {
	return []check{
		{"IDs are listed in the order of their bytes", pageOrder},
		{"tokens are listed in the order of their digests", pageTokenOrder},
		{"a walk sees each row once, whatever the size of its pages", pageWalk},
		{"rows that exist during the whole walk are seen exactly once while others come and go", pageComeAndGo},
		{"a page of large entities is short, and only an empty page is the last", pageLarge},
		{"a limit of 0 is the default, of 1000 the most", pageLimits},
		{"a limit below 0 or above 1000 is invalid", pageBadLimits},
		{"a cursor need not exist, and one past the end lists none", pageCursor},
		{"a cursor of tokens that is no digest is invalid", pageBadCursor},
		{"a filter with an unknown state or kind is invalid", pageBadFilter},
		{"a filter is applied before the limit", pageFiltered},
	}
}

// listing is one of the three lists, by the keys of its entities.
type listing struct {
	name string
	keys func(f *fixture, page repository.Page) ([]string, error)
}

func listings() []listing {
	return []listing{
		{"clients", func(f *fixture, page repository.Page) ([]string, error) {
			all, err := f.Clients().List(f.ctx, page)
			return keys(all, func(c domain.Client) string { return c.ID }), err
		}},
		{"grants", func(f *fixture, page repository.Page) ([]string, error) {
			all, err := f.Grants().List(f.ctx, repository.GrantFilter{}, page)
			return keys(all, func(g domain.Grant) string { return g.ID }), err
		}},
		{"tokens", func(f *fixture, page repository.Page) ([]string, error) {
			all, err := f.Tokens().List(f.ctx, repository.TokenFilter{}, page)
			return keys(all, func(t domain.Token) string { return t.Digest.Hex() }), err
		}},
	}
}

func keys[E any](entities []E, key func(E) string) []string {
	out := []string{}
	for _, e := range entities {
		out = append(out, key(e))
	}
	return out
}

// row is a client with one grant and one token, under keys that sort alike.
func row(name string) (domain.Client, domain.Grant, domain.Token) {
	c := aClient(name)
	g := aGrant(name, c)
	token := anAccess("", g)
	token.Digest = domain.Digest{0: 1}
	copy(token.Digest[1:], name)
	return c, g, token
}

func (f *fixture) putRow(t *testing.T, name string) {
	t.Helper()
	c, g, token := row(name)
	f.put(t, c, g, token)
}

// keyOf is the key of the row in the listing l.
func (l listing) keyOf(name string) string {
	if l.name == "tokens" {
		_, _, token := row(name)
		return token.Digest.Hex()
	}
	return canary + name
}

func pageOrder(t *testing.T, f *fixture) {
	names := likeIDs()
	for _, tail := range []string{"\ufffd", "\U0001f600", "\uff5e", "\x01", "\x7f", "\u0080", "Z", "a", "a-", "a.", "aa", "~", "-", "_"} {
		names = append(names, canary+"/"+tail)
	}
	for _, name := range names {
		c := domain.Client{ID: name, Kind: domain.Dynamic}
		g := aGrant("", c)
		g.ID = name
		f.put(t, c, g)
	}
	slices.Sort(names)
	for _, l := range listings()[:2] {
		got, err := l.keys(f, repository.Page{})
		must(t, err)
		want(t, got, names)
		want(t, f.walk(t, l, 1), names)
	}
}

func pageTokenOrder(t *testing.T, f *fixture) {
	_, g := f.family(t)
	wanted := []string{}
	for _, d := range likeDigests() {
		token := anAccess("", g)
		token.Digest = d
		f.put(t, token)
		wanted = append(wanted, d.Hex())
	}
	slices.Sort(wanted)
	want(t, f.walk(t, listings()[2], 1), wanted)
	want(t, f.walk(t, listings()[2], 4), wanted)
}

// walk returns all keys of l, page by page.
func (f *fixture) walk(t *testing.T, l listing, limit int) []string {
	t.Helper()
	seen := []string{}
	page := repository.Page{Limit: limit}
	for {
		got, err := l.keys(f, page)
		must(t, err)
		if len(got) > limit {
			t.Fatalf("a page of %d has %d", limit, len(got))
		}
		if len(got) == 0 {
			return seen
		}
		seen = append(seen, got...)
		page.After = got[len(got)-1]
	}
}

func pageWalk(t *testing.T, f *fixture) {
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("-%02d", i))
		f.putRow(t, names[i])
	}
	for _, l := range listings() {
		wanted := keys(names, l.keyOf)
		for _, limit := range []int{1, 2, 3, 5, 11, 12, 13, 1000} {
			want(t, f.walk(t, l, limit), wanted)
		}
	}
}

// pageLarge fills the lists of grants and tokens with more than goes on a page.
func pageLarge(t *testing.T, f *fixture) {
	data := bytes.Repeat([]byte{'d'}, domain.MaxData)
	c, family := aClient(""), aGrant("", aClient(""))
	f.put(t, c, family)
	const n = repository.MaxPageBytes/domain.MaxData + 4
	for i := range n {
		g, token := aGrant(fmt.Sprintf("-%02d", i), c), anAccess(fmt.Sprint(i), family)
		g.Data, token.Data = data, data
		f.put(t, g, token)
	}
	const most = repository.MaxPageBytes + domain.MaxData
	page := repository.Page{Limit: repository.MaxPageLimit}
	grants, err := f.Grants().List(f.ctx, repository.GrantFilter{}, page)
	must(t, err)
	wantBelow(t, grants, most, func(g domain.Grant) int { return len(g.Data) })
	tokens, err := f.Tokens().List(f.ctx, repository.TokenFilter{}, page)
	must(t, err)
	wantBelow(t, tokens, most, func(token domain.Token) int { return len(token.Data) })
	for i, l := range listings()[1:] {
		wantCount(t, len(f.walk(t, l, page.Limit)), nil, n+1-i)
	}
}

// wantBelow wants entities that have data, and at most so many bytes of it.
func wantBelow[E any](t *testing.T, entities []E, most int, size func(E) int) {
	t.Helper()
	sum := 0
	for _, entity := range entities {
		sum += size(entity)
	}
	if sum == 0 || sum > most {
		t.Errorf("a page has %d bytes of data, not 1 to %d", sum, most)
	}
}

func pageComeAndGo(t *testing.T, f *fixture) {
	for i := range 30 {
		f.putRow(t, fmt.Sprintf("-%02d", i))
	}
	for round, l := range listings() {
		var seen []string
		page := repository.Page{Limit: 3}
		for turn := 0; ; turn++ {
			got, err := l.keys(f, page)
			must(t, err)
			if len(got) == 0 {
				break
			}
			seen = append(seen, got...)
			page.After = got[len(got)-1]
			f.comeAndGo(t, round, turn)
		}
		l.wantEvenOnce(t, seen)
	}
}

// comeAndGo removes an odd row and adds one before, one behind and one past all others.
func (f *fixture) comeAndGo(t *testing.T, round, turn int) {
	t.Helper()
	if odd := round*10 + turn*2 + 1; odd < 30 {
		_ = f.Clients().Delete(f.ctx, fmt.Sprintf("%s-%02d", canary, odd))
	}
	if turn < 9 {
		f.putRow(t, fmt.Sprintf("-%02d+%d", turn, round))
		f.putRow(t, fmt.Sprintf("-%02d+%d", 29-turn, round))
		f.putRow(t, fmt.Sprintf("-9%d+%d", turn, round))
	}
}

// wantEvenOnce checks that seen is in order and has each even row once, which comeAndGo leaves alone.
func (l listing) wantEvenOnce(t *testing.T, seen []string) {
	t.Helper()
	if !slices.IsSorted(seen) || len(slices.Compact(slices.Clone(seen))) != len(seen) {
		t.Errorf("the walk over %s is not in order, each key once", l.name)
	}
	for i := 0; i < 30; i += 2 {
		if key := l.keyOf(fmt.Sprintf("-%02d", i)); !slices.Contains(seen, key) {
			t.Errorf("the walk over %s missed row %d", l.name, i)
		}
	}
}

func pageLimits(t *testing.T, f *fixture) {
	must(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
		for i := range repository.MaxPageLimit + 1 {
			c, g, token := row(fmt.Sprintf("-%04d", i))
			if err := put(f.ctx, tx, c, g, token); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, l := range listings() {
		for limit, wanted := range map[int]int{0: repository.DefaultPageLimit, 1: 1, 999: 999, 1000: 1000} {
			got, err := l.keys(f, repository.Page{Limit: limit})
			wantCount(t, len(got), err, wanted)
		}
		want(t, len(f.walk(t, l, repository.MaxPageLimit)), repository.MaxPageLimit+1)
	}
}

func pageBadLimits(t *testing.T, f *fixture) {
	f.putRow(t, "-row")
	for _, l := range listings() {
		for _, limit := range []int{-1, repository.MaxPageLimit + 1, -1000, 1 << 20} {
			got, err := l.keys(f, repository.Page{Limit: limit})
			wantError(t, err, repository.ErrInvalid)
			want(t, len(got), 0)
		}
	}
}

func pageCursor(t *testing.T, f *fixture) {
	f.putRow(t, "-b")
	f.putRow(t, "-d")
	for _, l := range listings() {
		for name, wanted := range map[string][]string{
			"-a": {l.keyOf("-b"), l.keyOf("-d")},
			"-b": {l.keyOf("-d")},
			"-c": {l.keyOf("-d")},
			"-d": {},
			"-e": {},
		} {
			got, err := l.keys(f, repository.Page{After: l.keyOf(name)})
			must(t, err)
			want(t, got, wanted)
		}
	}
}

func pageBadCursor(t *testing.T, f *fixture) {
	d := domain.DigestOf(canary).Hex()
	for _, cursor := range []string{canary, d[1:], d + "0", d[:63] + "g", " " + d[1:], d + d} {
		_, err := f.Tokens().List(f.ctx, repository.TokenFilter{}, repository.Page{After: cursor})
		wantError(t, err, repository.ErrInvalid)
	}
}

func pageBadFilter(t *testing.T, f *fixture) {
	_, err := f.Grants().List(f.ctx, repository.GrantFilter{State: -1}, repository.Page{})
	wantError(t, err, repository.ErrInvalid)
	_, err = f.Tokens().List(f.ctx, repository.TokenFilter{State: 3}, repository.Page{})
	wantError(t, err, repository.ErrInvalid)
	_, err = f.Tokens().List(f.ctx, repository.TokenFilter{Kind: canary}, repository.Page{})
	wantError(t, err, repository.ErrInvalid)
}

func pageFiltered(t *testing.T, f *fixture) {
	c := aClient("-client")
	f.put(t, c)
	for i := range 20 {
		g := aGrant(fmt.Sprintf("-%02d", i), c)
		if i%5 != 4 {
			g.ExpiresAt = start.Add(instant)
		}
		token := anAccess("", g)
		token.Digest = domain.Digest{0: 1, 1: byte(i)}
		token.ExpiresAt = g.ExpiresAt
		f.put(t, g, token)
	}
	f.clock.Advance(instant)
	grants, err := f.Grants().List(f.ctx, repository.GrantFilter{State: repository.Live}, repository.Page{Limit: 3})
	must(t, err)
	want(t, keys(grants, func(g domain.Grant) string { return g.ID[len(canary):] }), []string{"-04", "-09", "-14"})
	tokens, err := f.Tokens().List(f.ctx, repository.TokenFilter{State: repository.Live}, repository.Page{Limit: 3})
	must(t, err)
	want(t, keys(tokens, func(t domain.Token) string { return t.GrantID[len(canary):] }), []string{"-04", "-09", "-14"})
}
