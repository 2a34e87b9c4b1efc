package integration_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/oauthstore/oauthstore/"

// The drivers, by the package of each that only it has.
var databaseDrivers = map[string]string{
	"glebarez": "github.com/glebarez/go-sqlite",
	"mattn":    "github.com/mattn/go-sqlite3",
	"pgx":      "github.com/jackc/pgx/v5",
	"mysql":    "github.com/go-sql-driver/mysql",
}

func TestImportsPointOneWay(t *testing.T) {
	for pkg, allowed := range map[string][]string{
		"domain":              {},
		"repository":          {"domain"},
		"repository/flow":     {"domain", "repository"},
		"repository/cleanup":  {"domain", "repository"},
		"repository/repotest": {"domain", "repository", "repository/flow"},
		"repository/mcpauth":  {"domain", "repository"},
		"memoryrepo":          {"domain", "repository"},
		"gormrepo":            {"domain", "repository", "gormrepo/internal/dbfile", "gormrepo/internal/sqlitecode"},
		"gormrepo/sqlite": {"domain", "repository", "gormrepo", "gormrepo/internal/dbfile", "gormrepo/internal/sqlitecode",
			"gormrepo/internal/sqlitedb"},
		"gormrepo/sqlitecgo": {"domain", "repository", "gormrepo", "gormrepo/internal/dbfile", "gormrepo/internal/sqlitecode",
			"gormrepo/internal/sqlitedb"},
		"config": {"domain", "repository", "repository/cleanup", "memoryrepo", "gormrepo", "gormrepo/internal/dbfile",
			"gormrepo/internal/sqlitecode", "gormrepo/internal/sqlitedb", "gormrepo/sqlite",
			"gormrepo/internal/serverdb", "gormrepo/postgres", "gormrepo/mysql"},
		"gormrepo/postgres": {"domain", "repository", "gormrepo", "gormrepo/internal/dbfile", "gormrepo/internal/sqlitecode",
			"gormrepo/internal/serverdb"},
		"gormrepo/mysql": {"domain", "repository", "gormrepo", "gormrepo/internal/dbfile", "gormrepo/internal/sqlitecode",
			"gormrepo/internal/serverdb"},
	} {
		for _, dep := range deps(t, pkg) {
			own, ours := strings.CutPrefix(dep, module)
			if ours && own != pkg && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s", pkg, own)
			}
		}
	}
}

func TestTheContractAndTheMemoryStoreImportTheStandardLibraryAlone(t *testing.T) {
	for _, pkg := range []string{"domain", "repository", "repository/flow", "repository/cleanup", "repository/repotest", "memoryrepo"} {
		for _, dep := range deps(t, pkg) {
			first, _, _ := strings.Cut(dep, "/")
			if strings.Contains(first, ".") && !strings.HasPrefix(dep, module) {
				t.Errorf("%s imports %s", pkg, dep)
			}
		}
	}
}

func TestEachDriverPackageLinksItsDriverAndNoOther(t *testing.T) {
	for pkg, want := range map[string][]string{
		"gormrepo":                   nil,
		"gormrepo/internal/sqlitedb": nil,
		"gormrepo/internal/serverdb": nil,
		"gormrepo/sqlite":            {"glebarez"},
		"gormrepo/sqlitecgo":         {"mattn"},
		"gormrepo/postgres":          {"pgx"},
		"gormrepo/mysql":             {"mysql"},
		"config":                     {"glebarez", "pgx", "mysql"},
	} {
		linked := deps(t, pkg)
		for name, driver := range databaseDrivers {
			if slices.Contains(linked, driver) != slices.Contains(want, name) {
				t.Errorf("%s links %s: %v", pkg, driver, !slices.Contains(want, name))
			}
		}
	}
}

// deps lists what pkg imports, directly and not.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", module+pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}
