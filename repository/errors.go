package repository

import "errors"

// The errors that a caller can act on. Implementations wrap them, with the name of the package and
// the operation; no error contains a digest, a secret, SQL or values.
var (
	ErrNotFound      = errors.New("not found")
	ErrAlreadyExists = errors.New("already exists")
	ErrConflict      = errors.New("changed since it was read")
	ErrConsumed      = errors.New("already consumed")
	ErrExpired       = errors.New("expired")
	ErrRevoked       = errors.New("revoked")
	ErrInvalid       = errors.New("invalid")
	ErrClosed        = errors.New("store is closed")

	// ErrBusy says that a call has waited for others, or run again, as long as it may: ten seconds if its
	// context has no deadline. Nothing was done, and the same call may succeed later. A server answers
	// 503 Service Unavailable.
	ErrBusy = errors.New("busy")

	// ErrUnknownOutcome says that the connection to a database server was lost while it was
	// committing: the operation was done whole or not at all, and only the database knows which. Looking
	// tells, with Get; or the operation may be called again where it says so, or where a second time does no harm:
	// creating what exists is ErrAlreadyExists, revoking again changes nothing.
	ErrUnknownOutcome = errors.New("outcome is unknown")
)
