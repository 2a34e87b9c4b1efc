package pages_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func TestOnlyOperatorsOperate(t *testing.T) {
	s := newSite(t, nil)
	s.addClient("app", "Sample", domain.Dynamic)
	for name, tt := range map[string]struct {
		visitor *visitor
		status  int
	}{
		"nobody":      {s.visitor(), http.StatusSeeOther},
		"a user":      {s.signedIn("alice", "ecila"), http.StatusForbidden},
		"an operator": {s.signedIn("olga", "aglo"), http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/operator", "/operator/counts"} {
				if a := tt.visitor.get(path); a.status != tt.status || strings.Contains(a.body, "Live grants") != (tt.status == http.StatusOK) {
					t.Errorf("%s: %d %s", path, a.status, a.body)
				}
			}
			a := tt.visitor.post("/operator/delete", url.Values{"client": {"app"}})
			if a.status != tt.status {
				t.Error("deletion:", a.status)
			}
			nav := strings.Contains(tt.visitor.get("/apps").body, `href="/operator"`)
			if nav != (tt.status == http.StatusOK) {
				t.Error("the link to the page is there:", nav)
			}
		})
	}
	for _, v := range []*visitor{s.visitor(), s.signedIn("alice", "ecila")} {
		v.post("/operator/delete", url.Values{"client": {"app"}, "sure": {"yes"}})
	}
	if _, err := s.store.Clients().Get(t.Context(), "app"); err != nil {
		t.Error("somebody else deleted the client:", err)
	}
}

func TestOperatorShowsCounts(t *testing.T) {
	s := newSite(t, nil)
	s.addClient("app", "Sample", domain.Dynamic)
	for i := range 8 {
		s.addGrant(domain.Grant{ID: fmt.Sprint(i), ClientID: "app", Subject: "bob"})
	}
	s.revoke("3", domain.ByUser)
	v := s.signedIn("olga", "aglo") // a grant with a token too
	for _, path := range []string{"/operator", "/operator/counts"} {
		body := v.get(path).body
		for _, want := range []string{
			`<dt>Clients</dt><dd><b>2</b>`, `<dt>Live grants</dt><dd><b>8</b> <span class="small">of 9<`,
			`<dt>Live access tokens</dt><dd><b>8</b> <span class="small">of 9<`, `<dt>Live refresh tokens</dt><dd><b>0</b>`,
		} {
			if !strings.Contains(body, want) {
				t.Errorf("%s has no %s", path, want)
			}
		}
	}
	if body := v.get("/operator/counts").body; strings.Contains(body, "<html") || strings.Contains(body, "<table class") {
		t.Error("the counts are a whole page")
	}
}

const clientID = `name="client" value="([^"]*)"`

func TestClientsAreListedPageByPage(t *testing.T) {
	s := newSite(t, nil)
	var want []string
	for i := range 55 {
		id := fmt.Sprintf("c%02d&?", i)
		s.addClient(id, fmt.Sprint("Name ", i), domain.Dynamic)
		want = append(want, id)
	}
	v := s.signedIn("olga", "aglo")
	var got []string
	pages := 0
	for path := "/operator"; path != ""; pages++ {
		body := v.get(path).body
		got = append(got, found(body, clientID)...)
		path = next(body, `href="([^"]*)">Next page`)
	}
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("%d pages with %v", pages, got)
	}
}

func TestSearchFindsClientsByNameOrID(t *testing.T) {
	s := newSite(t, nil)
	for i := range 60 {
		s.addClient(fmt.Sprintf("id-%02d", i), fmt.Sprint("Sample ", i%3), domain.Dynamic)
	}
	s.addClient("https://app.example/client.json", "Überall", domain.MetadataDocument)
	v := s.signedIn("olga", "aglo")
	for query, want := range map[string]int{
		" sample 1 ": 20, //nolint:gocritic // spaces do not count
		"ID-07":      1, "über": 1, "APP.example": 1, "sample": 20, "%": 0, "_": 0, `"><script>`: 0, "website": 0,
	} {
		a := v.get("/operator?" + url.Values{"q": {query}}.Encode())
		if got := found(a.body, clientID); len(got) != want {
			t.Errorf("%q finds %v", query, got)
		}
		if more := next(a.body, `href="([^"]*)">Next page`) != ""; more != (query == "sample") {
			t.Errorf("%q has a next page: %t", query, more)
		}
	}
	if got := found(v.get("/operator?q=sample&after=id-39").body, clientID); len(got) != 20 || got[0] != "id-40" {
		t.Error("after a client there are", got)
	}
}

func TestSearchStopsAndGoesOn(t *testing.T) {
	s := newSite(t, nil)
	err := s.store.InTx(t.Context(), func(tx repository.Repositories) error {
		var errs []error
		for i := range 5_500 {
			errs = append(errs, tx.Clients().Create(t.Context(), domain.Client{ID: fmt.Sprintf("c%04d", i), Kind: domain.Dynamic}))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	v := s.signedIn("olga", "aglo")
	body := v.get("/operator?q=c5400").body
	if len(found(body, clientID)) != 0 || !strings.Contains(body, "among those looked through") {
		t.Error("the search did not stop")
	}
	onward := next(body, `href="([^"]*)">Search on`)
	if onward != "/operator?after=c4999&q=c5400" {
		t.Fatalf("the search goes on at %q", onward)
	}
	if got := found(v.get(onward).body, clientID); !slices.Equal(got, []string{"c5400"}) {
		t.Error("it finds", got)
	}
}

func TestDeletionAsksFirst(t *testing.T) {
	s := newSite(t, nil)
	s.addClient("app", "Sample", domain.Dynamic)
	s.addGrant(domain.Grant{ID: "g", ClientID: "app", Subject: "alice"})
	v := s.signedIn("olga", "aglo")
	a := v.post("/operator/delete", url.Values{"client": {"app"}})
	if a.status != http.StatusOK || !strings.Contains(a.body, "Everything of it goes with it") {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.revokedIs("g", "")
	a = v.post("/operator/delete", url.Values{"client": {"app"}, "sure": {"yes"}})
	if a.status != http.StatusSeeOther || !strings.Contains(v.get(a.location()).body, `role="status">The client was deleted`) {
		t.Errorf("%d %s", a.status, a.location())
	}
	if _, err := s.store.Tokens().Get(t.Context(), domain.DigestOf("g-token")); !errors.Is(err, repository.ErrNotFound) {
		t.Error("its token:", err)
	}
}

func TestSomeClientsAreNotDeleted(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn("olga", "aglo")
	for id, want := range map[string]int{
		"website": http.StatusForbidden, "unknown": http.StatusNotFound, "": http.StatusNotFound, "a\x00": http.StatusNotFound,
	} {
		if a := v.post("/operator/delete", url.Values{"client": {id}, "sure": {"yes"}}); a.status != want {
			t.Errorf("%q: %d, want %d", id, a.status, want)
		}
	}
	if a := v.get("/operator"); a.status != http.StatusOK {
		t.Error("the operator's session ended:", a.status)
	}
}
