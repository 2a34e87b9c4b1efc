package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

const (
	// clockVariable makes the test binary the program; it names a file that says how far its clock is ahead.
	clockVariable = "OAUTHSTORE_WEBAPP_CLOCK"
	// databaseVariable is the URL of a database of the test's own, in place of SQLite. Its store is on its own clock.
	databaseVariable = "OAUTHSTORE_WEBAPP_DATABASE_URL"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(clockVariable); file != "" {
		os.Exit(beTheProgram(file))
	}
	os.Exit(m.Run())
}

// beTheProgram is main, on a clock that the test moves.
func beTheProgram(file string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	now := func() time.Time { return time.Now().Add(ahead(file)) }
	p := program{out: os.Stdout, log: slog.New(slog.NewTextHandler(os.Stderr, nil)), now: now, open: config.Open}
	if backend := os.Getenv("MCP_OAUTH_STORAGE_BACKEND"); backend == "" {
		p.open = func(ctx context.Context, c config.Config) (repository.Store, error) {
			return sqlite.Open(ctx, c.SQLitePath, &sqlite.Options{Now: now})
		}
	}
	if err := p.run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func ahead(file string) time.Duration {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return 0
	}
	return d
}

// site is one database with a clock, that processes serve.
type site struct {
	t     *testing.T
	env   []string
	clock string
	url   string // of the first process, and the issuer of all
}

func newSite(t *testing.T, environ ...string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{t: t, clock: filepath.Join(dir, "clock")}
	s.move(0)
	s.env = append([]string{
		clockVariable + "=" + s.clock, "HOME=" + dir, "TMPDIR=" + dir, "SystemRoot=" + os.Getenv("SystemRoot"),
		"MCP_OAUTH_SQLITE_PATH=" + filepath.Join(dir, "oauth.db"), "GORACE=atexit_sleep_ms=0",
	}, environ...)
	if address := os.Getenv(databaseVariable); address != "" {
		scheme, _, _ := strings.Cut(address, ":")
		s.env = append(s.env, "MCP_OAUTH_STORAGE_BACKEND="+scheme, "MCP_OAUTH_DATABASE_URL="+address)
	}
	return s
}

// move sets the clock of all processes ahead. The file is replaced at once, so that no process reads half of it.
func (s *site) move(d time.Duration) {
	s.t.Helper()
	if err := os.WriteFile(s.clock+".new", []byte(d.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.clock+".new", s.clock); err != nil {
		s.t.Fatal(err)
	}
}

// process is one server.
type process struct {
	site    *site
	url     string // where it answers
	address string

	mu     sync.Mutex
	cmd    *exec.Cmd
	stderr *bytes.Buffer
}

// start starts a process on a port of its own. The first one's URL is the issuer.
func (s *site) start() *process {
	s.t.Helper()
	p := &process{site: s, address: freeAddress(s.t)}
	p.url = "http://" + p.address
	if s.url == "" {
		s.url = p.url
	}
	p.launch()
	s.t.Cleanup(p.kill)
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// launch runs the program and waits until it answers.
func (p *process) launch() {
	t := p.site.t
	t.Helper()
	p.stderr = new(bytes.Buffer)
	p.cmd = p.site.command(context.Background(), "-addr", p.address, "-url", p.site.url)
	p.cmd.Stderr = p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for !p.answers(ctx) {
		if ctx.Err() != nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
			t.Fatalf("the server does not answer: %s", p.stderr)
		}
	}
}

// command is the program with these arguments.
func (s *site) command(ctx context.Context, args ...string) *exec.Cmd {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env, cmd.Dir = s.env, filepath.Dir(s.clock)
	return cmd
}

func (p *process) answers(ctx context.Context) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.address)
	if err != nil {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond): // the port is the process's to open
		}
		return false
	}
	_ = conn.Close()
	return true
}

// kill ends the process as a crash would.
func (p *process) kill() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // says that it was killed
}

// restart kills the process and starts it again, on the same port.
func (p *process) restart() {
	p.site.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kill()
	p.launch()
}

// stopped asks the process to end, and returns how it did.
func (p *process) stopped() error {
	return errors.Join(p.cmd.Process.Signal(syscall.SIGTERM), p.cmd.Wait())
}

// killing is a transport that restarts the server before each request, so that each finds a process that knows
// nothing of the one before.
type killing struct {
	p     *process
	times int
}

func (k *killing) RoundTrip(r *http.Request) (*http.Response, error) {
	k.times++
	k.p.restart()
	return plain().RoundTrip(r)
}

// plain is a transport that keeps no connection, as it may end at any time.
func plain() *http.Transport { return &http.Transport{DisableKeepAlives: true} }

func readAll(t *testing.T, answer *http.Response) string {
	t.Helper()
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}
