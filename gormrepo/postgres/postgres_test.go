package postgres_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/gormrepo/internal/serverdb"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/repository"
)

func TestAnErrorOfOpenNeverHasThePassword(t *testing.T) {
	for _, url := range []string{
		"postgres://ada:hunter2@127.0.0.1:1/db", "postgres://ada:hunter2@[::1/db", "postgres://ada:hunter2%zz@h/db",
		"postgres://ada:1/hunter2@h/db", "postgres://ada:@hunter2@h/db",
		"postgres://ada:hunter2@127.0.0.1:port/db", "host=127.0.0.1 port=1 user=ada password=hunter2 dbname=db", "password=hunter2 port",
		"postgres://ada@127.0.0.1:1/db?password=hunter2&sslmode=none",
		"postgres://ada:hunter2@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/nonexistent",
		"host=127.0.0.1 port=1 password=hunter2://hunter2@hunter2/db", "http://ada:hunter2@h/db?x=y host=127.0.0.1 port=1",
		// Where what follows a user looks like a port, the password has digits alone.
		"postgres://ada:27182#x@127.0.0.1:1/db", "postgres://ada:27182?x@127.0.0.1:1/db", "postgres://ada:27182/x@127.0.0.1:1/db",
		"postgres://ada:27182://x@127.0.0.1:1/db", "postgres://ada:x@27182?y=z#1@127.0.0.1:1/db", "postgres://ada:x@27182/y?z@127.0.0.1:1/db",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		store, err := postgres.Open(ctx, url, nil)
		cancel()
		if err == nil || store != nil || shows(err, "hunter2", "27182") || !strings.HasPrefix(err.Error(), "postgres: open") {
			t.Errorf("%d bytes: %v, %v", len(url), store, err)
		}
	}
}

func shows(err error, passwords ...string) bool {
	return slices.ContainsFunc(passwords, func(p string) bool { return strings.Contains(err.Error(), p) })
}

func TestAURLThatIsReadAsKeywordsIsRefused(t *testing.T) {
	for _, url := range []string{
		"http://ada:x@127.0.0.1/db?sslmode=disable", "ada:x@127.0.0.1:1/db?sslmode=disable", "postgres:/ada:x@127.0.0.1/db?sslmode=disable",
	} {
		if _, err := postgres.Open(t.Context(), url, nil); !errors.Is(err, serverdb.ErrURL) {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

func TestAPasswordAmongKeywordsMayLookLikeAURL(t *testing.T) {
	_, err := postgres.Open(t.Context(), "host=127.0.0.1 port=1 user=ada password=a://b/c@d@e dbname=db", nil)
	if _, ok := errors.AsType[*net.OpError](err); !ok {
		t.Errorf("got %v, and it was not tried to connect", err)
	}
}

func TestAnErrorOfOpenNamesTheFileThatIsMissing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, parameters := range []string{"sslrootcert=" + missing, "sslmode=require&sslcert=x&sslkey=" + missing} {
		_, err := postgres.Open(t.Context(), "postgres://ada@127.0.0.1:1/db?"+parameters, nil)
		file, ok := errors.AsType[*fs.PathError](err)
		if !ok || file.Path != missing || !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, serverdb.ErrURL) {
			t.Errorf("%s: got %v", parameters, err)
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

func TestAnErrorSaysWhatIsWrongWithTheURL(t *testing.T) {
	const form = "scheme://user:password@host:port/database"
	for url, reason := range map[string]string{
		"":                                     "it is empty",
		" ":                                    "it is empty",
		"postgres://ada:a/b@127.0.0.1/db":      form,
		"postgres://ada:a%zz@127.0.0.1/db":     form,
		"postgres://ada@127.0.0.1:port/db":     form,
		"postgres://ada@h/db?sslmode=nonsense": "parameter sslmode ",
		"postgres://ada@h/db?application_name=a&connect_timeout=x&sslmode=disable": "parameter connect_timeout ",
	} {
		if _, err := postgres.Open(t.Context(), url, nil); !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: got %v", url, err)
		}
	}
}
