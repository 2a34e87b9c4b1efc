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
	if sqlState(err) == "42P07" || mysqlNumber(err) == 1054 { // a table is there, or has not our columns
		err = errForeign
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
			err := s.migrateLocked(ctx, db)
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

func (s *Store) migrateLocked(ctx context.Context, connection *gorm.DB) error {
	db := inSession(ctx, connection)
	const seconds = 60
	var held *int
	name := s.tables.migrations // of this database: GET_LOCK knows no databases
	if err := db.Raw("SELECT GET_LOCK(CONCAT(LEFT(MD5(DATABASE()), 16), ?), ?)", name, seconds).Scan(&held).Error; err != nil {
		return err
	}
	if held == nil || *held != 1 {
		return fmt.Errorf("another instance has been migrating for %d seconds", seconds)
	}
	defer func() {
		late, end := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer end()
		released := inSession(late, connection).Exec("SELECT RELEASE_LOCK(CONCAT(LEFT(MD5(DATABASE()), 16), ?))", name)
		if released.Error != nil {
			discard(connection) // the lock ends with it
		}
	}()
	return s.migrate(conn{db: db, now: s.now(), tables: s.tables})
}

var errForeign = fmt.Errorf("%w: a table with the name of one of this package's is another program's: set TablePrefix, "+
	"or use another database", repository.ErrInvalid)

var errNewer = fmt.Errorf("%w: the schema of the database is newer than this program: use a newer program", repository.ErrInvalid)

// current reports whether the schema is this program's; errNewer if it is a newer one's.
func (s *Store) current(ctx context.Context) (bool, error) {
	var current bool
	err := s.reading(ctx, func(c conn) (err error) {
		current, err = compare(c, s.tables)
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
	err = s.again(ctx, func() error { // another process may be about to create it
		_, err := compare(conn{db: s.write.WithContext(ctx)}, s.tables)
		return err
	})
	return s.wrap("check schema", err)
}

func compare(c conn, t tables) (current bool, err error) {
	migrated, err := c.has(t.migrations)
	if err != nil || !migrated {
		return false, err
	}
	var applied []string
	if err := c.db.Table(t.migrations).Order("id").Pluck("id", &applied).Error; err != nil {
		return false, err
	}
	return compareVersions(applied)
}

// has reports whether there is a table of that name, where statements find it.
func (c conn) has(table string) (bool, error) {
	var n int
	err := c.one([]any{&n}, map[string]string{
		"sqlite":   "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
		"postgres": "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = $1 AND pg_catalog.pg_table_is_visible(oid)",
		"mysql":    "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
	}[c.db.Name()], table)
	return n > 0, err
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
		if dialect == "mysql" { // or one that is there would pass for ours
			statements = append(statements, "SELECT "+table.named()+" FROM "+table.name+" LIMIT 0")
		}
	}
	for i, statement := range statements {
		statements[i] = expand(statement)
	}
	return statements
}
