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

var errTableTaken = fmt.Errorf("%w: another program has a table with a name that this package needs: set TablePrefix, "+
	"or use another database", repository.ErrInvalid)

var errNewer = fmt.Errorf("%w: the schema of the database is newer than this program: use a newer program",
	repository.ErrInvalid)

// CheckSchema returns an error that is ErrInvalid if the schema in db is newer than this program,
// and nil otherwise. It writes nothing.
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
// errNewer if there is another one.
func (s *Store) schemaIsCurrent(ctx context.Context) (current bool, err error) {
	err = s.read(ctx, func(q *session) error {
		var tables int
		if err := q.queryText([]any{&tables}, q.hasTable, q.tables.migrations); err != nil {
			return err
		}
		var taken []string
		if tables > 0 {
			if err := q.db.Table(q.tables.migrations).Order("id").Pluck("id", &taken).Error; err != nil {
				return err
			}
		}
		if !slices.Equal(taken, steps[:min(len(taken), len(steps))]) {
			return errNewer
		}
		current = len(taken) == len(steps)
		return nil
	})
	return current, err
}
