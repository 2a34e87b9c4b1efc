package integration_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// houses are the files of gormrepo that say what is special about a database.
var houses = []string{"sqlite.go", "postgres.go", "mysql.go"}

// ofADatabase matches what only a house names: a database, or a word of one database alone.
var ofADatabase = regexp.MustCompile(`(?i)sqlite|postgres|mysql|mariadb|galera|wsrep|pragma|sqlstate|for update`)

// TestWhatIsSpecialAboutADatabaseStandsInItsOwnFile: no other file of gormrepo names a dialect or asks which one it has,
// but for the list of the three, in database.go, and the function that finds one there.
func TestWhatIsSpecialAboutADatabaseStandsInItsOwnFile(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "gormrepo", "*.go"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files of gormrepo, %v", len(files), err)
	}
	found := make(map[string]bool)
	for _, path := range files {
		name := filepath.Base(path)
		found[name] = true
		if strings.HasSuffix(name, "_test.go") || slices.Contains(houses, name) {
			continue
		}
		for _, naming := range namesADatabase(t, path, nil) {
			if !allowedInDatabaseGo[naming.text] || name != "database.go" {
				t.Errorf("%s:%d: %s", name, naming.line, naming.text)
			}
		}
	}
	for _, house := range houses {
		if !found[house] {
			t.Errorf("gormrepo has no %s", house)
		}
		if len(namesADatabase(t, filepath.Join("..", "gormrepo", house), nil)) == 0 {
			t.Errorf("%s names no database: the check finds nothing", house)
		}
	}
}

var allowedInDatabaseGo = map[string]bool{"sqliteDialect": true, "postgresDialect": true, "mysqlDialect": true, "d.Name()": true}

// TestTheCheckOfHousesFindsEachWayToAsk gives it one of each.
func TestTheCheckOfHousesFindsEachWayToAsk(t *testing.T) {
	for _, asks := range []string{
		`func f(s Store) bool { return s.db.Name() == "x" }`,
		`func f(s Store) bool { return s.sqlite() }`,
		`const dialect = "MySQL"`,
		`func onPostgres() {}`,
		`const text = "SELECT 1 FOR UPDATE"`,
		`type mariadb struct{}`,
	} {
		if len(namesADatabase(t, "asks.go", "package gormrepo\n\n"+asks+"\n")) == 0 {
			t.Errorf("not found: %s", asks)
		}
	}
	const silent = "package gormrepo\n\n// f works on MySQL as well.\nfunc f(q session) error { return q.db.Where(\"id = ?\", 1).Error }\n"
	if found := namesADatabase(t, "silent.go", silent); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

type naming struct {
	text string
	line int
}

// namesADatabase finds identifiers and texts that name a database, and questions for the name of a dialect. Comments may.
func namesADatabase(t *testing.T, path string, source any) []naming {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []naming
	add := func(at ast.Node, text string) {
		found = append(found, naming{text, files.Position(at.Pos()).Line})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if ofADatabase.MatchString(n.Name) {
				add(n, n.Name)
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING && ofADatabase.MatchString(n.Value) {
				add(n, n.Value)
			}
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.SelectorExpr); ok && called.Sel.Name == "Name" && len(n.Args) == 0 {
				text := "Name()"
				if of, ok := called.X.(*ast.Ident); ok {
					text = of.Name + ".Name()"
				}
				add(n, text)
			}
		}
		return true
	})
	return found
}
