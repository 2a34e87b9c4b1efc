package domain_test

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

func TestTextIsUTF8WithoutNUL(t *testing.T) {
	for text, want := range map[string]bool{
		"":                  true,
		"ada":               true,
		"späť 語 \U0010FFFF": true,
		"\t\n\x01\x7f":      true,
		"\uFFFD":            true,
		"\x00":              false,
		"ada\x00":           false,
		"\xff":              false,
		"ada\xc3":           false,
		"\xc0\x80":          false, // NUL, overlong
		"\xed\xa0\x80":      false, // half of a surrogate pair
	} {
		if domain.ValidText(text) != want {
			t.Errorf("%q is not %v", text, want)
		}
		err := domain.Grant{ID: "g", ClientID: "c", Subject: text}.Validate()
		if (err == nil) != want {
			t.Errorf("%q as a subject: %v", text, err)
		}
	}
}

func TestAMicrosecondIsRoundedDownBeforeAndAfterTheEpoch(t *testing.T) {
	zone := time.FixedZone("", -5*3600)
	for _, tt := range []struct {
		name     string
		in, want time.Time
	}{
		{"zero", time.Time{}, time.Time{}},
		{"whole", time.Unix(5, 1000), time.Unix(5, 1000)},
		{"a nanosecond more", time.Unix(5, 1001), time.Unix(5, 1000)},
		{"a nanosecond less", time.Unix(5, 999), time.Unix(5, 0)},
		{"just before the epoch", time.Unix(0, -1), time.Unix(0, -1000)},
		{"whole, before the epoch", time.Unix(0, -1000), time.Unix(0, -1000)},
		{"the first microsecond of all", time.Time{}.Add(999), time.Time{}},
		{"the last one", time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)},
		{"elsewhere", now.Add(7).In(zone), now},
	} {
		if got := domain.Microsecond(tt.in); got != tt.want.UTC() {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if got := domain.Microsecond(time.Now()); got != got.Round(0) {
		t.Error("a reading of the monotonic clock is left")
	}
}
