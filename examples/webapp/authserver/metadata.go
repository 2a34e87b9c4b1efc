package authserver

import "net/http"

// metadata is RFC 8414 §3.2.
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                         s.Issuer,
		"authorization_endpoint":                         s.Issuer + authorizePath,
		"token_endpoint":                                 s.Issuer + tokenPath,
		"registration_endpoint":                          s.Issuer + registerPath,
		"revocation_endpoint":                            s.Issuer + revokePath,
		"introspection_endpoint":                         s.Issuer + introspectPath,
		"scopes_supported":                               s.Scopes,
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          grantTypes,
		"token_endpoint_auth_methods_supported":          authMethods,
		"revocation_endpoint_auth_methods_supported":     authMethods,
		"introspection_endpoint_auth_methods_supported":  authMethods[1:],
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"client_id_metadata_document_supported":          true,
		"protected_resources":                            []string{s.Resource},
	})
}

const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"

	authNone  = "none"
	authBasic = "client_secret_basic"
	authPost  = "client_secret_post"
)

var (
	grantTypes  = []string{grantCode, grantRefresh}
	authMethods = []string{authNone, authBasic, authPost} // none first: introspection is not for public clients
)
