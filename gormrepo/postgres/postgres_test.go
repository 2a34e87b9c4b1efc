package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/gormrepo/postgres"
)

func TestAnErrorOfOpenNeverHasThePassword(t *testing.T) {
	for _, url := range []string{
		"postgres://ada:hunter2@127.0.0.1:1/db", "postgres://ada:hunter2@[::1/db", "postgres://ada:hunter2%zz@h/db",
		"postgres://ada:1/hunter2@h/db", "postgres://ada:@hunter2@h/db",
		"postgres://ada:hunter2@127.0.0.1:port/db", "host=127.0.0.1 port=1 user=ada password=hunter2 dbname=db", "password=hunter2 port",
		"postgres://ada@127.0.0.1:1/db?password=hunter2&sslmode=none",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		store, err := postgres.Open(ctx, url, nil)
		cancel()
		if err == nil || store != nil || strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "postgres: open") {
			t.Errorf("%d bytes: %v, %v", len(url), store, err)
		}
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := postgres.Open(ctx, "postgres://ada@127.0.0.1:1/db", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
