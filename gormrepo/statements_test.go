package gormrepo_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	puregosqlite "github.com/glebarez/sqlite"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	cgosqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/gormrepo"
)

var write = flag.Bool("write", false, "write the statements of each dialect to testdata")

// TestTheStatementsOfEachDialectAreThoseOfTheFile needs no database: GORM writes the texts without one.
func TestTheStatementsOfEachDialectAreThoseOfTheFile(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		dialect    gorm.Dialector
	}{
		{"SQLite, pure Go", "sqlite", &puregosqlite.Dialector{}},
		{"SQLite, cgo", "sqlite", &cgosqlite.Dialector{}},
		{"PostgreSQL", "postgres", postgres.New(postgres.Config{})},
		{"MySQL", "mysql", mysql.New(mysql.Config{})},
		{"MariaDB, whose RETURNING is none of an UPDATE", "mysql", mysql.New(mysql.Config{ServerVersion: "10.11.0-MariaDB"})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := gormrepo.Statements(tt.dialect)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "statements."+tt.file+".sql")
			if *write {
				if err := errors.Join(os.MkdirAll("testdata", 0o750), os.WriteFile(path, []byte(got), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s has other statements (go test ./gormrepo -run Statements -write):\n%s", path, got)
			}
		})
	}
}

func TestAStatementWhoseValuesAreNotItsParametersIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		chain   func(t *gorm.DB, a, b any) *gorm.DB
		refused bool
	}{
		"both": {chain: func(t *gorm.DB, a, b any) *gorm.DB {
			return t.Where("x = ? AND y = ?", b, a).Find(&[]map[string]any{})
		}},
		"one twice": {chain: func(t *gorm.DB, a, b any) *gorm.DB {
			return t.Where("x = ? AND y = ? AND z = ?", a, b, a).Find(&[]map[string]any{})
		}},
		"one is missing": {refused: true, chain: func(t *gorm.DB, a, _ any) *gorm.DB {
			return t.Where("x = ?", a).Find(&[]map[string]any{})
		}},
		"a value of its own": {refused: true, chain: func(t *gorm.DB, a, b any) *gorm.DB {
			return t.Where("x = ? AND y = ? AND z = ?", a, b, 1).Find(&[]map[string]any{})
		}},
		"a limit that GORM binds": {refused: true, chain: func(t *gorm.DB, a, b any) *gorm.DB {
			return t.Where("x = ? AND y = ?", a, b).Take(&map[string]any{})
		}},
		"no conditions, which GORM refuses": {refused: true, chain: func(t *gorm.DB, a, b any) *gorm.DB {
			return t.Updates(map[string]any{"x": a, "y": b})
		}},
	} {
		if text, err := gormrepo.Compile(postgres.New(postgres.Config{}), tt.chain); (err != nil) != tt.refused {
			t.Errorf("%s: %s: %v", name, text, err)
		}
	}
}
