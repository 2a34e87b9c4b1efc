package mysql_test

import (
	"context"
	"errors"
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
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		store, err := mysql.Open(ctx, url, nil)
		cancel()
		if err == nil || store != nil || strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "mysql: open") {
			t.Errorf("%d bytes: %v, %v", len(url), store, err)
		}
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mysql.Open(ctx, "mysql://ada@127.0.0.1:1/db", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
