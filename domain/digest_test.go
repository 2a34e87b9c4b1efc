package domain_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

func TestADigestIsSHA256(t *testing.T) {
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, "abc"
	if got := domain.DigestOf("abc").Hex(); got != want {
		t.Errorf("digest of abc is %s", got)
	}
	parsed, err := domain.ParseDigest(want)
	if err != nil || parsed != domain.DigestOf("abc") {
		t.Errorf("ParseDigest: %v", err)
	}
	for _, wrong := range []string{"", want[1:], want + "00", strings.Repeat("x", 64)} {
		if _, err := domain.ParseDigest(wrong); err == nil || wrong != "" && strings.Contains(err.Error(), wrong) {
			t.Errorf("ParseDigest(%q): %v", wrong, err)
		}
	}
}

func TestNoEncoderWritesAWholeDigest(t *testing.T) {
	d := domain.DigestOf("a token")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "d", d, "in", domain.Token{Digest: d})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "d", d, "in", domain.Token{Digest: d})
	asJSON, err := json.Marshal(domain.Token{Digest: d})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		fmt.Sprintf("%v %s %x %X %d %q %+v %#v", d, d, d, d, d, d, d, d),
		fmt.Sprintf("%v %+v %#v", domain.Token{Digest: d}, &domain.Token{Digest: d}, domain.Token{Digest: d}),
		log.String(), string(asJSON),
	} {
		if !strings.Contains(out, d.String()) {
			t.Errorf("without the short form: %s", out)
		}
		if strings.Contains(strings.ToLower(out), d.Hex()[:12]) || strings.Contains(out, fmt.Sprint(d[0], d[1], d[2])) {
			t.Errorf("with more than the short form: %s", out)
		}
	}
}

func TestSecretsAndIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		for _, s := range []string{domain.NewSecret(), domain.NewID()} {
			if seen[s] || len(s) < 26 || strings.ContainsAny(s, "+/= ") {
				t.Fatalf("%d characters, seen before: %v", len(s), seen[s])
			}
			seen[s] = true
		}
	}
	if len(domain.NewSecret()) != 43 {
		t.Error("a secret is not 256 bits")
	}
}

func TestIDsSortByTheTimeOfTheirCreation(t *testing.T) {
	last := ""
	for range 20 {
		before := time.Now().UnixMilli()
		id := domain.NewID()
		if id <= last {
			t.Fatalf("%s was made after %s", id, last)
		}
		for last = id; time.Now().UnixMilli() <= before; { // the next one has another millisecond
		}
	}
}
