package sqlitedb

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzDSN: whatever a path holds, the DSN names that path and nothing else, and path adds no parameter.
func FuzzDSN(f *testing.F) {
	for _, path := range []string{"oauth.db", "/a b/c?mode=memory&cache=shared#x", "100%.db", "a%3fb", "ü/日本", "file:x", "..", "//x", "\\x"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if checkPath(path) != nil || path == Memory {
			return
		}
		dsn, err := dsnOf(path)
		if err != nil {
			t.Fatal(err)
		}
		uri, err := url.Parse(dsn)
		if err != nil {
			t.Fatalf("%q became %q: %v", path, dsn, err)
		}
		want, _ := filepath.Abs(path)
		if uri.Path != filepath.ToSlash(want) || uri.Host != "" || uri.RawQuery != "mode=rw" || uri.Fragment != "" {
			t.Fatalf("%q became %q", path, dsn)
		}
		if strings.Count(dsn, "?") != 1 || strings.Contains(dsn, "#") {
			t.Fatalf("%q became %q", path, dsn)
		}
	})
}
