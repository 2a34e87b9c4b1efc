package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/httprate"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/rs/cors"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
	"github.com/oauthstore/oauthstore/examples/webapp/pages"
	"github.com/oauthstore/oauthstore/examples/webapp/tools"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/mcpauth"
)

const (
	mcpPath      = "/mcp"
	resourcePath = "/.well-known/oauth-protected-resource"
)

// registrations is how many clients one address may register in a minute. Those that have a metadata document need no
// such limit: one is fetched for a user who has signed in alone.
const registrations = 30

// app is what the handler is made of.
type app struct {
	url       string // the public one: the issuer
	config    config.Config
	store     repository.Store
	users     *pages.Users
	documents *http.Client     // nil: the default of authserver
	now       func() time.Time // nil: time.Now
	log       *slog.Logger

	requestTime time.Duration // 0: the constant
}

// newHandler puts the three parts together: the authorization server, the MCP endpoint and the pages.
func newHandler(ctx context.Context, a app) (http.Handler, error) {
	activity := pages.NewActivity(a.now)
	site := pages.New(pages.Options{
		Store: a.store, Users: a.users, Now: a.now, Secure: isHTTPS(a.url), Activity: activity, Log: a.log,
	})
	if err := site.Prepare(ctx); err != nil {
		return nil, err
	}
	server, err := authserver.New(authserver.Options{
		Issuer: a.url, Resource: a.url + mcpPath, Scopes: tools.Scopes(), Store: a.store, Config: a.config,
		Pages: site, SessionClient: pages.SiteID, Documents: a.documents, Observe: activity.Observe, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	site.Routes(mux)
	server.Routes(mux)
	a.routeMCP(mux)
	return a.guarded(mux), nil
}

// routeMCP adds the protected resource (RFC 9728) and its metadata, at the path that clients derive from its URL and
// at the bare one.
func (a app) routeMCP(mux *http.ServeMux) {
	metadata := auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: a.url + mcpPath, AuthorizationServers: []string{a.url}, ScopesSupported: tools.Scopes(),
		BearerMethodsSupported: []string{"header"}, ResourceName: "oauthstore example",
	})
	mux.Handle(resourcePath, metadata)
	mux.Handle(resourcePath+mcpPath, metadata)
	bearer := auth.RequireBearerToken(a.verifier(), &auth.RequireBearerTokenOptions{
		ResourceMetadataURL: a.url + resourcePath + mcpPath,
	})
	open := cors.New(cors.Options{ // for MCP clients that run in a browser; no cookie is read here
		AllowedOrigins: []string{"*"}, AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{"*"}, ExposedHeaders: []string{"WWW-Authenticate", "Mcp-Session-Id"},
	})
	mux.Handle(mcpPath, open.Handler(bearer(tools.NewHandler())))
}

// verifier is that of mcpauth, and logs why the store could not answer: the client is not told.
func (a app) verifier() auth.TokenVerifier {
	verify := mcpauth.Verifier(a.store.Tokens(), a.url+mcpPath)
	return func(ctx context.Context, raw string, r *http.Request) (*auth.TokenInfo, error) {
		info, err := verify(ctx, raw, r)
		if err != nil && !errors.Is(err, auth.ErrInvalidToken) {
			a.log.ErrorContext(ctx, "token not checked", "endpoint", mcpPath, "cause", errors.Unwrap(err))
		}
		return info, err
	}
}

// guarded puts what protects all of the server around it. Forms are taken from the server's own pages alone: by
// what the browser says of the request's origin, so they need no token of their own.
func (a app) guarded(mux *http.ServeMux) http.Handler {
	own := http.NewCrossOriginProtection()
	for _, open := range []string{"/token", "/register", "/revoke", "/introspect", mcpPath} {
		own.AddInsecureBypassPattern(open)
	}
	outer := http.NewServeMux()
	outer.Handle("/", own.Handler(mux))
	limit := httprate.LimitBy(registrations, time.Minute, pages.ByPeer,
		httprate.WithLimitHandler(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"error":"temporarily_unavailable","error_description":"too many registrations: wait a minute"}`))
		}))
	outer.Handle("POST /register", limit(mux))
	return timed(outer, cmp.Or(a.requestTime, requestTime))
}

// timed gives the context of each request an end: the store waits no longer than that.
func timed(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func isHTTPS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https"
}

func isLoopbackURL(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback())
}
