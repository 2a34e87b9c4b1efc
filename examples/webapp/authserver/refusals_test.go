package authserver_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// changes is what a bad request has in place of a good one: a parameter with one value, with several, or, for none,
// without it.
type changes map[string][]string

func (c changes) of(form url.Values) url.Values {
	for name, values := range c {
		delete(form, name)
		if len(values) > 0 {
			form[name] = values
		}
	}
	return form
}

var long = strings.Repeat("x", 70_000)

func TestABadAuthorizationRequestIsRefusedAndStoresNothing(t *testing.T) {
	tests := map[string]struct {
		changes changes
		want    string
	}{
		"no client_id":                        {changes{"client_id": nil}, "400 page"},
		"empty client_id":                     {changes{"client_id": {""}}, "400 page"},
		"unknown client":                      {changes{"client_id": {"nobody"}}, "401 page"},
		"client_id with NUL":                  {changes{"client_id": {"a\x00b"}}, "400 page"},
		"client_id in other letters":          {changes{"client_id": {"ünïcödé-客户"}}, "401 page"},
		"client_id not UTF-8":                 {changes{"client_id": {"\xff\xfe"}}, "400 page"},
		"client_id longer than any":           {changes{"client_id": {long}}, "401 page"},
		"client_id twice":                     {changes{"client_id": {"a", "b"}}, "400 page"},
		"client_id http document":             {changes{"client_id": {"http://client.example/doc"}}, "401 page"},
		"client_id document without path":     {changes{"client_id": {"https://client.example"}}, "401 page"},
		"client_id document with dots":        {changes{"client_id": {"https://client.example/a/../b"}}, "401 page"},
		"client_id document with fragment":    {changes{"client_id": {"https://client.example/a#b"}}, "401 page"},
		"client_id document with a user":      {changes{"client_id": {"https://u:p@client.example/a"}}, "401 page"},
		"client_id document on loopback":      {changes{"client_id": {"https://127.0.0.1/doc"}}, "400 page"},
		"client_id document on a private net": {changes{"client_id": {"https://10.0.0.1/doc"}}, "400 page"},
		"client_id document on link-local":    {changes{"client_id": {"https://169.254.169.254/latest"}}, "400 page"},
		"client_id document on mapped IPv6":   {changes{"client_id": {"https://[::ffff:127.0.0.1]/doc"}}, "400 page"},

		"redirect: other host":        {changes{"redirect_uri": {"https://evil.example/callback"}}, "400 page"},
		"redirect: other path":        {changes{"redirect_uri": {"http://127.0.0.1:7777/other"}}, "400 page"},
		"redirect: path below":        {changes{"redirect_uri": {redirect + "/x"}}, "400 page"},
		"redirect: slash at the end":  {changes{"redirect_uri": {redirect + "/"}}, "400 page"},
		"redirect: query added":       {changes{"redirect_uri": {redirect + "?a=b"}}, "400 page"},
		"redirect: fragment":          {changes{"redirect_uri": {redirect + "#f"}}, "400 page"},
		"redirect: user info":         {changes{"redirect_uri": {"http://evil@127.0.0.1:7777/callback"}}, "400 page"},
		"redirect: upper case":        {changes{"redirect_uri": {"http://127.0.0.1:7777/CALLBACK"}}, "400 page"},
		"redirect: https for http":    {changes{"redirect_uri": {"https://127.0.0.1:7777/callback"}}, "400 page"},
		"redirect: dots":              {changes{"redirect_uri": {"http://127.0.0.1:7777/x/../callback"}}, "400 page"},
		"redirect: escaped":           {changes{"redirect_uri": {"http://127.0.0.1:7777/%63allback"}}, "400 page"},
		"redirect: host that begins":  {changes{"redirect_uri": {"http://127.0.0.1.evil.example/callback"}}, "400 page"},
		"redirect: other loopback":    {changes{"redirect_uri": {"http://localhost:7777/callback"}}, "400 page"},
		"redirect: javascript":        {changes{"redirect_uri": {"javascript:alert(1)"}}, "400 page"},
		"redirect: data":              {changes{"redirect_uri": {"data:text/html,x"}}, "400 page"},
		"redirect: relative":          {changes{"redirect_uri": {"/callback"}}, "400 page"},
		"redirect: no scheme":         {changes{"redirect_uri": {"//127.0.0.1:7777/callback"}}, "400 page"},
		"redirect: newline":           {changes{"redirect_uri": {redirect + "\r\nX: y"}}, "400 page"},
		"redirect: NUL":               {changes{"redirect_uri": {redirect + "\x00"}}, "400 page"},
		"redirect: look-alike letter": {changes{"redirect_uri": {"http://127.0.0.1:7777/cаllback"}}, "400 page"},
		"redirect: twice":             {changes{"redirect_uri": {redirect, redirect}}, "400 page"},

		"no response_type":              {changes{"response_type": nil}, "303 invalid_request"},
		"response_type token":           {changes{"response_type": {"token"}}, "303 unsupported_response_type"},
		"response_type twice":           {changes{"response_type": {"code", "code"}}, "400 page"},
		"response_mode fragment":        {changes{"response_mode": {"fragment"}}, "303 invalid_request"},
		"a request object":              {changes{"request": {"eyJ"}}, "303 request_not_supported"},
		"a request URI":                 {changes{"request_uri": {"https://x.example/r"}}, "303 request_not_supported"},
		"no PKCE":                       {changes{"code_challenge": nil, "code_challenge_method": nil}, "303 invalid_request"},
		"PKCE plain":                    {changes{"code_challenge_method": {"plain"}, "code_challenge": {verifier}}, "303 invalid_request"},
		"PKCE without a method":         {changes{"code_challenge_method": nil}, "303 invalid_request"},
		"PKCE method in small letters":  {changes{"code_challenge_method": {"s256"}}, "303 invalid_request"},
		"challenge too short":           {changes{"code_challenge": {"abc"}}, "303 invalid_request"},
		"challenge with padding":        {changes{"code_challenge": {challengeOf(verifier)[:42] + "="}}, "303 invalid_request"},
		"challenge in other letters":    {changes{"code_challenge": {strings.Repeat("ü", 43)}}, "303 invalid_request"},
		"challenge with NUL":            {changes{"code_challenge": {"a\x00"}}, "400 page"},
		"challenge twice":               {changes{"code_challenge": {"a", "b"}}, "400 page"},
		"unknown scope":                 {changes{"scope": {"profile admin"}}, "303 invalid_scope"},
		"scope in other letters":        {changes{"scope": {"prôfile"}}, "303 invalid_scope"},
		"scope with a quote":            {changes{"scope": {`profile"`}}, "303 invalid_scope"},
		"scope with NUL":                {changes{"scope": {"profile\x00"}}, "400 page"},
		"scope twice":                   {changes{"scope": {"profile", "notes"}}, "400 page"},
		"wrong resource":                {changes{"resource": {"https://other.example/mcp"}}, "303 invalid_target"},
		"one good and one bad resource": {changes{"resource": {resource, "https://other.example/"}}, "303 invalid_target"},
		"resource with fragment":        {changes{"resource": {resource + "#x"}}, "303 invalid_target"},
		"resource in other letters":     {changes{"resource": {resource + "ü"}}, "303 invalid_target"},
		"resource with NUL":             {changes{"resource": {resource + "\x00"}}, "400 page"},
		"state in other letters":        {changes{"state": {"zustand-ü"}}, "303 invalid_request"},
		"state with NUL":                {changes{"state": {"a\x00b"}}, "400 page"},
		"state too long":                {changes{"state": {long[:5000]}}, "303 invalid_request"},
		"a name with NUL":               {changes{"x\x00": {"y"}}, "400 page"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			before := f.everything(t)
			f.wantRefused(t, f.do(get("/authorize", tt.changes.of(asking(f.public)))), tt.want)
			form := tt.changes.of(asking(f.public))
			form.Set("decision", "allow")
			body := postForm("/authorize", form)
			if body.ContentLength > 64<<10 {
				tt.want = "413 page"
			}
			f.wantRefused(t, f.do(body), tt.want)
			f.wantUnchanged(t, before)
		})
	}
}

func TestABadDecisionIsRefusedAndStoresNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		changes changes
		want    string
	}{
		"no":        {changes{"decision": {"deny"}}, "303 access_denied"},
		"none":      {changes{"decision": nil}, "400 page"},
		"another":   {changes{"decision": {"ALLOW"}}, "400 page"},
		"repeated":  {changes{"decision": {"allow", "deny"}}, "400 page"},
		"with NUL":  {changes{"decision": {"allow\x00"}}, "400 page"},
		"oversized": {changes{"x": {long}}, "413 page"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			before := f.everything(t)
			form := asking(f.public)
			form.Set("decision", "allow")
			f.wantRefused(t, f.do(postForm("/authorize", tt.changes.of(form))), tt.want)
			f.wantUnchanged(t, before)
		})
	}
}

// badToken is a request that is refused, made of a good one. Without prepare, the good one exchanges a code.
type badToken struct {
	prepare func(f *fixture) url.Values
	changes changes
	request func(r *http.Request)
	want    string
}

func refreshed(f *fixture) url.Values { return f.refreshing(f.tokens().text("refresh_token")) }

func after(prepare func(f *fixture) url.Values, then func(f *fixture)) func(f *fixture) url.Values {
	return func(f *fixture) url.Values {
		form := prepare(f)
		then(f)
		return form
	}
}

func exchanged(f *fixture) url.Values { return f.exchanging(f.code(f.public)) }

// basicAuth authenticates as user, with a password that is nobody's.
func basicAuth(user string) func(r *http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, "b") }
}

func TestABadTokenRequestIsRefusedAndStoresNothing(t *testing.T) {
	deleted := func(f *fixture) {
		if err := f.store.Clients().Delete(f.t.Context(), f.public.ID); err != nil {
			f.t.Fatal(err)
		}
	}
	revoked := func(f *fixture) {
		if _, err := f.store.Grants().Revoke(f.t.Context(), repository.GrantFilter{ClientID: f.public.ID}, domain.ByUser); err != nil {
			f.t.Fatal(err)
		}
	}
	passed := func(d time.Duration) func(f *fixture) { return func(f *fixture) { f.move(d) } }
	other := func(f *fixture) url.Values { return f.exchanging(f.code(f.confidential)) }
	for name, tt := range map[string]badToken{
		"no grant_type":              {changes: changes{"grant_type": nil}, want: "400 invalid_request"},
		"unknown grant_type":         {changes: changes{"grant_type": {"password"}}, want: "400 unsupported_grant_type"},
		"grant_type with NUL":        {changes: changes{"grant_type": {"authorization_code\x00"}}, want: "400 invalid_request"},
		"grant_type twice":           {changes: changes{"grant_type": {"authorization_code", "refresh_token"}}, want: "400 invalid_request"},
		"no code":                    {changes: changes{"code": nil}, want: "400 invalid_request"},
		"unknown code":               {changes: changes{"code": {domain.NewSecret()}}, want: "400 invalid_grant"},
		"code in other letters":      {changes: changes{"code": {"çödé"}}, want: "400 invalid_grant"},
		"code with NUL":              {changes: changes{"code": {"a\x00"}}, want: "400 invalid_request"},
		"code twice in one request":  {changes: changes{"code": {"a", "b"}}, want: "400 invalid_request"},
		"no verifier":                {changes: changes{"code_verifier": nil}, want: "400 invalid_grant"},
		"wrong verifier":             {changes: changes{"code_verifier": {verifier + "x"}}, want: "400 invalid_grant"},
		"short verifier":             {changes: changes{"code_verifier": {"abc"}}, want: "400 invalid_grant"},
		"challenge for verifier":     {changes: changes{"code_verifier": {challengeOf(verifier)}}, want: "400 invalid_grant"},
		"verifier in other letters":  {changes: changes{"code_verifier": {strings.Repeat("ü", 43)}}, want: "400 invalid_grant"},
		"verifier with NUL":          {changes: changes{"code_verifier": {verifier + "\x00"}}, want: "400 invalid_request"},
		"other redirect":             {changes: changes{"redirect_uri": {redirect + "/x"}}, want: "400 invalid_grant"},
		"redirect, other port":       {changes: changes{"redirect_uri": {"http://127.0.0.1:7778/callback"}}, want: "400 invalid_grant"},
		"redirect with NUL":          {changes: changes{"redirect_uri": {redirect + "\x00"}}, want: "400 invalid_request"},
		"wrong resource":             {changes: changes{"resource": {"https://other.example"}}, want: "400 invalid_target"},
		"other client's code":        {prepare: other, want: "400 invalid_grant"},
		"expired code":               {prepare: after(exchanged, passed(10*time.Minute)), want: "400 invalid_grant"},
		"code of a revoked grant":    {prepare: after(exchanged, revoked), want: "400 invalid_grant"},
		"code of a deleted client":   {prepare: after(exchanged, deleted), want: "401 invalid_client"},
		"no client":                  {changes: changes{"client_id": nil}, want: "401 invalid_client"},
		"unknown client":             {changes: changes{"client_id": {"nobody"}}, want: "401 invalid_client"},
		"client in other letters":    {changes: changes{"client_id": {"ünbekannt"}}, want: "401 invalid_client"},
		"client with NUL":            {changes: changes{"client_id": {"a\x00"}}, want: "400 invalid_request"},
		"client too long":            {changes: changes{"client_id": {long[:3000]}}, want: "401 invalid_client"},
		"public client with secret":  {changes: changes{"client_secret": {"x"}}, want: "401 invalid_client"},
		"two kinds of secret":        {changes: changes{"client_secret": {"x"}}, request: basicAuth("a"), want: "400 invalid_request"},
		"two clients":                {request: basicAuth("a"), want: "400 invalid_request"},
		"a bearer token":             {request: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, want: "401 invalid_client"},
		"broken Basic":               {request: func(r *http.Request) { r.Header.Set("Authorization", "Basic ***") }, want: "401 invalid_client"},
		"Basic with broken escape":   {changes: changes{"client_id": nil}, request: basicAuth("%zz"), want: "401 invalid_client"},
		"Basic with NUL":             {changes: changes{"client_id": nil}, request: basicAuth("a%00"), want: "401 invalid_client"},
		"JSON":                       {request: func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, want: "400 invalid_request"},
		"no content type":            {request: func(r *http.Request) { r.Header.Del("Content-Type") }, want: "400 invalid_request"},
		"oversized":                  {changes: changes{"x": {long}}, want: "413 invalid_request"},
		"no refresh token":           {prepare: refreshed, changes: changes{"refresh_token": nil}, want: "400 invalid_request"},
		"unknown refresh token":      {prepare: refreshed, changes: changes{"refresh_token": {"x"}}, want: "400 invalid_grant"},
		"refresh token with NUL":     {prepare: refreshed, changes: changes{"refresh_token": {"x\x00"}}, want: "400 invalid_request"},
		"refresh in other letters":   {prepare: refreshed, changes: changes{"refresh_token": {"förnya"}}, want: "400 invalid_grant"},
		"broadened scope":            {prepare: refreshed, changes: changes{"scope": {"profile notes"}}, want: "400 invalid_scope"},
		"scope with NUL":             {prepare: refreshed, changes: changes{"scope": {"\x00"}}, want: "400 invalid_request"},
		"broadened resource":         {prepare: refreshed, changes: changes{"resource": {"https://other.example"}}, want: "400 invalid_target"},
		"expired refresh token":      {prepare: after(refreshed, passed(31*24*time.Hour)), want: "400 invalid_grant"},
		"refresh of a revoked grant": {prepare: after(refreshed, revoked), want: "400 invalid_grant"},
		"refresh of a deleted client": {
			prepare: after(refreshed, deleted), want: "401 invalid_client",
		},
		"access token to refresh with": {
			prepare: func(f *fixture) url.Values { return f.refreshing(f.tokens().text("access_token")) }, want: "400 invalid_grant",
		},
		"other client's refresh token": {
			prepare: func(f *fixture) url.Values {
				form := refreshed(f)
				form.Set("client_id", f.register(`{"redirect_uris":["`+redirect+`"],"token_endpoint_auth_method":"none",`+
					`"grant_types":["authorization_code","refresh_token"]}`).ID)
				return form
			},
			want: "400 invalid_grant",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if tt.prepare == nil {
				tt.prepare = exchanged
			}
			r := postForm("/token", tt.changes.of(tt.prepare(f)))
			if tt.request != nil {
				tt.request(r)
			}
			before := f.everything(t)
			f.wantRefused(t, f.do(r), tt.want)
			f.wantUnchanged(t, before)
		})
	}
}

func TestABadRegistrationIsRefusedAndStoresNothing(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"nothing":                 {``, "400 invalid_client_metadata"},
		"no object":               {`[]`, "400 invalid_client_metadata"},
		"cut short":               {`{"redirect_uris":[`, "400 invalid_client_metadata"},
		"two objects":             {`{"redirect_uris":["https://a.example/"]}{}`, "400 invalid_client_metadata"},
		"no redirect":             {`{}`, "400 invalid_redirect_uri"},
		"empty list":              {`{"redirect_uris":[]}`, "400 invalid_redirect_uri"},
		"redirect not a list":     {`{"redirect_uris":"https://a.example/"}`, "400 invalid_client_metadata"},
		"javascript":              {`{"redirect_uris":["javascript:alert(1)"]}`, "400 invalid_redirect_uri"},
		"data":                    {`{"redirect_uris":["data:text/html,x"]}`, "400 invalid_redirect_uri"},
		"fragment":                {`{"redirect_uris":["https://a.example/#x"]}`, "400 invalid_redirect_uri"},
		"http elsewhere":          {`{"redirect_uris":["http://a.example/"]}`, "400 invalid_redirect_uri"},
		"http that looks local":   {`{"redirect_uris":["http://127.0.0.1.evil.example/"]}`, "400 invalid_redirect_uri"},
		"user in redirect":        {`{"redirect_uris":["https://u@a.example/"]}`, "400 invalid_redirect_uri"},
		"relative":                {`{"redirect_uris":["/x"]}`, "400 invalid_redirect_uri"},
		"NUL in redirect":         {`{"redirect_uris":["https://a.example/\u0000"]}`, "400 invalid_redirect_uri"},
		"letters in redirect":     {`{"redirect_uris":["https://a.example/ü"]}`, "400 invalid_redirect_uri"},
		"too many redirects":      {`{"redirect_uris":[` + strings.Repeat(`"https://a.example/",`, 20) + `"https://a.example/"]}`, "400 invalid_redirect_uri"},
		"unknown authentication":  {`{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"private_key_jwt"}`, "400 invalid_client_metadata"},
		"no usable grant type":    {`{"redirect_uris":["https://a.example/"],"grant_types":["implicit"]}`, "400 invalid_client_metadata"},
		"no usable response type": {`{"redirect_uris":["https://a.example/"],"response_types":["token"]}`, "400 invalid_client_metadata"},
		"unknown scope":           {`{"redirect_uris":["https://a.example/"],"scope":"admin"}`, "400 invalid_client_metadata"},
		"name with NUL":           {`{"redirect_uris":["https://a.example/"],"client_name":"a\u0000"}`, "400 invalid_client_metadata"},
		"name not a string":       {`{"redirect_uris":["https://a.example/"],"client_name":7}`, "400 invalid_client_metadata"},
		"oversized":               {`{"redirect_uris":["https://a.example/"],"client_name":"` + long + `"}`, "413 invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			before := f.everything(t)
			f.wantRefused(t, f.do(post("/register", "application/json", tt.body)), tt.want)
			f.wantUnchanged(t, before)
		})
	}
}

func TestABadRevocationOrIntrospectionIsRefusedAndRevokesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		path    string
		changes changes
		want    string
	}{
		"revoke without token":         {"/revoke", changes{"token": nil}, "400 invalid_request"},
		"revoke with NUL":              {"/revoke", changes{"token": {"\x00"}}, "400 invalid_request"},
		"revoke token twice":           {"/revoke", changes{"token": {"a", "b"}}, "400 invalid_request"},
		"revoke without client":        {"/revoke", changes{"client_id": nil}, "401 invalid_client"},
		"revoke, unknown client":       {"/revoke", changes{"client_id": {"nobody"}}, "401 invalid_client"},
		"revoke, oversized":            {"/revoke", changes{"x": {long}}, "413 invalid_request"},
		"introspect as public client":  {"/introspect", nil, "401 invalid_client"},
		"introspect without client":    {"/introspect", changes{"client_id": nil}, "401 invalid_client"},
		"introspect, wrong secret":     {"/introspect", changes{"client_secret": {"x"}}, "401 invalid_client"},
		"introspect, unknown client":   {"/introspect", changes{"client_id": {"nobody"}}, "401 invalid_client"},
		"introspect with NUL":          {"/introspect", changes{"token": {"\x00"}}, "400 invalid_request"},
		"introspect, token repeatedly": {"/introspect", changes{"token": {"a", "b"}}, "400 invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			form := url.Values{"token": {f.tokens().text("refresh_token")}, "client_id": {f.public.ID}}
			before := f.everything(t)
			f.wantRefused(t, f.do(postForm(tt.path, tt.changes.of(form))), tt.want)
			f.wantUnchanged(t, before)
		})
	}
}

// wantRefused checks an answer, and that it says nothing that the request said, nor can be cached.
func (f *fixture) wantRefused(t *testing.T, got answer, want string) {
	t.Helper()
	if got.String() != want {
		t.Errorf("the answer is %s, want %s\n%s %s", got, want, got.header.Get("Location"), got.body)
	}
	if json.Valid([]byte(got.body)) && got.header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be cached")
	}
	if to := got.header.Get("Location"); to != "" && !strings.HasPrefix(to, redirect+"?") {
		t.Error("the answer goes to", to)
	}
	if got.status == http.StatusUnauthorized && json.Valid([]byte(got.body)) && got.header.Get("WWW-Authenticate") == "" {
		t.Error("a 401 without WWW-Authenticate")
	}
}

// contents is all of a store that can be listed.
type contents struct {
	stats   repository.Stats
	clients []domain.Client
	grants  []domain.Grant
	tokens  []domain.Token
}

func (f *fixture) everything(t *testing.T) (all contents) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var errs [4]error
	all.stats, errs[0] = f.store.Stats(ctx)
	all.clients, errs[1] = f.store.Clients().List(ctx, repository.Page{})
	all.grants, errs[2] = f.store.Grants().List(ctx, repository.GrantFilter{}, repository.Page{})
	all.tokens, errs[3] = f.store.Tokens().List(ctx, repository.TokenFilter{}, repository.Page{})
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (f *fixture) wantUnchanged(t *testing.T, before contents) {
	t.Helper()
	if now := f.everything(t); !reflect.DeepEqual(now, before) {
		t.Errorf("the store has changed:\n%+v\n%+v", before, now)
	}
}
