package pages

import (
	"sync"
	"time"

	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
)

// minutes is how far back Activity goes.
const minutes = 60

// Activity counts the events of the last hour, by the minute, in this process.
type Activity struct {
	now func() time.Time

	mu   sync.Mutex
	ring [minutes]Minute
}

// Minute is what happened in one minute.
type Minute struct {
	Start                  time.Time
	Codes, Tokens, Refused int
}

// NewActivity returns an Activity on that clock; nil is time.Now.
func NewActivity(now func() time.Time) *Activity {
	if now == nil {
		now = time.Now
	}
	return &Activity{now: now}
}

// Observe counts an event.
func (a *Activity) Observe(e authserver.Event) {
	start := a.now().UTC().Truncate(time.Minute)
	a.mu.Lock()
	defer a.mu.Unlock()
	slot := &a.ring[slotOf(start)]
	if !slot.Start.Equal(start) {
		*slot = Minute{Start: start}
	}
	switch e {
	case authserver.CodeIssued:
		slot.Codes++
	case authserver.TokensIssued:
		slot.Tokens++
	case authserver.Refused:
		slot.Refused++
	}
}

// Hour returns the last 60 minutes, the oldest first, with the one that has begun.
func (a *Activity) Hour() []Minute {
	last := a.now().UTC().Truncate(time.Minute)
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Minute, minutes)
	for i := range out {
		start := last.Add(time.Duration(i-minutes+1) * time.Minute)
		if out[i] = a.ring[slotOf(start)]; !out[i].Start.Equal(start) {
			out[i] = Minute{Start: start}
		}
	}
	return out
}

func slotOf(start time.Time) int64 { return ((start.Unix()/60)%minutes + minutes) % minutes }
