package integration_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

// pgBouncer starts one before PostgreSQL, which gives a session to each transaction, and returns the
// URL of a new database behind it.
func pgBouncer(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("pgbouncer"); err != nil {
		t.Skip("no PgBouncer to test behind")
	}
	u, err := url.Parse(postgreSQL.database(t))
	if err != nil {
		t.Fatal(err)
	}
	dir, address := sharedDir(t), freeAddresses(t, 1)[0]
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	const settings = `[databases]
* = host=%s port=%s user=%s password=%s
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 1000
ignore_startup_parameters = extra_float_digits
`
	file := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(settings, u.Hostname(), u.Port(), u.User.Username(), password, host, port)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run := asServant(t, "pgbouncer", file)
	program(t, filepath.Join(dir, "log"), address, run[0], run[1:]...)
	u.Host = address
	return u.String()
}

func TestAPoolerThatMixesPreparedStatementsIsRefusedAndTheErrorSaysWhatToSet(t *testing.T) {
	address := pgBouncer(t)
	for range 3 { // PgBouncer's sessions live on, with what was prepared on them
		_, opened := postgreSQL.open(t.Context(), address, nil)
		_, made := gormrepo.New(postgreSQL.handle(t, address), nil)
		for _, err := range []error{opened, made} {
			if !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), "default_query_exec_mode=exec") {
				t.Fatal(err)
			}
		}
	}
	if tables := tablesIn(t, postgreSQL.handle(t, with(t, address, "default_query_exec_mode=exec"))); tables > 0 {
		t.Errorf("%d tables were made", tables)
	}
}

func TestBehindAPoolerThatGivesASessionToEachTransactionTheStoreConforms(t *testing.T) {
	address := with(t, pgBouncer(t), "default_query_exec_mode=exec")
	repotest.Run(t, func(t *testing.T, opt repotest.Options) repository.Store {
		store, err := postgreSQL.open(t.Context(), address, &postgres.Options{Now: opt.Now, TablePrefix: prefix()})
		if err != nil {
			t.Fatal(err)
		}
		return store
	})
}
