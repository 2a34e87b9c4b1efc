package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/repository"
)

const openerVariable = "OAUTHSTORE_TEST_OPENER"

// openerSpec is what an opener process does, as JSON in its environment. It prints the errors that
// it gets, as JSON.
type openerSpec struct {
	Driver, Path string
	FewFiles     bool // it opens the database with 0, 1, 2... open files left, and reads with none
}

// failure is an error of an opener.
type failure struct {
	Doing, Text string
	Errno       syscall.Errno // that is in its chain, or 0
}

func failureOf(doing string, err error) failure {
	errno, _ := errors.AsType[syscall.Errno](err)
	return failure{doing, err.Error(), errno}
}

// TestWhatMayNotBeOpenedIsNamedWithWhoMayNotAndWhy opens databases as somebody else than root.
func TestWhatMayNotBeOpenedIsNamedWithWhoMayNotAndWhy(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	const nobody = 65534
	give := func(t *testing.T, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.Chown(name, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, path string)
		named   string // what is in the text beside the path
		errno   syscall.Errno
	}{
		"the database is somebody else's": {func(*testing.T, string) {}, "/oauth.db, ", syscall.EACCES},
		"the -wal is somebody else's": {func(t *testing.T, path string) {
			give(t, path, path+".lock")
			write(t, path+"-wal", "")
		}, "/oauth.db-wal, ", syscall.EACCES},
		"the -shm is somebody else's": {func(t *testing.T, path string) {
			give(t, path, path+".lock")
			write(t, path+"-shm", "")
		}, "/oauth.db-shm, ", syscall.EACCES},
		"the lock file is somebody else's": {func(t *testing.T, path string) {
			give(t, path)
		}, "/oauth.db.lock", syscall.EACCES},
		"the directory is read-only": {func(t *testing.T, path string) {
			give(t, path, path+".lock")
			readOnly(t, filepath.Dir(path))
		}, "create files in ", syscall.EACCES},
		"the directory is read-only, and the database not in WAL mode yet": {func(t *testing.T, path string) {
			for _, name := range []string{path, path + ".lock"} {
				if err := os.Truncate(name, 0); err != nil {
					t.Fatal(err)
				}
			}
			give(t, path, path+".lock")
			readOnly(t, filepath.Dir(path))
		}, "create files in ", syscall.EACCES},
		"the file system is read-only": {func(t *testing.T, path string) {
			give(t, path, path+".lock")
			dir := filepath.Dir(path)
			mount(t, dir, dir, "", syscall.MS_BIND, "")
			if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}, "read-only file system", syscall.EROFS},
	} {
		for _, d := range sqliteDrivers {
			t.Run(d.name+", "+name, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "oauth.db")
				closedDatabase(t, path)
				for _, name := range []string{filepath.Dir(dir), dir} { // for everybody to enter
					if err := os.Chmod(name, 0o777); err != nil {
						t.Fatal(err)
					}
				}
				tt.prepare(t, path)
				failures := runOpener(t, openerSpec{Driver: d.name, Path: path}, nobody)
				if len(failures) != 1 {
					t.Fatalf("it opened, or said more: %v", failures)
				}
				f := failures[0]
				if f.Errno != tt.errno || !strings.Contains(f.Text, tt.named) || !strings.Contains(f.Text, "open "+path) {
					t.Errorf("got %v %q", f.Errno, f.Text)
				}
				if tt.errno == syscall.EACCES && !strings.Contains(tt.named, ".lock") &&
					!strings.Contains(f.Text, "permission denied: uid 65534 may not ") {
					t.Errorf("who may not? %q", f.Text)
				}
			})
		}
	}
}

func readOnly(t *testing.T, dir string) {
	t.Helper()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
}

// TestTooFewOpenFilesAreCalledThatHoweverManyAreLeft opens a database that is there and one that is
// not, and reads with more connections than there are files for.
func TestTooFewOpenFilesAreCalledThatHoweverManyAreLeft(t *testing.T) {
	for _, d := range sqliteDrivers {
		for _, there := range []bool{true, false} {
			t.Run(fmt.Sprint(d.name, ", there: ", there), func(t *testing.T) {
				path := dbPath(t)
				if there {
					closedDatabase(t, path)
				}
				var opens, reads int
				for _, f := range runOpener(t, openerSpec{Driver: d.name, Path: path, FewFiles: true}, os.Getuid()) {
					if f.Errno != syscall.EMFILE || !strings.Contains(f.Text, "too many open files") ||
						!strings.Contains(f.Text, path) || strings.Contains(f.Text, "memory") {
						t.Errorf("%s: got %v %q", f.Doing, f.Errno, f.Text)
					}
					if strings.HasPrefix(f.Doing, "a read") {
						reads++
					} else {
						opens++
					}
				}
				if opens < 4 || reads == 0 {
					t.Errorf("%d opens and %d reads have failed", opens, reads)
				}
			})
		}
	}
}

// TestAPathThatSQLiteTakesForTooLongIsNotCalledAnythingElse has a path of which the system opens
// every part.
func TestAPathThatSQLiteTakesForTooLongIsNotCalledAnythingElse(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), strings.Repeat("x", 250), strings.Repeat("y", 250), "oauth.db")
			err := closed(d.open(t.Context(), path, nil))
			if err == nil || !strings.Contains(err.Error(), "no path longer than 504 bytes") ||
				!strings.Contains(err.Error(), "open "+path) || strings.Contains(err.Error(), "memory") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// runOpener returns the errors of an opener that runs as uid.
func runOpener(t *testing.T, spec openerSpec, uid int) []failure {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe") // whose directory not everybody may enter
	cmd.Dir, cmd.Stderr = "/", t.Output()
	cmd.Env = append(os.Environ(), openerVariable+"="+string(text))
	if uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var failures []failure
	if err := json.Unmarshal(out, &failures); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return failures
}

// openAndTell is the opener process.
func openAndTell(text string) error {
	var spec openerSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	b, err := backendNamed(spec.Driver)
	if err != nil {
		return err
	}
	var failures []failure
	if spec.FewFiles {
		failures, err = spec.withFewFiles(b)
	} else if err := closed(b.open(context.Background(), spec.Path)); err != nil {
		failures = append(failures, failureOf("open", err))
	}
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(failures))
}

// withFewFiles opens the database with one more open file each time, until it is open. Then it
// reads while there is none for another connection, until one is missed.
func (spec openerSpec) withFewFiles(b backend) ([]failure, error) {
	const limit = 64
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return nil, err
	}
	taken := takeFiles(nil)
	var failures []failure
	var store *gormrepo.Store
	for left := 0; store == nil; left++ {
		var err error
		if store, err = b.open(context.Background(), spec.Path); err == nil {
			break
		}
		failures = append(failures, failureOf(fmt.Sprint("open with ", left, " left"), err))
		last := len(taken) - 1
		if last < 0 {
			return failures, errors.New("it never opened")
		}
		if err := taken[last].Close(); err != nil {
			return failures, err
		}
		taken = taken[:last]
	}
	taken = takeFiles(taken)
	var all sync.WaitGroup
	var once sync.Once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for range 16 {
		all.Go(func() {
			for ctx.Err() == nil {
				_, err := store.Clients().Get(ctx, "nobody")
				if err != nil && !errors.Is(err, repository.ErrNotFound) && ctx.Err() == nil {
					once.Do(func() { failures = append(failures, failureOf("a read", err)) })
					cancel()
				}
			}
		})
	}
	all.Wait()
	create := store.Clients().Create(context.Background(), domain.Client{ID: "c", Kind: domain.Dynamic})
	for _, file := range taken {
		_ = file.Close()
	}
	return failures, errors.Join(create, store.Close()) // the connection that writes is open
}

// takeFiles opens files until there are no more.
func takeFiles(taken []*os.File) []*os.File {
	for {
		file, err := os.Open(os.DevNull)
		if err != nil {
			return taken
		}
		taken = append(taken, file)
	}
}
