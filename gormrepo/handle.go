package gormrepo

import (
	"context"
	"fmt"
	"strings"

	"github.com/oauthstore/oauthstore/repository"
)

// fitSession returns ErrInvalid for sessions of a server that this package cannot be right on.
func (s *Store) fitSession(ctx context.Context) error {
	check := map[string]func(c conn) (string, error){"postgres": unfitPostgres, "mysql": unfitMySQL}[s.write.Name()]
	if check == nil {
		return nil
	}
	var unfit string
	err := s.reading(ctx, func(c conn) (err error) {
		unfit, err = check(c)
		return err
	})
	if err == nil && unfit != "" {
		err = fmt.Errorf("%w: %s", repository.ErrInvalid, unfit)
	}
	return err
}

func unfitPostgres(c conn) (string, error) {
	var role string
	err := c.one([]any{&role}, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'session_replication_role'")
	if err != nil {
		return "", unlessMissing(err)
	}
	if role == "replica" {
		return "the sessions enforce no foreign keys: session_replication_role must be origin", nil
	}
	return "", nil
}

// unfitMySQL finds sessions that begin a transaction with each read, in which a token lives on after another session has
// revoked it; whose character set has no place for each character; and in which statements mean something else.
func unfitMySQL(c conn) (string, error) {
	var commits, keys bool
	var limit uint64
	var mode, completion string
	var sent, answered *string
	err := c.one([]any{&commits, &keys, &limit, &mode, &completion, &sent, &answered},
		"SELECT @@autocommit, @@foreign_key_checks, @@sql_select_limit, @@sql_mode, @@completion_type, "+
			"@@character_set_client, @@character_set_results")
	if err != nil {
		return "", err
	}
	var name, level string // tx_isolation before MariaDB 11.1, the same as the other where both are
	err = c.one([]any{&name, &level}, "SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')")
	if err != nil {
		return "", err
	}
	aliased, err := c.aliases()
	const whole = "utf8mb4"
	switch {
	case err != nil:
		return "", err
	case !commits:
		return "the sessions have autocommit off: leave it on in the DSN", nil
	case sent == nil || *sent != whole || answered != nil && *answered != whole:
		return "the sessions have another character set than " + whole + ": set charset=" + whole + " in the DSN", nil
	case !keys:
		return "the sessions enforce no foreign keys: leave foreign_key_checks on", nil
	case level == "READ-UNCOMMITTED":
		return "the sessions read what is not committed: set " + name + "='READ-COMMITTED' in the DSN", nil
	case limit < 1<<32-1: // the default of old, a full 64 bits now
		return "the sessions get some of the rows alone: leave sql_select_limit at its default", nil
	case strings.Contains(mode, "EMPTY_STRING_IS_NULL"):
		return "the sessions take an empty text for none: leave EMPTY_STRING_IS_NULL out of sql_mode", nil
	case completion != "NO_CHAIN" && completion != "0":
		return "the sessions do not end with a transaction: leave completion_type at NO_CHAIN", nil
	case aliased:
		return "the columns are named with their tables: leave columnsWithAlias out of the DSN", nil
	}
	return "", nil
}

// aliases reports whether the driver puts the alias of a table before the name of a column.
func (c conn) aliases() (bool, error) {
	rows, err := c.db.Raw("SELECT probe.named FROM (SELECT 1 AS named) AS probe").Rows()
	if err != nil {
		return false, err
	}
	defer rows.Close() //nolint:errcheck // nothing is read from it
	names, err := rows.Columns()
	if err != nil {
		return false, err
	}
	return names[0] != "named", rows.Err()
}
