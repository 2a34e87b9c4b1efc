package gormrepo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/repository"
)

// steps are the numbered steps of the schema, oldest first. Each is SQL, with a file for each kind
// of database: GORM's AutoMigrate writes neither STRICT tables nor references between prefixed
// tables, and rebuilds tables where it need not.
var steps = []string{"0001"}

//go:embed schema/*.sql
var schemaFiles embed.FS

// Migrate brings the schema up to this program's, in one transaction where the database can create
// tables in one, and does nothing to a current one. A schema that is newer is an error and stays
// untouched. Several processes may call it at once.
func (s *Store) Migrate(ctx context.Context) (err error) {
	defer s.wrap("migrate", &err)
	current, err := s.schemaIsCurrent(ctx)
	if err != nil || current {
		return err
	}
	return s.during(ctx, func() error { return s.database.migrate(ctx, (*session).migrate) })
}

// migrate takes the steps that have not been taken.
func (q *session) migrate() error {
	var migrations []*gormigrate.Migration
	for _, id := range steps {
		step := func(*gorm.DB) error { return q.takeStep(id) }
		migrations = append(migrations, &gormigrate.Migration{ID: id, Migrate: step})
	}
	migration := gormigrate.New(q.db, &gormigrate.Options{
		TableName: q.tables.migrations, IDColumnName: "id", IDColumnSize: 255,
		ValidateUnknownMigrations: true,
	}, migrations)
	err := migration.Migrate()
	if errors.Is(err, gormigrate.ErrUnknownPastMigration) {
		return errNewer
	}
	return err
}

// takeStep runs the statements of a step.
func (q *session) takeStep(step string) error {
	text, err := schemaFiles.ReadFile("schema/" + q.schema + "_" + step + ".sql")
	if err != nil {
		return err
	}
	for statement := range strings.SplitSeq(strings.ReplaceAll(string(text), "{prefix}", q.tables.prefix), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if err := q.db.Exec(statement).Error; err != nil {
			return err
		}
	}
	return nil
}

var errTableTaken = fmt.Errorf("%w: another program has a table with a name that this package needs: use another "+
	"database, or set TablePrefix", repository.ErrInvalid)

var errNewer = fmt.Errorf("%w: the schema of the database is newer than this program: use a newer program",
	repository.ErrInvalid)

// CheckSchema returns an error that is ErrInvalid if the schema in db is newer than this program, or
// if tables have our names and are another program's, and nil otherwise. It writes nothing.
func CheckSchema(ctx context.Context, db *gorm.DB, opts *Options) error {
	s, err := newStore(Database{Write: db}, opts, false)
	if err != nil {
		return fmt.Errorf("gormrepo: check schema: %w", err)
	}
	return s.checkSchema(ctx)
}

func (s *Store) checkSchema(ctx context.Context) (err error) {
	defer s.wrap("check schema", &err)
	_, err = s.schemaIsCurrent(ctx)
	return err
}

// schemaIsCurrent reports whether the steps that were taken are all that this program knows.
// errNewer if there is another one, errTableTaken if a table is another program's.
func (s *Store) schemaIsCurrent(ctx context.Context) (current bool, err error) {
	err = s.read(ctx, func(q *session) error {
		taken, err := q.stepsTaken()
		switch {
		case err != nil:
			return err
		case !slices.Equal(taken, steps[:min(len(taken), len(steps))]):
			return errNewer
		}
		current = len(taken) == len(steps)
		return q.checkTables(current)
	})
	return current, err
}

func (q *session) stepsTaken() (taken []string, err error) {
	there, err := q.isOurs(q.tables.migrations, "id")
	if err != nil || !there {
		return nil, err
	}
	return taken, q.db.Table(q.tables.migrations).Order("id").Pluck("id", &taken).Error
}

// checkTables returns an error if a table with one of our names is another program's, or if one is not
// there that must be.
func (q *session) checkTables(must bool) error {
	for _, table := range []struct {
		name    string
		columns []string
	}{
		{q.tables.clients, columnsOf[clientRow]()},
		{q.tables.grants, columnsOf[grantRow]()},
		{q.tables.codes, columnsOf[codeRow]()},
		{q.tables.tokens, columnsOf[tokenRow]()},
	} {
		there, err := q.isOurs(table.name, table.columns...)
		if err != nil {
			return err
		}
		if must && !there {
			return fmt.Errorf("%w: the schema is complete by %s, and table %s is missing: restore the whole database, or "+
				"set TablePrefix", repository.ErrInvalid, q.tables.migrations, table.name)
		}
	}
	return nil
}

// isOurs reports whether there is a table of this name, and returns errTableTaken if it lacks one of
// the columns.
func (q *session) isOurs(table string, columns ...string) (bool, error) {
	var tables int
	if err := q.queryText([]any{&tables}, q.hasTable, table); err != nil || tables == 0 {
		return false, err
	}
	rows, err := q.db.Table(table).Limit(0).Rows()
	if err != nil {
		return false, err
	}
	defer rows.Close() //nolint:errcheck // nothing is read from it
	there, err := rows.Columns()
	if err != nil {
		return false, err
	}
	for _, column := range columns {
		if !slices.Contains(there, column) {
			return false, fmt.Errorf("%w: table %s has no column %s%s", errTableTaken, table, column, knownBy(there))
		}
	}
	return true, rows.Err()
}

// knownBy says whose table it is that has these columns, if that is known.
func knownBy(columns []string) string {
	for _, column := range []string{"client_id", "client_secret", "response_types", "grant_types"} {
		if !slices.Contains(columns, column) {
			return ""
		}
	}
	return ", but those of MCP Memory Service (Python), whose data this package cannot read"
}
