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
	switch s.write.Name() {
	case "postgres":
		err = s.inTx(ctx, func(c conn) error {
			// Two instances would both find nothing, and both create it.
			if _, err := c.exec("SELECT pg_advisory_xact_lock(hashtext($1))", s.tables.migrations); err != nil {
				return err
			}
			return s.migrate(c)
		})
	case "mysql":
		err = s.migrateMySQL(ctx)
	default:
		err = s.inTx(ctx, s.migrate)
	}
	return s.wrap("migrate", err)
}

func (s *Store) migrate(c conn) error {
	migration := gormigrate.New(c.db, &gormigrate.Options{
		TableName: s.tables.migrations, IDColumnName: "id", IDColumnSize: 255,
		ValidateUnknownMigrations: true,
	}, steps(s.tables))
	err := migration.Migrate()
	if errors.Is(err, gormigrate.ErrUnknownPastMigration) {
		return errNewer
	}
	return err
}

// migrateMySQL migrates outside of a transaction, which a CREATE TABLE would commit, under a lock of the session. What
// a lost connection cut short goes on from where it was.
func (s *Store) migrateMySQL(ctx context.Context) error {
	return s.again(ctx, func() error {
		return s.write.WithContext(ctx).Connection(func(db *gorm.DB) error {
			err := s.migrateLocked(ctx, db.Session(&gorm.Session{NewDB: true, Context: ctx}))
			if err != nil && !answered(err) && ended(ctx) == nil && gone(db) {
				return lostError{err}
			}
			switch mysqlNumber(err) {
			case 1050, 1062: // the table, or its row, is there: the lock is of one node alone, and on another one somebody was first
				return lostError{err}
			}
			return err
		})
	})
}

func (s *Store) migrateLocked(ctx context.Context, db *gorm.DB) error {
	const seconds = 60
	var held *int
	name := s.tables.migrations // of this database: GET_LOCK knows no databases
	if err := db.Raw("SELECT GET_LOCK(CONCAT(LEFT(MD5(DATABASE()), 16), ?), ?)", name, seconds).Scan(&held).Error; err != nil {
		return err
	}
	if held == nil || *held != 1 {
		return fmt.Errorf("another instance has been migrating for %d seconds", seconds)
	}
	defer db.WithContext(context.WithoutCancel(ctx)).Exec("SELECT RELEASE_LOCK(CONCAT(LEFT(MD5(DATABASE()), 16), ?))", name)
	return s.migrate(conn{db: db, now: s.now(), tables: s.tables})
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
//
// MySQL commits with each statement: its tables bring their indexes along, and creating one that is there
// already does nothing, so that a migration that was cut short goes on.
func schema1(dialect string, t tables) []string {
	d := dialects[dialect]
	expand := strings.NewReplacer(append([]string{"{clients}", t.clients, "{grants}", t.grants, "{codes}", t.codes,
		"{tokens}", t.tokens}, d.types...)...).Replace
	var statements []string
	for _, table := range schema {
		body, rest := table.columns, []string(nil)
		for _, index := range table.indexes {
			if dialect == "mysql" {
				columns, _, _ := strings.Cut(index.columns, " WHERE")
				body += ",\nINDEX " + table.name + "_" + index.name + " " + columns
			} else {
				rest = append(rest, "CREATE INDEX "+table.name+"_"+index.name+" ON "+table.name+" "+index.columns)
			}
		}
		statements = append(statements, d.create+" "+table.name+" ("+body+")"+d.end)
		statements = append(statements, rest...)
	}
	for i, statement := range statements {
		statements[i] = expand(statement)
	}
	return statements
}
