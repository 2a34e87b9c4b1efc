package gormrepo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oauthstore/oauthstore/repository"
)

// wrap names the package and the operation before the error at err, if there is one.
func (c *common) wrap(op string, err *error) {
	if *err != nil {
		*err = fmt.Errorf("gormrepo: %s: %w", op, c.withoutValues(*err))
	}
}

// withoutValues returns err without values: of a server's error only the code, because the message
// may contain values. If the connection or transaction was closed, it adds ErrClosed.
func (c *common) withoutValues(err error) error {
	switch {
	case errors.Is(err, repository.ErrUnknownOutcome), errors.Is(err, repository.ErrBusy),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone):
		return fmt.Errorf("%w: %w", repository.ErrClosed, err)
	}
	if shown := c.meaning(err).shown; shown != nil {
		return shown
	}
	return err
}

// serverError is the code of an error that a server has answered, without its message.
type serverError string

func (e serverError) Error() string { return "the server reports " + string(e) }

// named returns code with the server's own name of it, if names has one.
func named(code string, names map[string]string) string {
	if name := names[code]; name != "" {
		return code + " (" + name + ")"
	}
	return code
}

// refusal is the error that fn of InTx returned. InTx returns it to its caller unchanged.
type refusal struct{ error }

func (e *refusal) Unwrap() error { return e.error }

// isSentinel reports whether err is one of the repository's errors, so that no database caused it.
// ErrUnknownOutcome is not in the list: a database caused it.
func isSentinel(err error) bool {
	for _, s := range []error{
		repository.ErrNotFound, repository.ErrAlreadyExists, repository.ErrConflict, repository.ErrConsumed,
		repository.ErrExpired, repository.ErrRevoked, repository.ErrInvalid, repository.ErrClosed, repository.ErrBusy,
	} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

// ignore returns err, or nil where it is the expected one.
func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// ended returns the error of ctx, with its cause, if it has ended.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if cause == errPatience { //nolint:errorlint // the caller's own context has not ended
		return errPatience
	}
	if !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}
