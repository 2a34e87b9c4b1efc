//go:build unix

package integration_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// TestADatabaseLiesUnderTheNameThatItWasGivenWhateverItsCharacters has names that mean something in
// a URI, in a driver's DSN, in SQL or in a shell.
func TestADatabaseLiesUnderTheNameThatItWasGivenWhateverItsCharacters(t *testing.T) {
	for _, name := range []string{
		"what?.db", "oauth.db?mode=memory", "oauth.db?_pragma=query_only(1)", "number#1.db", "100%.db", "%41%2f.db",
		"a;b.db", "a&cache=shared.db", "two words .db", `it's "quoted".db`, "two\nlines.db", `back\slash.db`,
		"plus+plus.db", "file:.db", ":memory:.db", "-wal", strings.Repeat("n", 240),
	} {
		for _, d := range sqliteDrivers {
			t.Run(fmt.Sprintf("%s %.20q", d.name, name), func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, name)
				for i := range 2 {
					opened(t, d.backend(), path, func(store repository.Store) {
						c := domain.Client{ID: fmt.Sprint("c", i), Kind: domain.Dynamic}
						err := errors.Join(store.Clients().Create(t.Context(), c), store.Ping(t.Context()))
						stats, errStats := store.Stats(t.Context())
						if err := errors.Join(err, errStats); err != nil || stats.Clients != int64(i+1) {
							t.Errorf("%d clients, %v", stats.Clients, err)
						}
						wantFiles(t, dir, name, name+"-shm", name+"-wal", name+".lock")
					})
					wantFiles(t, dir, name, name+".lock")
					if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "oauth_clients") {
						t.Errorf("it holds %d bytes and no tables: %v", len(text), err)
					}
				}
			})
		}
	}
}

// wantFiles looks at which files are in a directory.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("in the directory are %q, not %q", names, want)
	}
}

// TestAProgramThatChangesItsDirectoryStaysOnTheFileThatItOpened opens a relative path.
func TestAProgramThatChangesItsDirectoryStaysOnTheFileThatItOpened(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			first, second := t.TempDir(), t.TempDir()
			t.Chdir(first)
			store, err := d.open(t.Context(), filepath.Join("data", "oauth.db"), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			t.Chdir(second)
			var all sync.WaitGroup
			for i := range 16 { // some of the reads open connections now
				all.Go(func() {
					id := fmt.Sprint("c", i)
					err := store.Clients().Create(t.Context(), domain.Client{ID: id, Kind: domain.Dynamic})
					if err == nil {
						_, err = store.Clients().Get(t.Context(), id)
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if err := errors.Join(store.Ping(t.Context()), store.Close()); err != nil {
				t.Error(err)
			}
			wantFiles(t, second)
			wantFiles(t, filepath.Join(first, "data"), "oauth.db", "oauth.db.lock")
			opened(t, d.backend(), filepath.Join(first, "data", "oauth.db"), func(store repository.Store) {
				if stats, err := store.Stats(t.Context()); err != nil || stats.Clients != 16 {
					t.Errorf("%d clients, %v", stats.Clients, err)
				}
			})
		})
	}
}
