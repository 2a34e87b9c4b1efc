package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/domain"
)

const programVariable = "OAUTHSTORE_QUICKSTART_PROGRAM" // makes the test binary the program

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is the tour in a directory of its own, with a temporary directory of its own.
type program struct {
	*exec.Cmd
	temp string
}

func newProgram(t *testing.T, environ ...string) program {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := program{exec.CommandContext(t.Context(), path), t.TempDir()}
	p.Dir = t.TempDir()
	p.Env = append([]string{
		programVariable + "=1", "TMPDIR=" + p.temp, "TMP=" + p.temp, "HOME=" + p.Dir, "SystemRoot=" + os.Getenv("SystemRoot"),
		"GORACE=atexit_sleep_ms=0", // with -race, each of many processes would wait a second
	}, environ...)
	return p
}

// left returns what is in the temporary directory.
func (p program) left(t *testing.T) []os.DirEntry {
	t.Helper()
	left, err := os.ReadDir(p.temp)
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// quickstart runs the program to its end.
func quickstart(t *testing.T, environ ...string) (transcript, complaint string, left []os.DirEntry, err error) {
	t.Helper()
	p := newProgram(t, environ...)
	var out, errs bytes.Buffer
	p.Stdout, p.Stderr = &out, &errs
	err = p.Run()
	return out.String(), errs.String(), p.left(t), err
}

func TestTheTourEndsWellAndLeavesNothing(t *testing.T) {
	transcript, complaint, left, err := quickstart(t)
	if err != nil || len(left) > 0 || complaint != "" {
		t.Fatalf("%v, %v is left\n%s%s", err, left, transcript, complaint)
	}
	for _, want := range []string{
		"100 goroutines here and 25 in each of 4 other processes: one won", "(code_replayed)", "the same tokens, ",
		"the same tokens there", "(refresh_token_reused)", "p99", "2 revocations and the live tokens are there",
		"none is found", "nothing of the tour is left", "everything was as it should be",
	} {
		if !strings.Contains(transcript, want) {
			t.Errorf("%q is missing from\n%s", want, transcript)
		}
	}
}

func TestAnInterruptedTourLeavesNothing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be interrupted")
	}
	for _, after := range []string{"client", "timings"} {
		t.Run(after, func(t *testing.T) {
			p := newProgram(t)
			var complaint bytes.Buffer
			p.Stderr = &complaint
			out, err := p.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			interrupt(t, p.Process, out, after)
			err = p.Wait()
			if p.ProcessState.ExitCode() != 130 || complaint.String() != "quickstart: interrupted\n" || len(p.left(t)) > 0 {
				t.Errorf("%v, %v is left\n%s", err, p.left(t), complaint.String())
			}
		})
	}
}

// interrupt does it once a line of the transcript begins with after, and reads the rest.
func interrupt(t *testing.T, process *os.Process, out io.Reader, after string) {
	t.Helper()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), after) {
			if err := process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestTheTourUsesTheDatabaseOfTheEnvironmentAndLeavesItEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.db")
	environ := []string{"MCP_OAUTH_STORAGE_BACKEND=sqlite", "MCP_OAUTH_SQLITE_PATH=" + path}
	for range 2 {
		if transcript, complaint, _, err := quickstart(t, environ...); err != nil {
			t.Fatalf("%v\n%s%s", err, transcript, complaint)
		}
	}
	store, err := config.Open(t.Context(), config.Config{
		Backend: config.SQLite, SQLitePath: path, AuthorizationCodeTTL: 6e11, AccessTokenTTL: 6e11, RefreshTokenTTL: 864e11,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if stats, err := store.Stats(t.Context()); err != nil || stats.Clients != 0 || stats.Grants.Total != 0 {
		t.Errorf("%+v %v", stats, err)
	}
}

func TestDotenvChoosesTheDatabaseToo(t *testing.T) {
	p := newProgram(t)
	dotenv := "MCP_OAUTH_STORAGE_BACKEND=sqlite\nMCP_OAUTH_SQLITE_PATH=mine.db\n"
	if err := os.WriteFile(filepath.Join(p.Dir, ".env"), []byte(dotenv), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := p.CombinedOutput(); err != nil || !strings.Contains(string(out), "SQLite, mine.db,") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(p.Dir, "mine.db")); err != nil {
		t.Error(err)
	}
}

func TestTheTourInMemoryLeavesOutWhatNeedsADisk(t *testing.T) {
	for name, environ := range map[string][]string{
		"memory":           {"MCP_OAUTH_STORAGE_BACKEND=memory"},
		"sqlite in memory": {"MCP_OAUTH_STORAGE_BACKEND=sqlite", "MCP_OAUTH_SQLITE_PATH=:memory:"},
	} {
		t.Run(name, func(t *testing.T) {
			transcript, complaint, left, err := quickstart(t, environ...)
			if err != nil || len(left) > 0 || strings.Count(transcript, "left out") != 3 {
				t.Errorf("%v, %v is left\n%s%s", err, left, transcript, complaint)
			}
		})
	}
}

func TestAWrongEnvironmentIsNamedInOneLine(t *testing.T) {
	transcript, complaint, left, err := quickstart(t, "MCP_OAUTH_STORAGE_BACKEND=bogus", "MCP_OAUTH_REFRESH_GRACE=long")
	if err == nil || transcript != "" || len(left) > 0 || strings.Count(complaint, "\n") != 1 {
		t.Errorf("%v, %v is left\n%s%s", err, left, transcript, complaint)
	}
	for _, name := range []string{"MCP_OAUTH_STORAGE_BACKEND", "MCP_OAUTH_REFRESH_GRACE"} {
		if !strings.Contains(complaint, name) {
			t.Errorf("%s is missing from %s", name, complaint)
		}
	}
}

func TestFoundFindsAValueWhereverItIs(t *testing.T) {
	raw := domain.NewSecret()
	decoded := spellings([]string{raw})[1]
	for name, file := range map[string]string{
		"alone": raw, "at the beginning": raw + "rest", "at the end": "rest\x00" + raw,
		"in the middle": "a" + raw + "b", "decoded": "a" + decoded + "b",
	} {
		if !found([][]byte{nil, []byte(file)}, spellings([]string{domain.NewSecret(), raw, "short"})) {
			t.Errorf("%s: not found", name)
		}
	}
	for name, file := range map[string]string{
		"empty": "", "shorter": raw[1:], "another": domain.NewSecret() + domain.NewSecret(),
		"its digest": domain.DigestOf(raw).Hex(),
	} {
		if found([][]byte{[]byte(file)}, spellings([]string{raw})) {
			t.Errorf("%s: found", name)
		}
	}
}

func TestTheSearchFailsOnAStoredSecret(t *testing.T) {
	tr := tour{cfg: config.Config{
		Backend: config.SQLite, SQLitePath: filepath.Join(t.TempDir(), "oauth.db"),
		AuthorizationCodeTTL: 6e11, AccessTokenTTL: 6e11, RefreshTokenTTL: 864e11,
	}, out: t.Output()}
	if err := tr.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tr.store.Close() }()
	if err := tr.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tr.search(t.Context()); err != nil {
		t.Fatal(err)
	}
	leak := domain.Grant{ID: "g", ClientID: tr.client.ID, Subject: tr.secret}
	if err := tr.store.Grants().Create(t.Context(), leak); err != nil {
		t.Fatal(err)
	}
	if err := tr.search(t.Context()); err == nil || strings.Contains(err.Error(), tr.secret) {
		t.Errorf("a stored secret: %v", err)
	}
}
