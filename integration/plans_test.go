package integration_test

import (
	"encoding/json"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

// TestEachStatementUsesAnIndex runs the whole suite, collects the statements, and asks SQLite how it would run
// each on a database with many grants, codes and tokens, before and after it has analyzed them. Those of Stats count whole
// tables, and say so.
func TestEachStatementUsesAnIndex(t *testing.T) {
	var log lockedBuffer
	t.Run("suite", func(t *testing.T) {
		repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
			logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			store, err := sqlite.Open(t.Context(), sqlite.Memory, &sqlite.Options{Now: opt.Now, Logger: logger})
			if err != nil {
				t.Fatal(err)
			}
			return store
		})
	})
	path := dbPath(t)
	opened(t, pureGo.backend(), path, func(repository.Store) {})
	db := plainGORM(t, pureGo, path, &gorm.Config{})
	statements := loggedStatements(t, log.String())
	if len(statements) < 30 {
		t.Fatalf("only %d statements were logged", len(statements))
	}
	fill(t, db)
	t.Run("as they are", func(t *testing.T) { useIndexes(t, db, statements) })
	analyze(t, db)
	t.Run("analyzed", func(t *testing.T) { useIndexes(t, db, statements) })
}

func useIndexes(t *testing.T, db *gorm.DB, statements []string) {
	t.Helper()
	for _, statement := range statements {
		for _, step := range plan(t, db, statement) {
			if strings.HasPrefix(step, "SCAN") && !strings.Contains(strings.ToUpper(statement), "COUNT(") && !strings.HasPrefix(step, "SCAN CONSTANT") {
				t.Errorf("%s\n\treads a whole table: %s", statement, step)
			}
			if strings.Contains(step, "TEMP B-TREE") && !sortsFew.MatchString(statement) {
				t.Errorf("%s\n\tsorts: %s", statement, step)
			}
		}
	}
}

// sortsFew matches what sorts the grants of one client or subject, or the tokens of one grant, and so a few rows.
var sortsFew = regexp.MustCompile("WHERE .*(client_id|subject|grant_id)`? (= \\?|IN \\(SELECT)")

// loggedStatements returns each statement on the tables of the store once, lists of values with one.
func loggedStatements(t *testing.T, log string) []string {
	t.Helper()
	lists := regexp.MustCompile(`\(\?(,\?)+\)`)
	numbers := regexp.MustCompile(`\$(\d+)\$`) // as GORM's logger writes $1
	var all []string
	for line := range strings.Lines(log) {
		var entry struct{ SQL string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		verb, _, _ := strings.Cut(entry.SQL, " ")
		if slices.Contains([]string{"SELECT", "UPDATE", "DELETE"}, verb) && strings.Contains(entry.SQL, "oauth_") &&
			!strings.Contains(entry.SQL, "oauth_migrations") {
			all = append(all, numbers.ReplaceAllString(lists.ReplaceAllString(entry.SQL, "(?)"), "$$$1"))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// plan returns the steps of EXPLAIN QUERY PLAN.
func plan(t *testing.T, db *gorm.DB, statement string) []string {
	t.Helper()
	rows, err := db.Raw("EXPLAIN QUERY PLAN "+statement, make([]any, strings.Count(statement, "?"))...).Rows()
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
