package integration_test

import (
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

// TestEachStatementUsesAnIndexOnServers runs the suite on each server, collects the statements, and asks how the server
// would run each on a database with many grants, codes and tokens. Those of Stats count whole tables.
func TestEachStatementUsesAnIndexOnServers(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			statements := s.statements(t)
			if len(statements) < 25 {
				t.Fatalf("only %d statements were logged", len(statements))
			}
			db := s.filled(t)
			for _, statement := range statements {
				if strings.Contains(strings.ToUpper(statement), "COUNT(") {
					continue
				}
				if step := s.scan(t, db, statement); step != "" {
					t.Errorf("%s\n\treads a whole table: %s", statement, step)
				}
			}
		})
	}
}

// statements are those that the suite runs on the server.
func (s server) statements(t *testing.T) []string {
	t.Helper()
	var log lockedBuffer
	address := s.database(t)
	t.Run("suite", func(t *testing.T) {
		repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
			log := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			store, err := s.open(t.Context(), address, &postgres.Options{Now: opt.Now, Logger: log, TablePrefix: prefix()})
			if err != nil {
				t.Fatal(err)
			}
			return store
		})
	})
	return loggedStatements(t, regexp.MustCompile(`[Tt][a-z0-9]{12}_`).ReplaceAllString(log.String(), "oauth_"))
}

// filled is a database with many rows, as the server sees it that has analyzed them.
func (s server) filled(t *testing.T) *gorm.DB {
	t.Helper()
	address := s.database(t)
	opened(t, s.backend(), address, func(repository.Store) {})
	db := s.handle(t, address)
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1) // settings of the session
	fill(t, db)
	analyze(t, db)
	return db
}

// scan returns the step of the plan that reads a whole table, if there is one.
func (s server) scan(t *testing.T, db *gorm.DB, statement string) string {
	t.Helper()
	if s.name == "MySQL" {
		return scanMySQL(t, db, statement)
	}
	nulls := make([]string, strings.Count(statement, "$"))
	for i := range nulls {
		nulls[i] = "NULL"
	}
	execute := "EXPLAIN EXECUTE asked"
	if len(nulls) > 0 {
		execute += "(" + strings.Join(nulls, ", ") + ")"
	}
	var steps []string
	for _, text := range []string{"SET plan_cache_mode = force_generic_plan", "PREPARE asked AS " + statement} {
		if err := db.Exec(text).Error; err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := db.Raw(execute).Scan(&steps).Error; err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if err := db.Exec("DEALLOCATE asked").Error; err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if strings.Contains(step, "Seq Scan") && !strings.Contains(step, "oauth_clients") {
			return step
		}
	}
	return walk.FindString(strings.Join(steps, "\n"))
}

// walk matches a step of PostgreSQL's that goes through all keys after one, in search of what an owner has.
var walk = regexp.MustCompile(`Scan using oauth_\w+_pkey.*\n *Index Cond: \(\w+ > \S+\)\n *Filter: .*\b(grant_id|client_id|subject)\b\)?(::text)? = .*`)

var placeholder = regexp.MustCompile("(?:[a-z_]+\\.)?`?([a-z_]+)`? (=|>|<|<=|>=|IN) \\(?\\?\\)?|\\?")

// scanMySQL puts plausible values in, of which the plan depends.
func scanMySQL(t *testing.T, db *gorm.DB, statement string) string {
	t.Helper()
	d := "0x" + domain.DigestOf("token500").Hex()
	values := map[string]string{
		"id": "'g500'", "grant_id": "'g500'", "client_id": "'c500'", "subject": "'u500'", "digest": d, "kind": "'access_token'",
		"created_at": strconv.FormatInt(time.Now().Add(-30*24*time.Hour).UnixMicro(), 10), // of what has ended long ago
	}
	asked := placeholder.ReplaceAllStringFunc(statement, func(found string) string {
		column := placeholder.FindStringSubmatch(found)[1]
		value, known := values[column]
		if !known {
			value = strconv.FormatInt(time.Now().UnixMicro(), 10)
		}
		return strings.Replace(found, "?", value, 1)
	})
	var steps []struct{ Table, Type, Key, Extra *string }
	if err := db.Raw("EXPLAIN " + asked).Scan(&steps).Error; err != nil {
		t.Fatalf("%s: %v", asked, err)
	}
	for _, step := range steps {
		whole := step.Type != nil && (*step.Type == "ALL" || *step.Type == "index") // all rows, or all of an index
		if whole && step.Table != nil && *step.Table != "oauth_clients" {
			return fmt.Sprint(*step.Table, " ", *step.Type)
		}
	}
	return ""
}
