package gormrepo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/repository"
)

// Migrate brings the schema up to this program's, in one transaction, and does nothing to a current
// one. A schema that is newer is an error and stays untouched. Several processes may call it at once.
func (s *Store) Migrate(ctx context.Context) error {
	current, err := s.current(ctx)
	if err != nil || current {
		return s.wrap("migrate", err)
	}
	return s.wrap("migrate", s.inTx(ctx, func(c conn) error {
		migration := gormigrate.New(c.db, &gormigrate.Options{
			TableName: s.tables.migrations, IDColumnName: "id", IDColumnSize: 255,
			ValidateUnknownMigrations: true,
		}, steps(s.tables))
		err := migration.Migrate()
		if errors.Is(err, gormigrate.ErrUnknownPastMigration) {
			return errNewer
		}
		return err
	}))
}

var errNewer = fmt.Errorf("%w: the schema of the database is newer than this program: use a newer program", repository.ErrInvalid)

// current reports whether the schema is this program's; errNewer if it is a newer one's.
func (s *Store) current(ctx context.Context) (bool, error) {
	var current bool
	err := s.reading(ctx, func(c conn) (err error) {
		current, err = compare(c.db, s.tables)
		return err
	})
	return current, err
}

// CheckSchema returns an error that is ErrInvalid if the schema in db is newer than this program, and
// nil otherwise. It writes nothing.
func CheckSchema(ctx context.Context, db *gorm.DB, opts *Options) error {
	s, err := newStore(Database{Write: db}, opts)
	if err != nil {
		return err
	}
	_, err = compare(s.write.WithContext(ctx), s.tables)
	return s.wrap("check schema", err)
}

func compare(db *gorm.DB, t tables) (current bool, err error) {
	if err := db.Exec("SELECT 1").Error; err != nil {
		return false, err // HasTable tells no failure from absence
	}
	if !db.Migrator().HasTable(t.migrations) {
		return false, nil
	}
	var applied []string
	if err := db.Table(t.migrations).Order("id").Pluck("id", &applied).Error; err != nil {
		return false, err
	}
	return compareVersions(applied)
}

// compareVersions reports whether the steps that were applied are all that this program knows.
func compareVersions(applied []string) (bool, error) {
	known := versions()
	for _, id := range applied {
		if len(known) > 0 && id == known[0] {
			known = known[1:]
			continue
		}
		return false, errNewer
	}
	return len(known) == 0, nil
}

func versions() []string {
	var ids []string
	for _, step := range steps(tables{}) {
		ids = append(ids, step.ID)
	}
	return ids
}

// steps are the numbered steps of the schema, oldest first.
func steps(t tables) []*gormigrate.Migration {
	return []*gormigrate.Migration{
		{ID: "0001", Migrate: func(tx *gorm.DB) error { return execAll(tx, schema1(tx.Name(), t)) }},
	}
}

func execAll(tx *gorm.DB, statements []string) error {
	for _, statement := range statements {
		if err := tx.Exec(statement).Error; err != nil {
			return err
		}
	}
	return nil
}

// schema1 is the first schema. It is SQL and not GORM's AutoMigrate because that neither writes STRICT
// tables nor prefixed references, and rebuilds tables where it need not. STRICT refuses a value of the
// wrong type; rowid tables insert faster than WITHOUT ROWID here.
func schema1(dialect string, t tables) []string {
	blob, end := "BLOB", ""
	if dialect == "sqlite" {
		end = " STRICT"
	}
	expand := strings.NewReplacer("{clients}", t.clients, "{grants}", t.grants, "{codes}", t.codes,
		"{tokens}", t.tokens, "{blob}", blob, "{end}", end).Replace
	statements := []string{
		`CREATE TABLE {clients} (
			id TEXT NOT NULL PRIMARY KEY,
			kind TEXT NOT NULL,
			secrets TEXT,
			metadata TEXT NOT NULL,
			version INTEGER NOT NULL,
			created_at INTEGER NOT NULL,
			updated_at INTEGER NOT NULL
		){end}`,
		`CREATE TABLE {grants} (
			id TEXT NOT NULL PRIMARY KEY,
			client_id TEXT NOT NULL REFERENCES {clients} (id) ON DELETE CASCADE,
			subject TEXT NOT NULL,
			scopes TEXT,
			resources TEXT,
			data {blob},
			created_at INTEGER NOT NULL,
			last_used_at INTEGER,
			expires_at INTEGER,
			revoked_at INTEGER,
			revoked_reason TEXT
		){end}`,
		`CREATE INDEX {grants}_client_id ON {grants} (client_id)`,
		`CREATE INDEX {grants}_subject ON {grants} (subject)`,
		`CREATE INDEX {grants}_created_at ON {grants} (created_at)`,
		`CREATE TABLE {codes} (
			digest {blob} NOT NULL PRIMARY KEY,
			grant_id TEXT NOT NULL REFERENCES {grants} (id) ON DELETE CASCADE,
			client_id TEXT NOT NULL,
			subject TEXT NOT NULL,
			redirect_uri TEXT NOT NULL,
			scopes TEXT,
			resources TEXT,
			code_challenge TEXT NOT NULL,
			code_challenge_method TEXT NOT NULL,
			nonce TEXT NOT NULL,
			data {blob},
			created_at INTEGER NOT NULL,
			expires_at INTEGER NOT NULL,
			consumed_at INTEGER,
			revoked_at INTEGER
		){end}`,
		`CREATE INDEX {codes}_grant_id ON {codes} (grant_id)`,
		`CREATE INDEX {codes}_expires_at ON {codes} (expires_at, consumed_at)`,
		`CREATE TABLE {tokens} (
			digest {blob} NOT NULL PRIMARY KEY,
			kind TEXT NOT NULL,
			grant_id TEXT NOT NULL REFERENCES {grants} (id) ON DELETE CASCADE,
			client_id TEXT NOT NULL,
			subject TEXT NOT NULL,
			scopes TEXT,
			resources TEXT,
			data {blob},
			created_at INTEGER NOT NULL,
			expires_at INTEGER,
			consumed_at INTEGER,
			replay_sealed {blob},
			replay_expires_at INTEGER,
			revoked_at INTEGER
		){end}`,
		`CREATE INDEX {tokens}_grant_id ON {tokens} (grant_id)`,
		`CREATE INDEX {tokens}_expires_at ON {tokens} (expires_at)`,
		`CREATE INDEX {tokens}_replay_expires_at ON {tokens} (replay_expires_at) WHERE replay_expires_at IS NOT NULL`,
	}
	for i, statement := range statements {
		statements[i] = expand(statement)
	}
	return statements
}
