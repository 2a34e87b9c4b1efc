package memoryrepo

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// data holds the rows. A row is never changed, only replaced: who has found one under a lock may go on
// reading it without.
type data struct {
	clients map[string]*domain.Client
	grants  map[string]*domain.Grant
	codes   map[domain.Digest]*domain.AuthorizationCode
	tokens  map[domain.Digest]*domain.Token

	grantsOfClient  index[string]        // by Client.ID
	grantsOfSubject index[string]        // by Subject, but for the empty one
	codesOfGrant    index[domain.Digest] // by Grant.ID
	tokensOfGrant   index[domain.Digest]

	codeEnds, tokenEnds, replayEnds agenda

	remember bool     // a transaction runs
	undo     []func() // its changes, reversed
}

func newData() *data {
	return &data{
		clients:         map[string]*domain.Client{},
		grants:          map[string]*domain.Grant{},
		codes:           map[domain.Digest]*domain.AuthorizationCode{},
		tokens:          map[domain.Digest]*domain.Token{},
		grantsOfClient:  index[string]{},
		grantsOfSubject: index[string]{},
		codesOfGrant:    index[domain.Digest]{},
		tokensOfGrant:   index[domain.Digest]{},
	}
}

// The set methods store a row, or remove it where row is nil. They keep the indexes, and remember what
// was there before.

func (d *data) setClient(id string, row *domain.Client) {
	old := put(d.clients, id, row)
	if d.remember {
		d.undo = append(d.undo, func() { d.setClient(id, old) })
	}
}

func (d *data) setGrant(id string, row *domain.Grant) {
	old := put(d.grants, id, row)
	switch {
	case old == nil && row != nil:
		d.grantsOfClient.add(row.ClientID, id)
		d.grantsOfSubject.add(row.Subject, id)
	case old != nil && row == nil:
		d.grantsOfClient.remove(old.ClientID, id)
		d.grantsOfSubject.remove(old.Subject, id)
	}
	if d.remember {
		d.undo = append(d.undo, func() { d.setGrant(id, old) })
	}
}

func (d *data) setCode(digest domain.Digest, row *domain.AuthorizationCode) {
	old := put(d.codes, digest, row)
	switch {
	case old == nil && row != nil:
		d.codesOfGrant.add(row.GrantID, digest)
		d.codeEnds.push(row.ExpiresAt, digest)
		d.codeEnds.tidy(len(d.codes), func(e entry) bool { return d.codes[e.digest] != nil })
	case old != nil && row == nil:
		d.codesOfGrant.remove(old.GrantID, digest)
	}
	if d.remember {
		d.undo = append(d.undo, func() { d.setCode(digest, old) })
	}
}

func (d *data) setToken(digest domain.Digest, row *domain.Token) {
	old := put(d.tokens, digest, row)
	switch {
	case old == nil && row != nil:
		d.tokensOfGrant.add(row.GrantID, digest)
		d.tokenEnds.push(row.ExpiresAt, digest)
		d.tokenEnds.tidy(len(d.tokens), func(e entry) bool { return d.tokens[e.digest] != nil })
	case old != nil && row == nil:
		d.tokensOfGrant.remove(old.GrantID, digest)
	}
	d.noteReplay(digest, old, row)
	if d.remember {
		d.undo = append(d.undo, func() { d.setToken(digest, old) })
	}
}

func (d *data) noteReplay(digest domain.Digest, old, row *domain.Token) {
	if row == nil || old != nil && old.Replay.ExpiresAt.Equal(row.Replay.ExpiresAt) {
		return
	}
	d.replayEnds.push(row.Replay.ExpiresAt, digest)
	d.replayEnds.tidy(len(d.tokens), func(e entry) bool {
		t := d.tokens[e.digest]
		return t != nil && t.Replay.ExpiresAt.UnixMicro() == e.at
	})
}

// dropClient removes the client and all that belongs to it.
func (d *data) dropClient(id string) {
	for grant := range d.grantsOfClient[id] {
		d.dropGrant(grant)
	}
	d.setClient(id, nil)
}

// dropGrant removes the grant with its codes and tokens.
func (d *data) dropGrant(id string) {
	for digest := range d.codesOfGrant[id] {
		d.setCode(digest, nil)
	}
	for digest := range d.tokensOfGrant[id] {
		d.setToken(digest, nil)
	}
	d.setGrant(id, nil)
}

// settle ends the transaction: it forgets how to undo what was changed, or undoes it.
func (d *data) settle(commit bool) {
	d.remember = false
	if !commit {
		for _, undo := range slices.Backward(d.undo) {
			undo()
		}
	}
	d.undo = nil
}

func (d *data) stats(now time.Time) repository.Stats {
	s := repository.Stats{Clients: int64(len(d.clients))}
	for g := range maps.Values(d.grants) {
		count(&s.Grants, g.Live(now))
	}
	for c := range maps.Values(d.codes) {
		count(&s.AuthorizationCodes, c.Live(now))
	}
	for t := range maps.Values(d.tokens) {
		if t.Kind == domain.AccessToken {
			count(&s.AccessTokens, t.Live(now))
		} else {
			count(&s.RefreshTokens, t.Live(now))
		}
	}
	return s
}

func count(c *repository.Count, live bool) {
	c.Total++
	if live {
		c.Live++
	}
}

// put sets or, where row is nil, deletes, and returns what was there.
func put[K comparable, V any](rows map[K]*V, key K, row *V) *V {
	old := rows[key]
	if row == nil {
		delete(rows, key)
	} else {
		rows[key] = row
	}
	return old
}

// index holds sets of keys under a name. An empty name is not indexed: no filter asks for it.
type index[K comparable] map[string]map[K]struct{}

func (i index[K]) add(name string, key K) {
	if name == "" {
		return
	}
	if i[name] == nil {
		i[name] = map[K]struct{}{}
	}
	i[name][key] = struct{}{}
}

func (i index[K]) remove(name string, key K) {
	delete(i[name], key)
	if len(i[name]) == 0 {
		delete(i, name)
	}
}

// pick yields the rows of an index entry.
func pick[K comparable, V any](rows map[K]*V, keys map[K]struct{}) iter.Seq[*V] {
	return func(yield func(*V) bool) {
		for key := range keys {
			if !yield(rows[key]) {
				return
			}
		}
	}
}

// firstOf returns the first n rows, sorted.
func firstOf[V any](n int, rows iter.Seq[*V], compare func(a, b *V) int) []*V {
	var kept []*V
	full := false
	for row := range rows {
		if full && compare(row, kept[n-1]) > 0 {
			continue
		}
		kept = append(kept, row)
		if len(kept) == 2*n {
			slices.SortFunc(kept, compare)
			kept, full = kept[:n], true
		}
	}
	slices.SortFunc(kept, compare)
	return kept[:min(n, len(kept))]
}

// clones returns deep copies of rows, as many as go on a page. size is how many bytes a copy takes
// beside its strings, which are shared.
func clones[V interface{ Clone() V }](rows []*V, size func(row *V) int) []V {
	out, bytes := make([]V, 0, len(rows)), 0
	for _, row := range rows {
		if bytes > repository.MaxPageBytes {
			break
		}
		out, bytes = append(out, (*row).Clone()), bytes+size(row)
	}
	return out
}
