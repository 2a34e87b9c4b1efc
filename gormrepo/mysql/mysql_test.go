package mysql_test

import (
	"context"
	"errors"
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
