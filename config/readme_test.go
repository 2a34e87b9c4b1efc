package config_test

import (
	"os"
	"strings"
	"testing"
)

func TestTheReadmeQuotesTheWiringThatIsTested(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	tested, err := os.ReadFile("wiring_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, routes, found := strings.Cut(string(tested), "\nfunc routes")
	if !found || !strings.Contains(string(readme), "func routes"+routes+"```") {
		t.Error("README.md differs from wiring_test.go")
	}
}

func TestTheReadmeNamesEachVariable(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("load.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range strings.Split(string(source), "`env:\"")[1:] {
		name, _, _ := strings.Cut(tag, "\"")
		if !strings.Contains(string(readme), "| `"+name+"` |") {
			t.Errorf("the table has no %s", name)
		}
	}
}
