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

// shutdownTime is how long requests that have begun may take when the program is asked to end.
const shutdownTime = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := program{out: os.Stdout, log: slog.New(slog.NewTextHandler(os.Stderr, nil)), now: time.Now, open: config.Open}
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
	store, err := p.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	handler, err := newHandler(ctx, app{url: where.url, config: cfg, store: store, users: users, now: p.now, log: p.log})
	if err != nil {
		return err
	}
	greet(p.out, where.url, demo)
	return serve(ctx, listener, handler, p.log)
}

// place is where the server is.
type place struct {
	address string // to listen on
	url     string // for the world; empty: that of the address
}

func parse(args []string, out io.Writer) (p place, err error) {
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

func greet(out io.Writer, address string, demo bool) {
	fmt.Fprintf(out, "Listening on %s. The MCP endpoint is %s%s.\n\nTo try it:\n\n", address, address, mcpPath)
	fmt.Fprintf(out, "  npx @modelcontextprotocol/inspector --transport http --server-url %s%s\n\n", address, mcpPath)
	if demo {
		fmt.Fprintf(out, "Sign in as %s\n\n", pages.DemoPasswords)
	}
}

// serve ends with ctx.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: handler, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
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
	log.InfoContext(ctx, "shutting down")
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	return server.Shutdown(ending)
}
