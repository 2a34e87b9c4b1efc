package pages_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
	"github.com/oauthstore/oauthstore/examples/webapp/pages"
)

func TestActivityForgetsAfterAnHour(t *testing.T) {
	c := &clock{now: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)}
	a := pages.NewActivity(c.Now)
	a.Observe(authserver.CodeIssued)
	a.Observe(authserver.TokensIssued)
	c.move(59 * time.Minute)
	a.Observe(authserver.Refused)
	hour := a.Hour()
	if len(hour) != 60 || hour[0].Codes != 1 || hour[0].Tokens != 1 || hour[59].Refused != 1 {
		t.Errorf("%+v", hour)
	}
	if want := time.Date(2026, 3, 14, 9, 26, 0, 0, time.UTC); !hour[0].Start.Equal(want) {
		t.Errorf("the hour begins at %v", hour[0].Start)
	}
	c.move(time.Minute)
	if hour = a.Hour(); hour[0].Codes != 0 || hour[58].Refused != 1 || hour[59] != (pages.Minute{Start: hour[59].Start}) {
		t.Errorf("a minute later: %+v", hour)
	}
	c.move(24 * time.Hour)
	for _, m := range a.Hour() {
		if m.Codes+m.Tokens+m.Refused > 0 {
			t.Errorf("a day later: %+v", m)
		}
	}
}

func TestActivityCountsEventsOfManyAtOnce(t *testing.T) {
	c := &clock{now: time.Unix(0, 0)}
	a := pages.NewActivity(c.Now)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			a.Observe(authserver.TokensIssued)
			a.Hour()
		})
	}
	wait.Wait()
	if got := a.Hour()[59].Tokens; got != 50 {
		t.Error("counted", got)
	}
}

func TestTheChartHasATableBesideIt(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn("olga", "aglo")
	if body := v.get("/operator").body; !strings.Contains(body, "Nothing yet.") {
		t.Error("an empty chart:", body)
	}
	s.observe(authserver.CodeIssued, 2)
	s.observe(authserver.TokensIssued, 4)
	s.clock.move(59 * time.Minute)
	s.observe(authserver.Refused, 1)
	body := v.get("/operator").body
	for _, want := range []string{
		`<title id="chart-title">`, `Codes: 2. Token answers: 4. Refusals: 1. At most 4 in a minute.`, "this process",
		`<polyline class="codes" points="0,80 10,160 `, `<polyline class="tokens" points="0,0 10,160 `, `600,120 "/>`,
		`<summary>As a table</summary>`, `09:26 UTC</time></th><td class="number">2</td><td class="number">4</td><td class="number">0</td>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
}
