package authserver

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/oauthstore/oauthstore/repository"
)

// oauthError is an error answer: the code that the RFC of the endpoint names, and a sentence for whoever writes the
// client. Neither repeats what the request said.
type oauthError struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	cause       error  // for the log
}

// Error returns the code and the sentence.
func (e *oauthError) Error() string { return e.Code + ": " + e.Description }

func refuse(code, description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, Code: code, Description: description}
}

// The codes of RFC 6749 §4.1.2.1 and §5.2, RFC 7591 §3.2.2 and RFC 8707 §2 that this server answers with.
func invalidRequest(description string) *oauthError { return refuse("invalid_request", description) }
func invalidGrant(description string) *oauthError   { return refuse("invalid_grant", description) }
func invalidScope(description string) *oauthError   { return refuse("invalid_scope", description) }
func invalidTarget(description string) *oauthError  { return refuse("invalid_target", description) }
func invalidMetadata(description string) *oauthError {
	return refuse("invalid_client_metadata", description)
}

func invalidClient(description string) *oauthError {
	return &oauthError{status: http.StatusUnauthorized, Code: "invalid_client", Description: description}
}

func tooLarge() *oauthError {
	return &oauthError{status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Description: "the body is too large"}
}

// unavailable is for a store that cannot answer: not the client's fault, and worth another try.
func unavailable(cause error) *oauthError {
	return &oauthError{
		status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Description: "try again in a moment", cause: cause,
	}
}

// asOAuthError returns err as an answer. What is not one yet is a store that could not answer.
func asOAuthError(err error) *oauthError {
	if e, ok := errors.AsType[*oauthError](err); ok {
		return e
	}
	return unavailable(err)
}

// ofCode is asOAuthError for what flow says of a code that was presented. Where it is unknown whether the exchange was
// done, the client has to start over: the same code again could be a replay, which ends the grant as if it were stolen.
func ofCode(err error) error {
	if errors.Is(err, repository.ErrUnknownOutcome) {
		return &oauthError{
			status: http.StatusBadRequest, Code: "invalid_grant", Description: "the code may have been used: ask for another", cause: err,
		}
	}
	return ofGrant("code", err)
}

// ofGrant is ofCode for any that was presented. Of an unknown outcome it says to try again, which is right for a refresh
// token: within the grace period the answer is the same.
func ofGrant(what string, err error) error {
	if _, ok := errors.AsType[*oauthError](err); ok {
		return err
	}
	if repository.IsInactive(err) {
		return &oauthError{
			status: http.StatusBadRequest, Code: "invalid_grant",
			Description: "the " + what + " is unknown, expired, revoked or used", cause: err,
		}
	}
	return err
}

// endpoint turns a function with an error into a handler that answers it (RFC 6749 §5.2).
func (s *Server) endpoint(serve func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := serve(w, r); err != nil {
			s.answer(w, r, asOAuthError(err))
		}
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, e *oauthError) {
	s.note(r, e)
	if e.Code == "invalid_client" {
		w.Header().Set("WWW-Authenticate", `Basic realm="oauth"`)
	}
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, e.status, e)
}

// note counts and logs a refusal.
func (s *Server) note(r *http.Request, e *oauthError) {
	s.Observe(Refused)
	level := slog.LevelInfo
	if e.status == http.StatusServiceUnavailable || errors.Is(e.cause, repository.ErrUnknownOutcome) {
		level = slog.LevelError
	}
	attributes := []slog.Attr{
		slog.String("endpoint", r.URL.Path), slog.String("error", e.Code), slog.String("description", e.Description),
	}
	if e.cause != nil {
		attributes = append(attributes, slog.Any("cause", e.cause))
	}
	s.Log.LogAttrs(r.Context(), level, "refused", attributes...)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone: nobody is left to tell
}
