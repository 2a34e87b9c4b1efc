package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

// pageCommands are the commands of docs/operations.md, by the name that each has in its first line,
// and what is tested of each.
var pageCommands = map[string]func(t *testing.T, command string){
	"back up":            backsUp,
	"check":              func(t *testing.T, command string) { checks(t, command) },
	"restore":            restores,
	"sign everybody out": signsEverybodyOut,
	"move":               moves,
	"rewrite":            rewrites,
	"back up PostgreSQL": nil, // with its restoring
	"restore PostgreSQL": func(t *testing.T, command string) { restoresServer(t, postgreSQL, command) },
	"back up MySQL":      nil,
	"restore MySQL":      func(t *testing.T, command string) { restoresServer(t, mySQL, command) },
}

var commandForm = regexp.MustCompile("(?s)```sh\n# (.*?)\n(.*?)```")

// commands returns the commands of the page by their names.
func commands(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, found := range commandForm.FindAllSubmatch(page, -1) {
		all[string(found[1])] = string(found[2])
	}
	if n := bytes.Count(page, []byte("```")) / 2; n != len(all) {
		t.Fatalf("%d of %d blocks of the page are commands with names of their own", len(all), n)
	}
	return all
}

func TestTheCommandsOfTheOperationsPageDoWhatItSays(t *testing.T) {
	all := commands(t)
	if len(all) != len(pageCommands) {
		t.Errorf("the page has %d commands, and %d are tested", len(all), len(pageCommands))
	}
	for name, command := range all {
		test, known := pageCommands[name]
		if !known {
			t.Errorf("nothing tests the command %q", name)
		}
		if test != nil {
			t.Run(name, func(t *testing.T) { test(t, command) })
		}
	}
}

// sh runs a command with variables, NAME=value, and returns what it prints.
func sh(t *testing.T, command string, variables ...string) string {
	t.Helper()
	for _, tool := range []string{"sqlite3", "pg_dump", "mariadb-dump"} {
		if _, err := exec.LookPath(tool); err != nil && strings.Contains(command, tool) {
			t.Skipf("there is no %s", tool)
		}
	}
	run := exec.CommandContext(t.Context(), "sh", "-e", "-c", command)
	run.Env = append(os.Environ(), variables...)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%s%v", command, out, err)
	}
	return string(out)
}

// backedUp makes a database, and a backup of it while it is open.
func backedUp(t *testing.T) (path, backup string) {
	t.Helper()
	path = dbPath(t)
	backup = path + ".backup"
	opened(t, pureGo.backend(), path, func(store repository.Store) {
		fillOnce(t, store)
		sh(t, commands(t)["back up"], "DB="+path, "BACKUP="+backup)
	})
	return path, backup
}

// fillOnce stores a client with a grant and a token.
func fillOnce(t *testing.T, store repository.Store) {
	t.Helper()
	ctx := t.Context()
	err := errors.Join(store.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}),
		store.Grants().Create(ctx, domain.Grant{ID: "grant", ClientID: theClient, Subject: theUser}),
		store.Tokens().Create(ctx, newToken(domain.AccessToken, "grant")))
	if err != nil {
		t.Fatal(err)
	}
}

func statsOf(t *testing.T, with backend, address string) (stats repository.Stats) {
	t.Helper()
	opened(t, with, address, func(store repository.Store) {
		var err error
		if stats, err = store.Stats(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	return stats
}

// backsUp makes a backup while four goroutines write, and wants all that they had written before.
func backsUp(t *testing.T, command string) {
	for _, d := range sqliteDrivers {
		path := dbPath(t)
		backup := path + ".backup"
		var before []domain.Digest
		opened(t, d.backend(), path, func(store repository.Store) {
			fillOnce(t, store)
			ctx, stop := context.WithCancel(t.Context())
			var mu sync.Mutex
			var all []domain.Digest
			var writers sync.WaitGroup
			enough := make(chan struct{})
			for range 4 {
				writers.Go(func() {
					for ctx.Err() == nil {
						token := newToken(domain.AccessToken, "grant")
						if err := store.Tokens().Create(t.Context(), token); err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						if all = append(all, token.Digest); len(all) == 100 {
							close(enough)
						}
						mu.Unlock()
					}
				})
			}
			<-enough
			mu.Lock()
			before = append(before, all...)
			mu.Unlock()
			sh(t, command, "DB="+path, "BACKUP="+backup)
			stop()
			writers.Wait()
		})
		wantMode(t, backup, 0o600)
		opened(t, d.backend(), backup, func(store repository.Store) {
			for _, digest := range before {
				if _, err := store.Tokens().Get(t.Context(), digest); err != nil {
					t.Errorf("a token that was acknowledged before: %v", err)
				}
			}
		})
		checks(t, commands(t)["check"])
	}
}

func checks(t *testing.T, command string) {
	t.Helper()
	_, backup := backedUp(t)
	if out := sh(t, command, "BACKUP="+backup); out != "ok\n" {
		t.Errorf("of a backup it prints %q", out)
	}
	damaged := contents(t, backup)
	for i := range damaged[4096:] {
		damaged[4096+i] ^= 1
	}
	write(t, backup, string(damaged))
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", "BACKUP="+backup+"; "+command).CombinedOutput(); string(out) == "ok\n" {
		t.Errorf("of a damaged backup it prints %q, %v", out, err)
	}
}

// restores has a process killed after the backup, which leaves a -wal behind. Beside that, the backup
// is not what it was.
func restores(t *testing.T, command string) {
	path, backup := backedUp(t)
	wanted := statsOf(t, pureGo.backend(), backup)
	store, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Clients().Create(t.Context(), domain.Client{ID: "in the -wal", Kind: domain.Dynamic}); err != nil {
		t.Fatal(err)
	}
	wal := contents(t, path+"-wal")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	wrong := dbPath(t)
	write(t, wrong, string(contents(t, backup)))
	write(t, wrong+"-wal", string(wal))
	if got := statsOf(t, pureGo.backend(), wrong); got == wanted {
		t.Fatal("a backup beside another -wal has what it had: nothing is shown here")
	}
	write(t, path+"-wal", string(wal)) // as a killed process leaves it
	sh(t, command, "DB="+path, "BACKUP="+backup)
	wantMode(t, path, 0o600)
	if got := statsOf(t, pureGo.backend(), path); got != wanted {
		t.Errorf("restored: %+v, and the backup has %+v", got, wanted)
	}
}

func signsEverybodyOut(t *testing.T, command string) {
	path, _ := backedUp(t)
	sh(t, command, "DB="+path)
	if got := statsOf(t, pureGo.backend(), path); got != (repository.Stats{Clients: 1}) {
		t.Errorf("left: %+v", got)
	}
}

// moves moves a database whose last changes are in its -wal.
func moves(t *testing.T, command string) {
	path := dbPath(t)
	target := filepath.Join(t.TempDir(), "moved.db")
	store, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	fillOnce(t, store)
	wal, main := contents(t, path+"-wal"), closedCopy(t, path)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, path, main)
	write(t, path+"-wal", string(wal))
	sh(t, command, "DB="+path, "NEW="+target)
	if got := statsOf(t, pureGo.backend(), target); got.AccessTokens.Total != 1 {
		t.Errorf("moved: %+v", got)
	}
}

// closedCopy returns the contents of a database that is open, read by another process: one that
// opens and closes it here would drop the locks of SQLite.
func closedCopy(t *testing.T, path string) string {
	t.Helper()
	return sh(t, `cat "$DB"`, "DB="+path)
}

// rewrites has a file of before secure_delete, from which a client was deleted.
func rewrites(t *testing.T, command string) {
	path := dbPath(t)
	closedDatabase(t, path)
	const residue = "the-name-of-a-deleted-client"
	execRaw(t, path, "PRAGMA secure_delete = OFF", fmt.Sprintf(
		"INSERT INTO oauth_clients (id, kind, metadata, version, created_at, updated_at) VALUES ('gone', 'dynamic', '{\"client_name\":%q}', 1, 0, 0)",
		residue), "DELETE FROM oauth_clients")
	if !bytes.Contains(contents(t, path), []byte(residue)) {
		t.Fatal("nothing was left to begin with")
	}
	sh(t, command, "DB="+path)
	if bytes.Contains(contents(t, path), []byte(residue)) {
		t.Error("what was deleted is still in the file")
	}
	statsOf(t, pureGo.backend(), path)
}

// restoresServer backs a database up, restores it into another one, and opens that.
func restoresServer(t *testing.T, s server, restore string) {
	from, to := s.database(t), s.database(t)
	opened(t, s.backend(), from, func(store repository.Store) { fillOnce(t, store) })
	variables := []string{
		"BACKUP=" + filepath.Join(t.TempDir(), "backup"), "LOGIN=" + loginFile(t, from),
		"URL=" + from, "NEW_URL=" + to, "NAME=" + databaseOf(t, from), "NEW_NAME=" + databaseOf(t, to),
	}
	sh(t, commands(t)["back up "+s.name], variables...)
	sh(t, restore, variables...)
	wanted := statsOf(t, s.backend(), from)
	if got := statsOf(t, s.backend(), to); got != wanted || got.AccessTokens.Live != 1 {
		t.Errorf("restored: %+v, backed up: %+v", got, wanted)
	}
}

// loginFile writes what the commands of MySQL read beside their arguments.
func loginFile(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	name := filepath.Join(t.TempDir(), "login.cnf")
	write(t, name, fmt.Sprintf("[client]\nhost=%s\nport=%s\nuser=%s\npassword=%s\n", u.Hostname(), u.Port(), u.User.Username(), password))
	return name
}
