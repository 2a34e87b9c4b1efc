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
}

func TestImportsPointOneWay(t *testing.T) {
	for pkg, allowed := range map[string][]string{
		"domain":              {},
		"repository":          {"domain"},
		"repository/flow":     {"domain", "repository"},
		"repository/cleanup":  {"domain", "repository"},
		"repository/repotest": {"domain", "repository", "repository/flow"},
		"memoryrepo":          {"domain", "repository"},
		"gormrepo":            {"domain", "repository"},
		"gormrepo/sqlite":     {"domain", "repository", "gormrepo", "gormrepo/internal/sqlitedb"},
		"gormrepo/sqlitecgo":  {"domain", "repository", "gormrepo", "gormrepo/internal/sqlitedb"},
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
	for pkg, want := range map[string]string{
		"gormrepo":                   "",
		"gormrepo/internal/sqlitedb": "",
		"gormrepo/sqlite":            "glebarez",
		"gormrepo/sqlitecgo":         "mattn",
	} {
		linked := deps(t, pkg)
		for name, driver := range databaseDrivers {
			if slices.Contains(linked, driver) != (name == want) {
				t.Errorf("%s links %s: %v", pkg, driver, name != want)
			}
		}
	}
}

// deps lists what pkg imports, directly and not.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", module+pkg).Output() //nolint:gosec // our own package names
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}
