package gormrepo

import (
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"
)

// Statements returns what every request runs on a database of that dialect, each statement by its
// name and with the parameters that it is called with.
func Statements(d gorm.Dialector) (string, error) {
	ours, err := dialectOf(d)
	if err != nil {
		return "", err
	}
	s, err := newStatements(d, ours.traits, tablesOf(DefaultTablePrefix))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	listStatements(&b, "", reflect.ValueOf(*s))
	return strings.TrimSpace(b.String()) + "\n", nil
}

func listStatements(b *strings.Builder, prefix string, fields reflect.Value) {
	for i := range fields.NumField() {
		name, field := prefix+fields.Type().Field(i).Name, fields.Field(i)
		if field.Type() != reflect.TypeFor[statement]() {
			listStatements(b, name+".", field)
			continue
		}
		if text := field.FieldByName("text").String(); text != "" {
			fmt.Fprintf(b, "-- %s %v\n%s;\n\n", name, field.FieldByName("parameters"), text)
		}
	}
}

// Compile makes a statement of a chain on the table t, with two parameters, and returns its text.
func Compile(d gorm.Dialector, chain func(t *gorm.DB, a, b any) *gorm.DB) (string, error) {
	ours, err := dialectOf(d)
	if err != nil {
		return "", err
	}
	compiler, err := newCompiler(d, ours.traits.clauses)
	if err != nil {
		return "", err
	}
	s := compiler.statement(chain(compiler.table("t"), parameter("a"), parameter("b")), "a", "b")
	return s.text, compiler.err()
}

// Waiting returns how many writes wait to join a commit, or to lead.
func (s *Store) Waiting() int {
	g := s.database.(*sqliteFile).commits
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}
