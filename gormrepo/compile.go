package gormrepo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// statement is the text that GORM has made of a chain, and which of a call's values stands at each
// of its places.
type statement struct {
	text       string
	parameters []parameter // the values that a call gives, in this order
	order      []int       // at each place of the text, the index of its value; nil: the values stand as they are given
	returns    bool        // it has RETURNING: the rows that it changes come back
}

// parameter stands in a chain for a value that each call gives anew.
type parameter string

// arrange puts the values of a call in the order of the places.
func (s statement) arrange(values []any) []any {
	if s.order == nil {
		return values
	}
	arranged := make([]any, len(s.order))
	for i, value := range s.order {
		arranged[i] = values[value]
	}
	return arranged
}

// compiler makes statements of GORM chains, without a database: GORM writes the texts of a dry run.
// They go to the handle's prepared statements as they are. To build each statement and read each
// row with GORM for every call took as long as SQLite itself.
type compiler struct {
	db   *gorm.DB
	errs []error
}

// newCompiler returns a compiler for a dialect. It works on a handle of its own: the plugins and
// callbacks of an application's handle could add conditions to a text.
func newCompiler(d gorm.Dialector, clauses callbacks.Config) (*compiler, error) {
	db, err := gorm.Open(offlineDialect{d, clauses}, &gorm.Config{
		DryRun: true, SkipDefaultTransaction: true, DisableAutomaticPing: true, Logger: logger.Discard,
	})
	return &compiler{db: db}, err
}

// offlineDialect is a dialect without its connection: it only writes statements.
type offlineDialect struct {
	gorm.Dialector
	clauses callbacks.Config // which the dialect would find out by asking its database
}

// Initialize implements gorm.Dialector.
func (w offlineDialect) Initialize(db *gorm.DB) error {
	callbacks.RegisterDefaultCallbacks(db, &w.clauses)
	if d, ok := w.Dialector.(interface {
		ClauseBuilders() map[string]clause.ClauseBuilder
	}); ok {
		for name, build := range d.ClauseBuilders() {
			db.ClauseBuilders[name] = build
		}
	}
	return nil
}

// table begins a chain.
func (c *compiler) table(name string) *gorm.DB {
	return c.db.Session(&gorm.Session{NewDB: true, SkipHooks: true, Context: context.Background()}).Table(name)
}

// returning is what an update of a row returns, if the database can.
func returning(columns ...string) clause.Returning {
	var all clause.Returning
	for _, name := range columns {
		all.Columns = append(all.Columns, clause.Column{Name: name})
	}
	return all
}

// columns returns the names of the columns of a row, or of a slice of rows, in the order of its
// fields.
func (c *compiler) columns(rows any) []string {
	parsed := gorm.Statement{DB: c.db}
	if err := parsed.Parse(rows); err != nil {
		c.errs = append(c.errs, err)
		return []string{""}
	}
	var names []string
	for _, field := range parsed.Schema.Fields {
		names = append(names, field.DBName)
	}
	return names
}

// statement makes a statement of a chain whose values are all parameters. A value of another kind
// would be the same in each call, and is an error: Take would bind its limit of 1, for example.
func (c *compiler) statement(chain *gorm.DB, parameters ...parameter) statement {
	s := c.text(chain)
	s.parameters = parameters
	used := make([]bool, len(parameters))
	for _, v := range chain.Statement.Vars {
		p, ok := v.(parameter)
		i := slices.Index(parameters, p)
		if !ok || i < 0 {
			c.errs = append(c.errs, fmt.Errorf("%s: a value is %v, not one of the parameters %q", s.text, v, parameters))
			return s
		}
		used[i] = true
		s.order = append(s.order, i)
	}
	if i := slices.Index(used, false); i >= 0 {
		c.errs = append(c.errs, fmt.Errorf("%s: has no place for %s", s.text, parameters[i]))
	}
	return s
}

// insertion makes a statement that stores rows, which are a pointer to a row or to a slice of rows.
// Its parameters are the columns of each row, as values returns them.
func (c *compiler) insertion(table string, rows any) statement {
	chain := c.table(table).Create(rows)
	s := c.text(chain)
	stored, _ := chain.Statement.Clauses["VALUES"].Expression.(clause.Values)
	var names []string
	for _, column := range stored.Columns {
		names = append(names, column.Name)
	}
	if !slices.Equal(names, c.columns(rows)) {
		c.errs = append(c.errs, fmt.Errorf("%s: the columns are not those of the row, in the order of its fields", s.text))
	}
	for range stored.Values {
		for _, name := range names {
			s.parameters = append(s.parameters, parameter(name))
		}
	}
	if len(chain.Statement.Vars) != len(s.parameters) {
		c.errs = append(c.errs, fmt.Errorf("%s: has not one place for each column", s.text))
	}
	return s
}

func (c *compiler) text(chain *gorm.DB) statement {
	c.errs = append(c.errs, chain.Error)
	text := chain.Statement.SQL.String()
	return statement{text: text, returns: strings.Contains(text, " RETURNING ")}
}

func (c *compiler) err() error { return errors.Join(c.errs...) }
