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
		client, err := store.Clients().Get(r.Context(), r.FormValue("client_id"))
		confidential := err == nil && len(client.Secrets) > 0
		switch {
		case errors.Is(err, repository.ErrNotFound),
			confidential && !client.Authenticate(r.FormValue("client_secret"), time.Now()):
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		case err == nil:
			err = oauth.Revoke(r.Context(), client.ID, r.FormValue("token"))
		}
		if err != nil {
			http.Error(w, `{"error":"temporarily_unavailable"}`, http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		raw, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, active, err := oauth.Introspect(r.Context(), raw)
		switch {
		case err != nil:
			w.WriteHeader(http.StatusServiceUnavailable)
		case !active || token.Kind != domain.AccessToken:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fmt.Fprint(w, token.Subject)
		}
	})
	return mux
}
