// Quickstart is a tour of the store that checks what it shows. It opens SQLite in a temporary directory, or
// what the environment says (see package config), and exits with 1 if anything is not as it says.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/flow"
)

var errInterrupted = errors.New("interrupted")

func main() {
	// A closed pipe, as with head, ends the tour like Ctrl-C: whoever reads it has seen enough.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	err := start(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "quickstart:", strings.ReplaceAll(err.Error(), "\n", "; "))
	if errors.Is(err, errInterrupted) {
		os.Exit(130)
	}
	os.Exit(1)
}

func start(ctx context.Context) error {
	if job := os.Getenv(workerVariable); job != "" {
		return work(ctx, job, os.Stdin, os.Stdout)
	}
	remove, err := settle()
	if err != nil {
		return err
	}
	return errors.Join(run(ctx, os.Stdout), remove())
}

// settle says, for this process and the workers that it starts, where the store is, if the environment does
// not: in a temporary directory, which remove removes.
func settle() (remove func() error, err error) {
	remove = func() error { return nil }
	chosen, err := backendChosen()
	if err != nil || chosen {
		return remove, err
	}
	if err := os.Setenv("MCP_OAUTH_STORAGE_BACKEND", string(config.SQLite)); err != nil {
		return nil, err
	}
	if os.Getenv("MCP_OAUTH_SQLITE_PATH") != "" || os.Getenv("MCP_BASE_DIR") != "" {
		return remove, nil
	}
	dir, err := os.MkdirTemp("", "oauthstore-quickstart-")
	if err != nil {
		return nil, err
	}
	return func() error { return os.RemoveAll(dir) }, os.Setenv("MCP_OAUTH_SQLITE_PATH", filepath.Join(dir, "oauth.db"))
}

// backendChosen reports whether the environment or .env names a backend: then the default makes no difference.
func backendChosen() (bool, error) {
	memory, err := config.LoadWith(config.Memory)
	if err != nil {
		return false, err
	}
	sqlite, err := config.LoadWith(config.SQLite) // fails without a home directory, which is not needed here
	return err == nil && sqlite.Backend == memory.Backend, nil
}

// tour is the state of one run.
type tour struct {
	cfg    config.Config
	out    io.Writer
	store  repository.Store
	oauth  *flow.Flow
	client domain.Client
	secret string
	handed []string // every raw value that was handed out

	clients []string // the IDs of all clients that the tour made, to be deleted at its end

	ended []domain.Grant // the grants that the tour ended, with the reasons
	alive flow.Response  // the tokens of a grant that lives on
	grace time.Duration
	moved *flow.Flow // oauth, when the grace period is over
}

func run(ctx context.Context, out io.Writer) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	t := &tour{cfg: cfg, out: out}
	if err := t.open(ctx); err != nil {
		return err
	}
	t.say("store", "%s", t.where())
	return errors.Join(t.steps(ctx), t.remove(context.WithoutCancel(ctx)), t.store.Close())
}

// steps runs the tour until a step fails.
func (t *tour) steps(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		t.register, t.race, t.replay, t.refresh, t.measure, t.reopen, t.search, t.forget,
	} {
		err := step(ctx)
		if ctx.Err() != nil {
			return errInterrupted
		}
		if err != nil {
			return err
		}
	}
	t.say("done", "everything was as it should be")
	return nil
}

func (t *tour) open(ctx context.Context) error {
	store, err := config.Open(ctx, t.cfg)
	if err != nil {
		return err
	}
	grace := t.cfg.RefreshGrace
	if grace < time.Minute {
		grace = flow.DefaultGrace // a strict server has no repeated answers to show
	}
	opts := &flow.Options{Grace: grace}
	t.store, t.grace, t.oauth = store, grace, flow.New(store, opts)
	t.moved = flow.New(later{store, grace + time.Second}, opts)
	return nil
}

// forget removes what the tour stored, for it may be somebody's database, and looks for what is left.
func (t *tour) forget(ctx context.Context) error {
	id := t.client.ID
	if err := t.remove(ctx); err != nil {
		return err
	}
	grants, err := t.store.Grants().List(ctx, repository.GrantFilter{ClientID: id}, repository.Page{})
	if err != nil || len(grants) > 0 {
		return errors.Join(err, fmt.Errorf("%d grants of a deleted client are left", len(grants)))
	}
	if err := t.expect(ctx, t.alive.AccessToken, false); err != nil {
		return fmt.Errorf("after the client was deleted: %w", err)
	}
	t.say("delete", "the client is deleted: nothing of the tour is left in the store")
	return nil
}

// remove deletes the clients of the tour, with everything under them.
func (t *tour) remove(ctx context.Context) error {
	for _, id := range t.clients {
		if err := t.store.Clients().Delete(ctx, id); err != nil && !errors.Is(err, repository.ErrNotFound) {
			return err
		}
	}
	t.clients = nil
	return nil
}

func (t *tour) where() string {
	switch t.cfg.Backend {
	case config.Memory:
		return "in memory: it ends with this process"
	case config.SQLite:
		return fmt.Sprintf("SQLite, %s, synchronous=%s", t.cfg.SQLitePath, t.cfg.SQLiteSynchronous)
	default:
		return fmt.Sprintf("%s, %s", t.cfg.Backend, t.cfg.DatabaseURL)
	}
}

// say prints a line of the transcript.
func (t *tour) say(step, format string, args ...any) {
	fmt.Fprintf(t.out, "%-9s %s\n", step, fmt.Sprintf(format, args...))
}
