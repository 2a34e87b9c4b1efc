package config_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

func routes(store repository.Store, oauth *flow.Flow) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) {
		id, secret, basic := r.BasicAuth()
		if !basic {
			id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
		}
		client, err := store.Clients().Get(r.Context(), id)
		public := client.Metadata.TokenEndpointAuthMethod == "none"
		switch {
		case errors.Is(err, repository.ErrNotFound), err == nil && !public && !client.Authenticate(secret, time.Now()):
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		case err == nil:
			err = oauth.Revoke(r.Context(), client.ID, r.PostFormValue("token"))
		}
		if err != nil {
			http.Error(w, `{"error":"temporarily_unavailable"}`, http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		token, active, err := oauth.Introspect(r.Context(), raw)
		switch {
		case err != nil:
			w.WriteHeader(http.StatusServiceUnavailable)
		case !strings.EqualFold(scheme, "Bearer") || !active || token.Kind != domain.AccessToken:
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fmt.Fprint(w, token.Subject)
		}
	})
	return mux
}
