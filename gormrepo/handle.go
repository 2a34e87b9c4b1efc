package gormrepo

import (
	"context"
	"fmt"

	"github.com/oauthstore/oauthstore/repository"
)

// fitSession returns ErrInvalid for sessions of MySQL that this package cannot be right on: one that begins a transaction
// with each read, in which a token lives on after another session has revoked it, and one whose character set has no place
// for each character.
func (s *Store) fitSession(ctx context.Context) error {
	if s.write.Name() != "mysql" {
		return nil
	}
	var commits bool
	var sent, answered *string
	err := s.reading(ctx, func(c conn) error {
		return c.one([]any{&commits, &sent, &answered}, "SELECT @@autocommit, @@character_set_client, @@character_set_results")
	})
	const whole = "utf8mb4"
	switch {
	case err != nil:
		return err
	case !commits:
		return fmt.Errorf("%w: the sessions have autocommit off: leave it on in the DSN", repository.ErrInvalid)
	case sent == nil || *sent != whole || answered != nil && *answered != whole:
		return fmt.Errorf("%w: the sessions have another character set than %s: set charset=%[2]s in the DSN", repository.ErrInvalid, whole)
	}
	return nil
}
