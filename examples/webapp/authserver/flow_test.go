package authserver_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
	"github.com/oauthstore/oauthstore/repository"
)

func TestAnIssuerIsAnOriginWithHTTPSUnlessItIsLoopback(t *testing.T) {
	for issuer, good := range map[string]bool{
		"https://as.example": true, "https://as.example:8443": true, "http://127.0.0.1:8080": true, "http://localhost:1": true, "http://[::1]:1": true,
		"": false, "as.example": false, "http://as.example": false, "https://as.example/": false, "https://as.example/tenant": false,
		"https://as.example?x": false, "https://as.example#x": false, "https://u@as.example": false, "ftp://as.example": false,
		"http://127.0.0.1.evil.example": false,
	} {
		if _, err := authserver.New(authserver.Options{Issuer: issuer}); (err == nil) != good {
			t.Errorf("%q: %v", issuer, err)
		}
	}
}

func TestTheMetadataNamesTheEndpointsThatAnswer(t *testing.T) {
	f := newFixture(t)
	got := f.do(get("/.well-known/oauth-authorization-server", nil))
	if got.text("issuer") != issuer {
		t.Error(got.body)
	}
	for _, member := range []string{"token_endpoint", "registration_endpoint", "revocation_endpoint", "introspection_endpoint"} {
		path, ok := strings.CutPrefix(got.text(member), issuer)
		if answer := f.do(postForm(path, nil)); !ok || answer.status == http.StatusNotFound {
			t.Errorf("%s is %s, which answers %s", member, got.text(member), answer)
		}
	}
}

func TestACodeGivesTokensForWhatWasApproved(t *testing.T) {
	f := newFixture(t)
	asked := f.do(get("/authorize", asking(f.public)))
	if want := "consent " + f.public.ID + " " + redirect + " alice [profile] [" + resource + "]"; asked.body != want {
		t.Errorf("asked %q, want %q", asked.body, want)
	}
	got := f.tokens()
	if got.text("token_type") != "Bearer" || got.text("scope") != "profile" || !strings.Contains(got.body, `"expires_in":3600`) {
		t.Error(got.body)
	}
	token, err := f.store.Tokens().Get(t.Context(), domain.DigestOf(got.text("access_token")))
	if err != nil || token.Subject != "alice" || token.ClientID != f.public.ID || !slices.Equal(token.Resources, []string{resource}) {
		t.Errorf("%+v %v", token, err)
	}
}

func TestTheAnswerOfAuthorizeHasStateAndIssuerAndWhatWasRegistered(t *testing.T) {
	f := newFixture(t)
	client := f.register(`{"redirect_uris":["https://app.example/cb?keep=a%20b"],"token_endpoint_auth_method":"none"}`)
	form := asking(client)
	form.Del("redirect_uri") // the only one is meant
	form.Set("decision", "allow")
	to := f.do(postForm("/authorize", form)).header.Get("Location")
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, "https://app.example/cb?keep=a%20b&") {
		t.Fatal(to, err)
	}
	if u.Query().Get("iss") != issuer || u.Query().Get("state") != "xyz" || u.Query().Get("code") == "" {
		t.Error(to)
	}
}

func TestACodeIsRedeemedOnceAndAReplayEndsTheGrant(t *testing.T) {
	f := newFixture(t)
	code := f.code(f.public)
	var mu sync.Mutex
	count := make(map[string]int)
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			got := f.do(postForm("/token", f.exchanging(code))).String()
			mu.Lock()
			count[got]++
			mu.Unlock()
		})
	}
	wait.Wait()
	if count["200 ok"] != 1 || count["400 invalid_grant"] != 19 {
		t.Error(count)
	}
	grants, err := f.store.Grants().List(t.Context(), repository.GrantFilter{ClientID: f.public.ID}, repository.Page{})
	if err != nil || len(grants) != 1 || grants[0].RevokedReason != domain.CodeReplayed {
		t.Errorf("%+v %v", grants, err)
	}
	f.warned("code", grants)
}

// warned checks that the log has the grant whose code or token came back.
func (f *fixture) warned(what string, grants []domain.Grant) {
	f.t.Helper()
	want := `level=WARN msg="grant revoked: its ` + what + ` was used again" client=` + f.public.ID + " grant=" + grants[0].ID
	if !strings.Contains(f.log.String(), want) {
		f.t.Errorf("the log lacks %s", want)
	}
}

func TestARefreshRotatesAndRepeatsWithinTheGracePeriodAlone(t *testing.T) {
	f := newFixture(t)
	old := f.tokens().text("refresh_token")
	first := f.do(postForm("/token", f.refreshing(old)))
	f.move(time.Minute)
	again := f.do(postForm("/token", f.refreshing(old)))
	for _, member := range []string{"access_token", "refresh_token"} {
		if first.text(member) == "" || first.text(member) != again.text(member) || first.text(member) == old {
			t.Errorf("%s: %s and then %s", member, first.body, again.body)
		}
	}
	if !strings.Contains(again.body, `"expires_in":3540`) {
		t.Error("a minute later,", again.body)
	}
	f.move(10 * time.Minute)
	if got := f.do(postForm("/token", f.refreshing(old))); got.String() != "400 invalid_grant" {
		t.Error("a stale one:", got)
	}
	if got := f.do(postForm("/token", f.refreshing(first.text("refresh_token")))); got.String() != "400 invalid_grant" {
		t.Error("the family lives on:", got)
	}
	grants, err := f.store.Grants().List(t.Context(), repository.GrantFilter{ClientID: f.public.ID}, repository.Page{})
	if err != nil || grants[0].RevokedReason != domain.RefreshTokenReused {
		t.Errorf("%+v %v", grants, err)
	}
	f.warned("refresh token", grants)
}

func TestARefreshMayNarrowTheScopeOfItsAccessTokenAlone(t *testing.T) {
	f := newFixture(t)
	form := asking(f.public)
	form.Set("scope", "profile notes")
	form.Set("decision", "allow")
	code := f.do(postForm("/authorize", form)).location().Get("code")
	all := f.do(postForm("/token", f.exchanging(code)))
	narrow := f.refreshing(all.text("refresh_token"))
	narrow.Set("scope", "notes")
	narrowed := f.do(postForm("/token", narrow))
	if all.text("scope") != "profile notes" || narrowed.text("scope") != "notes" {
		t.Errorf("%s then %s", all.body, narrowed.body)
	}
	if back := f.do(postForm("/token", f.refreshing(narrowed.text("refresh_token")))); back.text("scope") != "profile notes" {
		t.Error("the grant was narrowed:", back.body)
	}
}

func TestAClientWithoutTheRefreshGrantTypeGetsNoRefreshToken(t *testing.T) {
	f := newFixture(t)
	client := f.register(`{"redirect_uris":["` + redirect + `"],"token_endpoint_auth_method":"none"}`)
	form := f.exchanging(f.code(client))
	form.Set("client_id", client.ID)
	got := f.do(postForm("/token", form))
	if got.status != http.StatusOK || got.text("refresh_token") != "" {
		t.Error(got.body)
	}
	form = f.refreshing("x")
	form.Set("client_id", client.ID)
	if got := f.do(postForm("/token", form)); got.String() != "400 unauthorized_client" {
		t.Error(got)
	}
}

func TestRevocationEndsAnAccessTokenAloneAndARefreshTokenWithItsGrant(t *testing.T) {
	f := newFixture(t)
	tokens := f.tokens()
	live := func(name string) bool {
		_, err := f.store.Tokens().Get(t.Context(), domain.DigestOf(tokens.text(name)))
		return err == nil
	}
	revoke := func(client domain.Client, name string) {
		t.Helper()
		got := f.do(postForm("/revoke", url.Values{"client_id": {client.ID}, "token": {tokens.text(name)}}))
		if got.status != http.StatusOK || got.body != "" {
			t.Error(got, got.body)
		}
	}
	other := f.register(`{"redirect_uris":["` + redirect + `"],"token_endpoint_auth_method":"none"}`)
	revoke(other, "refresh_token")
	if !live("access_token") || !live("refresh_token") {
		t.Error("another client revoked it")
	}
	revoke(f.public, "access_token")
	if live("access_token") || !live("refresh_token") {
		t.Error("the access token, and not the refresh token, should have ended")
	}
	revoke(f.public, "refresh_token")
	if live("refresh_token") {
		t.Error("the refresh token lives")
	}
}

func TestARegistrationAnswersWhatWasRegisteredAndStoresNoSecret(t *testing.T) {
	f := newFixture(t)
	got := f.do(post("/register", "application/json", `{"redirect_uris":["cursor://auth/callback","https://a.example/cb"],"client_name":"A",`+
		`"client_id":"mine","client_secret":"mine","grant_types":["authorization_code","implicit"],"x_custom":[1,{"y":"<&>"}]}`))
	if got.status != http.StatusCreated || got.text("client_id") == "mine" || len(got.text("client_secret")) < 40 {
		t.Fatal(got.body)
	}
	if !strings.Contains(got.body, `"grant_types":["authorization_code"]`) || !strings.Contains(got.body, `"x_custom":[1,{"y":`) {
		t.Error(got.body)
	}
	client, err := f.store.Clients().Get(t.Context(), got.text("client_id"))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(client)
	if err != nil || strings.Contains(string(stored), `"mine"`) || strings.Contains(string(stored), got.text("client_secret")) {
		t.Errorf("stored %s %v", stored, err)
	}
}

func TestAStoreThatCannotAnswerIsNotTheClientsFault(t *testing.T) {
	f := newFixture(t)
	form := f.exchanging(f.code(f.public))
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	if got := f.do(postForm("/token", form)); got.String() != "503 temporarily_unavailable" || got.header.Get("Retry-After") == "" {
		t.Error(got)
	}
	if got := f.do(get("/authorize", asking(f.public))); got.String() != "503 page" {
		t.Error(got)
	}
}

func TestTheLogSaysNothingSecretAndTheEventsAreCounted(t *testing.T) {
	f := newFixture(t)
	code := f.code(f.public)
	tokens := f.do(postForm("/token", f.exchanging(code)))
	again := f.do(postForm("/token", f.refreshing(tokens.text("refresh_token"))))
	f.do(postForm("/token", f.exchanging(code)))
	f.do(postForm("/token", f.refreshing(tokens.text("refresh_token"))))
	log := f.log.String()
	for _, secret := range []string{
		code, verifier, f.secret, tokens.text("access_token"), tokens.text("refresh_token"), again.text("access_token"),
		again.text("refresh_token"), domain.DigestOf(code).Hex(),
	} {
		if strings.Contains(log, secret) {
			t.Error("the log has", secret)
		}
	}
	want := map[authserver.Event]int{authserver.CodeIssued: 1, authserver.TokensIssued: 2, authserver.Refused: 2}
	for event, n := range want {
		if f.events[event] != n {
			t.Errorf("event %d was counted %d times, want %d", event, f.events[event], n)
		}
	}
}

func TestProgramsInABrowserMayCallWhatReadsNoCookie(t *testing.T) {
	f := newFixture(t)
	for path, allowed := range map[string]bool{"/token": true, "/register": true, "/revoke": true, "/introspect": true, "/authorize": false} {
		r := postForm(path, nil)
		r.Method = http.MethodOptions
		r.Header.Set("Origin", "https://inspector.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		got := f.do(r).header
		if (got.Get("Access-Control-Allow-Origin") == "*") != allowed || got.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", path, got)
		}
	}
}
