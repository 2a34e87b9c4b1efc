package authserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
)

// website serves a metadata document, of which %s is the URL.
type website struct {
	*httptest.Server
	fetched  atomic.Int64
	document atomic.Value // string
	header   http.Header
	status   int
}

func newWebsite(t *testing.T, document string) *website {
	t.Helper()
	w := &website{header: http.Header{"Content-Type": {"application/json"}}, status: http.StatusOK}
	w.document.Store(document)
	w.Server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.fetched.Add(1)
		for name, values := range w.header {
			rw.Header()[name] = values
		}
		rw.WriteHeader(w.status)
		fmt.Fprint(rw, strings.ReplaceAll(w.document.Load().(string), "%s", "https://"+r.Host+r.URL.Path))
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *website) id() string { return w.URL + "/client.json" }

const goodDocument = `{"client_id":"%s","client_name":"Doc","redirect_uris":["` + redirect + `"],` +
	`"grant_types":["authorization_code","refresh_token"]}`

func (f *fixture) authorizeDocument(w *website) answer {
	f.t.Helper()
	form := asking(domain.Client{ID: w.id()})
	form.Set("decision", "allow")
	return f.do(postForm("/authorize", form))
}

func TestAMetadataDocumentIsAClientThatIsFetchedAgainWhenItIsStale(t *testing.T) {
	f, w := newFixture(t), newWebsite(t, goodDocument)
	w.header.Set("Cache-Control", "public, max-age=600")
	f.serve(w.Client())
	code := f.authorizeDocument(w).location().Get("code")
	form := f.exchanging(code)
	form.Set("client_id", w.id())
	if got := f.do(postForm("/token", form)); got.text("refresh_token") == "" {
		t.Fatal(got, got.body)
	}
	f.move(599 * time.Second)
	f.authorizeDocument(w)
	if n := w.fetched.Load(); n != 1 {
		t.Errorf("a fresh document was fetched %d times", n)
	}
	f.move(time.Second)
	w.document.Store(strings.ReplaceAll(goodDocument, "Doc", "Renamed"))
	f.authorizeDocument(w)
	client, err := f.store.Clients().Get(t.Context(), w.id())
	if err != nil || client.Metadata.ClientName != "Renamed" || client.Kind != domain.MetadataDocument || w.fetched.Load() != 2 {
		t.Errorf("%+v %v, fetched %d times", client, err, w.fetched.Load())
	}
}

func TestADocumentThatNamesOtherRedirectsIsObeyed(t *testing.T) {
	f, w := newFixture(t), newWebsite(t, strings.ReplaceAll(goodDocument, redirect, "https://other.example/cb"))
	f.serve(w.Client())
	if got := f.authorizeDocument(w); got.String() != "400 page" {
		t.Error(got)
	}
}

func TestABadMetadataDocumentIsRefusedAndStoresNothing(t *testing.T) {
	for name, change := range map[string]func(w *website){
		"not found":    func(w *website) { w.status = http.StatusNotFound },
		"not modified": func(w *website) { w.status = http.StatusNotModified },
		"a redirect":   func(w *website) { w.status = http.StatusFound; w.header.Set("Location", "https://other.example/") },
		"HTML":         func(w *website) { w.header.Set("Content-Type", "text/html") },
		"not JSON":     func(w *website) { w.document.Store("{") },
		"too large":    func(w *website) { w.document.Store(goodDocument + strings.Repeat(" ", 20_000)) },
		"no client_id": func(w *website) { w.document.Store(`{"client_name":"D","redirect_uris":["` + redirect + `"]}`) },
		"another's": func(w *website) {
			w.document.Store(strings.ReplaceAll(goodDocument, "%s", "https://other.example/doc"))
		},
		"a slash more": func(w *website) { w.document.Store(strings.ReplaceAll(goodDocument, "%s", "%s/")) },
		"no name":      func(w *website) { w.document.Store(strings.ReplaceAll(goodDocument, "Doc", "")) },
		"a secret":     func(w *website) { w.document.Store(strings.Replace(goodDocument, "{", `{"client_secret":"x",`, 1)) },
		"secret method": func(w *website) {
			w.document.Store(strings.Replace(goodDocument, "{", `{"token_endpoint_auth_method":"client_secret_post",`, 1))
		},
		"javascript":   func(w *website) { w.document.Store(strings.ReplaceAll(goodDocument, redirect, "javascript:x")) },
		"no redirects": func(w *website) { w.document.Store(`{"client_id":"%s","client_name":"D"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			f, w := newFixture(t), newWebsite(t, goodDocument)
			f.serve(w.Client())
			change(w)
			before := f.everything(t)
			f.wantRefused(t, f.authorizeDocument(w), "400 page")
			f.wantUnchanged(t, before)
			if w.fetched.Load() == 0 {
				t.Error("it was not even fetched")
			}
		})
	}
}

func TestTheDocumentClientConnectsToPublicAddressesAlone(t *testing.T) {
	w := newWebsite(t, goodDocument)
	_, port, _ := strings.Cut(strings.TrimPrefix(w.URL, "https://"), ":")
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "10.1.2.3", "172.16.0.1", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "[fe80::1]", "[fc00::1]", "224.0.0.1", "255.255.255.255", "[64:ff9b::7f00:1]", "198.18.0.1",
	} {
		u := url.URL{Scheme: "https", Host: host + ":" + port, Path: "/client.json"}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := authserver.NewDocumentClient().Do(request)
		if err == nil {
			_ = answer.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "not public") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := w.fetched.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}
