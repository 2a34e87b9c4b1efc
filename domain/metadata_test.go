package domain_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
)

type jsonText = json.RawMessage

func TestMetadataKeepsUnknownMembersAndTellsNilFromEmpty(t *testing.T) {
	const in = `{
		"redirect_uris": ["https://app.example/cb?a=1&b=<2>"],
		"grant_types": [], "contacts": null, "client_name": "Ünïcode <app> & co",
		"client_name#ja": "アプリ", "Client_Name": "another member", "jwks": {"keys": [ ]},
		"nested": {"b": 1, "a": ["<", 1e400]}, "big": 12345678901234567890
	}`
	var m domain.ClientMetadata
	if err := json.Unmarshal([]byte(in), &m); err != nil {
		t.Fatal(err)
	}
	if m.GrantTypes == nil || len(m.GrantTypes) != 0 || m.Contacts != nil {
		t.Errorf("grant_types %#v, contacts %#v", m.GrantTypes, m.Contacts)
	}
	if m.ClientName != "Ünïcode <app> & co" || len(m.Extra) != 4 || string(m.JWKS) != `{"keys":[]}` {
		t.Errorf("%+v", m)
	}
	out, err := m.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"redirect_uris":["https://app.example/cb?a=1&b=<2>"],"grant_types":[],"client_name":"Ünïcode <app> & co",` +
		`"jwks":{"keys":[]},"Client_Name":"another member","big":12345678901234567890,"client_name#ja":"アプリ","nested":{"b":1,"a":["<",1e400]}}`
	if string(out) != want {
		t.Errorf("got  %s\nwant %s", out, want)
	}
}

func TestMetadataOfTheWrongTypeIsAnErrorThatNamesTheMember(t *testing.T) {
	for in, member := range map[string]string{
		`{"redirect_uris": "https://app.example"}`: "redirect_uris",
		`{"client_name": 7}`:                       "client_name",
		`{"contacts": [7]}`:                        "contacts",
		`[]`:                                       "not a JSON object",
		`7`:                                        "not a JSON object",
	} {
		m := domain.ClientMetadata{ClientName: "as before"}
		err := json.Unmarshal([]byte(in), &m)
		if err == nil || !strings.Contains(err.Error(), member) {
			t.Errorf("%s: %v", in, err)
		}
		if m.ClientName != "as before" {
			t.Errorf("%s changed what was there", in)
		}
	}
}

// FuzzClientMetadata: what decodes and is valid comes back the same from its own encoding.
func FuzzClientMetadata(f *testing.F) {
	f.Add([]byte(`{"redirect_uris":["https://a.example/"],"client_name":"x","x":[1,{"y":null}]}`))
	f.Add([]byte(`{"jwks":{"keys":[]},"scope":"a b","contacts":[],"client_name#fr":"é"}`))
	f.Add([]byte(`{"client_name":"\ud800","":1}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var m domain.ClientMetadata
		if json.Unmarshal(in, &m) != nil || m.Validate() != nil {
			return
		}
		out, err := m.MarshalJSON()
		if err != nil {
			t.Fatalf("a valid one does not encode: %v", err)
		}
		var again domain.ClientMetadata
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("%#v came back as %#v", m, again)
		}
	})
}

func TestMetadataIsNestedNoDeeperThanItCanBeRead(t *testing.T) {
	for depth, valid := range map[int]bool{9_999: true, 10_000: false} { // encoding/json reads 10,000, one of which is around it
		deep := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		m := domain.ClientMetadata{Extra: map[string]jsonText{"x": []byte(deep)}}
		if err := m.Validate(); (err == nil) != valid {
			t.Errorf("%d deep: %v", depth, err)
		}
		text, err := m.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var read domain.ClientMetadata
		if err := read.UnmarshalJSON(text); (err == nil) != valid {
			t.Errorf("%d deep: read with %v", depth, err)
		}
	}
}
