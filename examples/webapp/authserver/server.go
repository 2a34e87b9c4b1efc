package authserver

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/rs/cors"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

// The paths of the endpoints, under the issuer.
const (
	authorizePath  = "/authorize"
	tokenPath      = "/token"
	registerPath   = "/register"
	revokePath     = "/revoke"
	introspectPath = "/introspect"
	metadataPath   = "/.well-known/oauth-authorization-server"
)

// Options sets up a Server. Issuer, Resource, Scopes, Store, Config and Pages are required.
type Options struct {
	Issuer   string   // the server's own URL: scheme and host, nothing else (RFC 8414 §2)
	Resource string   // what tokens are for (RFC 8707): the URL of the MCP endpoint
	Scopes   []string // all that can be asked for; a request that names none asks for all

	Store  repository.Store
	Config config.Config // lifetimes and the grace period
	Pages  Pages

	SessionClient string       // whose tokens are sessions of Pages, which introspection tells nobody of; default: no such
	Documents     *http.Client // fetches client ID metadata documents; default: NewDocumentClient()
	Observe       func(Event)  // is told of each event; default: nobody is
	Log           *slog.Logger // refusals, without anything secret; default: slog.Default()
}

// Server answers the endpoints. All methods may be called concurrently.
type Server struct {
	Options
	flow *flow.Flow
}

// New returns a Server, or an error if the issuer is not one.
func New(o Options) (*Server, error) {
	if err := checkIssuer(o.Issuer); err != nil {
		return nil, err
	}
	if o.Documents == nil {
		o.Documents = NewDocumentClient()
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Server{o, flow.New(o.Store, &flow.Options{Grace: o.Config.RefreshGrace})}, nil
}

func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || issuer != u.Scheme+"://"+u.Host {
		return fmt.Errorf("authserver: the issuer is not https://host or, on loopback, http://host:port, without a path: %q", issuer)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return fmt.Errorf("authserver: the issuer %q is not https, which only a loopback address need not be", issuer)
	}
	return nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Routes adds the endpoints to mux. Those that are called by programs answer to scripts of any origin too, as MCP
// clients that run in a browser need it; they read no cookie.
func (s *Server) Routes(mux *http.ServeMux) {
	open := cors.New(cors.Options{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: []string{"Authorization", "Content-Type", "MCP-Protocol-Version"},
	})
	mux.HandleFunc("GET "+authorizePath, s.authorize)
	mux.HandleFunc("POST "+authorizePath, s.decide)
	for path, endpoint := range map[string]http.HandlerFunc{
		"POST " + tokenPath: s.endpoint(s.token), "POST " + registerPath: s.endpoint(s.register),
		"POST " + revokePath: s.endpoint(s.revoke), "POST " + introspectPath: s.endpoint(s.introspect),
		"GET " + metadataPath: s.metadata,
	} {
		_, bare, _ := strings.Cut(path, " ")
		mux.Handle(path, open.Handler(endpoint))
		mux.Handle("OPTIONS "+bare, open.Handler(http.NotFoundHandler()))
	}
}
