package mysql_test

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/gormrepo/mysql"
)

func TestAnErrorOfOpenNeverHasThePassword(t *testing.T) {
	for _, url := range []string{
		"mysql://ada:hunter2@127.0.0.1:1/db", "mysql://ada:hunter2@[::1/db", "mysql://ada:hunter2%zz@h/db", "mysql://ada:1/hunter2@h/db", "mysql://ada:@hunter2@h/db",
		"ada:hunter2@tcp(127.0.0.1:1)/db",
		"mysql://ada:hunter2@127.0.0.1:1/db?tls=nonsense", "ada:hunter2", "ada:hunter2@nonsense(127.0.0.1:1)/db",
		"ada:hunter2(127.0.0.1:1)/db", "mysql://ada@127.0.0.1:1/db?password=hunter2",
		// Where what follows a user looks like a port, the password has digits alone.
		"mysql://ada:271828#x@127.0.0.1:1/db", "mysql://ada:271828?x@tcp(127.0.0.1:1)/db", "mysql://ada:271828/x@127.0.0.1:1/db",
		"mysql://ada:271828://x@127.0.0.1:1/db", "mysql://ada:x@271828/y?z@127.0.0.1:1/db", "mysql://ada:x@271828/y#z@127.0.0.1:1/db",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		store, err := mysql.Open(ctx, url, nil)
		cancel()
		if err == nil || store != nil || shows(err, "hunter2", "271828") || !strings.HasPrefix(err.Error(), "mysql: open") {
			t.Errorf("%d bytes: %v, %v", len(url), store, err)
		}
	}
}

func shows(err error, passwords ...string) bool {
	return slices.ContainsFunc(passwords, func(p string) bool { return strings.Contains(err.Error(), p) })
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mysql.Open(ctx, "mysql://ada@127.0.0.1:1/db", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestAServerThatDoesNotAnswerIsGivenUp has an address that accepts, as that of another kind of server does, and says nothing.
func TestAServerThatDoesNotAnswerIsGivenUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = mysql.Open(ctx, "mysql://ada:hunter2@"+listener.Addr().String()+"/db?timeout=50ms", nil)
	if ctx.Err() != nil || !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("got %v", err)
	}
}
