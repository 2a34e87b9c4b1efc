// Webapp is an OAuth 2.1 authorization server for MCP clients, an MCP server that accepts its tokens, and pages that
// show users and operators what is stored. It keeps everything in SQLite unless the environment says otherwise (see
// package config).
//
//	-addr  where to listen, default 127.0.0.1:8080
//	-url   the public URL, default http:// and the address
//
// WEBAPP_USERS names a file of users, a line each: name:bcrypt hash, as htpasswd -B writes it, and :operator after it
// for an operator. Without it there are two users for trying things out, whose passwords are printed; they are
// served on loopback alone.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/examples/webapp/pages"
	"github.com/oauthstore/oauthstore/repository"
)

// usersVariable names the file of users.
const usersVariable = "WEBAPP_USERS"

// The program's times, all of which end what waits for a database that does not answer.
const (
	openTime     = 30 * time.Second // to open the store
	requestTime  = 15 * time.Second // for one request
	shutdownTime = 10 * time.Second // for requests that have begun when the program is asked to end
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	slog.SetDefault(log) // for the cleanup
	p := program{out: os.Stdout, log: log, now: time.Now, open: config.Open}
	err := p.run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "webapp:", err)
		os.Exit(1)
	}
}

// program is what a test replaces.
type program struct {
	out  io.Writer
	log  *slog.Logger
	now  func() time.Time
	open func(ctx context.Context, c config.Config) (repository.Store, error)

	shutdownTime time.Duration // 0: the constant
}

// run serves until ctx ends, then lets the requests that have begun end, and closes the store.
func (p program) run(ctx context.Context, args []string) (err error) {
	where, err := parse(args, p.out)
	if err != nil {
		return err
	}
	users, demo, err := readUsers(os.Getenv(usersVariable))
	if err != nil {
		return err
	}
	cfg, err := config.LoadWith(config.SQLite)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", where.address)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // Serve closes it first, if it comes to that
	if where.url == "" {
		where.url = "http://" + listener.Addr().String()
	}
	if demo && !isLocal(listener, where.url) {
		return fmt.Errorf("the users for trying things out are for loopback alone: name a file of your own in %s", usersVariable)
	}
	store, err := p.openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	handler, err := newHandler(ctx, app{url: where.url, config: cfg, store: store, users: users, now: p.now, log: p.log})
	if err != nil {
		return err
	}
	greet(p.out, where.url, cfg, demo)
	return p.serve(ctx, listener, handler)
}

func (p program) openStore(ctx context.Context, cfg config.Config) (repository.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	return p.open(ctx, cfg)
}

// location is where the server is.
type location struct {
	address string // to listen on
	url     string // for the world; empty: that of the address
}

func parse(args []string, out io.Writer) (p location, err error) {
	flags := flag.NewFlagSet("webapp", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&p.address, "addr", "127.0.0.1:8080", "the `address` to listen on")
	flags.StringVar(&p.url, "url", "", "the public `URL`, without a path (default: http:// and the address)")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if flags.NArg() > 0 {
		return p, fmt.Errorf("unexpected argument: %q", flags.Arg(0))
	}
	p.url = strings.TrimSuffix(p.url, "/")
	return p, nil
}

// readUsers reads the file of users, or returns the ones for trying things out.
func readUsers(path string) (users *pages.Users, demo bool, err error) {
	if path == "" {
		return pages.DemoUsers(), true, nil
	}
	file, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = file.Close() }() // read only
	if users, err = pages.ReadUsers(file); err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	return users, false, nil
}

// isLocal reports whether the server can be reached from this machine alone.
func isLocal(listener net.Listener, address string) bool {
	tcp, ok := listener.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback() && isLoopbackURL(address)
}

func greet(out io.Writer, address string, cfg config.Config, demo bool) {
	fmt.Fprintf(out, "Listening on %s. The MCP endpoint is %s%s.\n", address, address, mcpPath)
	fmt.Fprintf(out, "Everything is kept in %s.\n\nTo try it:\n\n", place(cfg))
	fmt.Fprintf(out, "  npx @modelcontextprotocol/inspector --transport http --server-url %s%s\n\n", address, mcpPath)
	if demo {
		fmt.Fprintf(out, "Sign in as %s\n\n", pages.DemoPasswords)
	}
}

// place names the database, without a password.
func place(cfg config.Config) string {
	switch cfg.Backend {
	case config.SQLite:
		return cfg.SQLitePath
	case config.Postgres, config.MySQL:
		return cfg.DatabaseURL.String()
	case config.Memory:
	}
	return "memory, until the program ends"
}

// serve ends with ctx, after the requests that have begun. Those that take too long are abandoned: their contexts end, and
// with these what they wait for.
func (p program) serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	requests, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	server := &http.Server{
		Handler: handler, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	p.log.InfoContext(ctx, "shutting down")
	limit := cmp.Or(p.shutdownTime, shutdownTime)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		return fmt.Errorf("requests were abandoned after %v: %w", limit, errors.Join(err, server.Close()))
	}
	return nil
}
