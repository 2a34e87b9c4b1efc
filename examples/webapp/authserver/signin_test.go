package authserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
)

func TestWhoHasNotSignedInIsSentToSignInWhateverTheRequestIs(t *testing.T) {
	for name, tt := range map[string]struct {
		changes changes
		then    string // the answer once they have
	}{
		"good":                {nil, "200 ok"},
		"silent":              {changes{"prompt": {"none"}}, "200 ok"},
		"unknown client":      {changes{"client_id": {"nobody"}}, "401 page"},
		"no client":           {changes{"client_id": nil}, "400 page"},
		"other redirect":      {changes{"redirect_uri": {"https://evil.example/callback"}}, "400 page"},
		"no PKCE":             {changes{"code_challenge": nil}, "303 invalid_request"},
		"response_type token": {changes{"response_type": {"token"}}, "303 unsupported_response_type"},
		"a request object":    {changes{"request": {"eyJ"}}, "303 request_not_supported"},
		"unknown scope":       {changes{"scope": {"admin"}}, "303 invalid_scope"},
		"wrong resource":      {changes{"resource": {"https://other.example/"}}, "303 invalid_target"},
		"silent and bad":      {changes{"prompt": {"none"}, "scope": {"admin"}}, "303 invalid_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			before := f.everything(t)
			form := tt.changes.of(asking(f.public))
			decided := tt.changes.of(asking(f.public))
			for _, decision := range []string{"allow", "deny"} {
				decided.Set("decision", decision)
				for _, r := range []*http.Request{get("/authorize", form), postForm("/authorize", decided)} {
					f.user = ""
					back := f.wantSignIn(t, f.do(r))
					if back.Path != "/authorize" || back.Query().Encode() != form.Encode() {
						t.Errorf("%s leads back to %s", r.Method, back)
					}
					f.user = "alice"
					if got := f.do(get(back.Path, back.Query())); got.String() != tt.then {
						t.Errorf("%s, and then %s, want %s", r.Method, got, tt.then)
					}
				}
			}
			f.wantUnchanged(t, before)
		})
	}
}

func TestADocumentIsFetchedForWhoHasSignedInAlone(t *testing.T) {
	f, w := newFixture(t), newWebsite(t, goodDocument)
	f.serve(w.Client())
	f.user = ""
	before := f.everything(t)
	form := asking(domain.Client{ID: w.id()})
	back := f.wantSignIn(t, f.do(get("/authorize", form)))
	f.wantSignIn(t, f.authorizeDocument(w))
	if n := w.fetched.Load(); n != 0 {
		t.Errorf("it was fetched %d times before the sign-in", n)
	}
	f.wantUnchanged(t, before)
	f.user = "alice"
	got := f.do(get(back.Path, back.Query()))
	if !strings.HasPrefix(got.body, "consent "+w.id()) || w.fetched.Load() != 1 {
		t.Errorf("%s %s, fetched %d times", got, got.body, w.fetched.Load())
	}
}

// wantSignIn checks that an answer leads to the sign-in, and returns where that leads back to.
func (f *fixture) wantSignIn(t *testing.T, got answer) *url.URL {
	t.Helper()
	to := got.header.Get("Location")
	if got.status != http.StatusSeeOther || !strings.HasPrefix(to, "/sign-in?") {
		t.Fatalf("the answer is %s and leads to %q, not to the sign-in", got, to)
	}
	back, err := url.Parse(got.location().Get("next"))
	if err != nil {
		t.Fatal(err)
	}
	return back
}
