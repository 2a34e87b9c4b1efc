package memoryrepo

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

// agenda is a binary heap of what ends when, the earliest first. Nothing is taken out of it when a row
// goes away: whoever pops an entry looks whether it still holds.
type agenda []entry

type entry struct {
	at     int64 // microseconds since the Unix epoch
	digest domain.Digest
}

// push notes that something ends at end. The zero time stands for never.
func (a *agenda) push(end time.Time, digest domain.Digest) {
	if end.IsZero() {
		return
	}
	*a = append(*a, entry{end.UnixMicro(), digest})
	h := *a
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].at <= h[i].at {
			return
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

// sweep pops up to limit entries that have ended at now and for which drop returns true: it drops what
// has ended if the entry still holds. It returns how many these were.
func (a *agenda) sweep(now time.Time, limit int, drop func(domain.Digest) bool) (dropped int) {
	for dropped < limit {
		digest, ok := a.pop(now)
		if !ok {
			break
		}
		if drop(digest) {
			dropped++
		}
	}
	return dropped
}

// pop removes and returns the first entry that has ended at now.
func (a *agenda) pop(now time.Time) (domain.Digest, bool) {
	h := *a
	if len(h) == 0 || h[0].at > now.UnixMicro() {
		return domain.Digest{}, false
	}
	first, last := h[0], len(h)-1
	h[0] = h[last]
	*a = h[:last]
	a.sink()
	return first.digest, true
}

// sink moves the first entry to its place.
func (a *agenda) sink() {
	h := *a
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].at < h[child].at {
			child++
		}
		if h[i].at <= h[child].at {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// tidy drops the entries that do not hold any more, when they could be more than half of all.
func (a *agenda) tidy(rows int, holds func(entry) bool) {
	if len(*a) <= 2*rows+1024 {
		return
	}
	kept := slices.DeleteFunc(*a, func(e entry) bool { return !holds(e) })
	slices.SortFunc(kept, func(x, y entry) int { // sorted is a heap as well
		return cmp.Or(cmp.Compare(x.at, y.at), bytes.Compare(x.digest[:], y.digest[:]))
	})
	*a = slices.Clip(slices.Compact(kept))
}
