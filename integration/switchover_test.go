package integration_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/repository"
)

// pair is a primary and a replica, made for a test, and an address that leads to one of them.
type pair struct {
	server

	urls    [2]string // of administrators
	hosts   [2]string
	address string // the database's URL for the store, by way of the address that moves
	to      atomic.Int32
}

// move lets new connections lead to the other server. Those that are there stay.
func (p *pair) move() { p.to.Store(1 - p.to.Load()) }

// listen returns the address that moves.
func (p *pair) listen(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { join(client, p.hosts[p.to.Load()]) })
		}
	})
	return listener.Addr().String()
}

// join passes on what comes, each end of it too.
func join(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite() //nolint:forcetypeassert // it was dialed
	})
	_, _ = io.Copy(client, server)
	_ = client.Close()
	up.Wait()
}

// admin runs statements on one of the servers.
func (p *pair) admin(t *testing.T, i int, statements ...string) {
	t.Helper()
	db, err := gorm.Open(p.plain(p.urls[i]), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, statement := range statements {
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(statement, err)
		}
	}
}

// program starts a server, which is killed when the test ends, and returns when it answers.
func program(t *testing.T, log, address, name string, arguments ...string) {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, arguments...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "TMPDIR="+sharedTemp)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s does not answer: %s", name, tail(log))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// sharedDir returns a directory of the servers' user. The path of a socket in it is short.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(sharedTemp, "server") //nolint:usetesting // the path of a socket may not be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	mkdir(t, dir)
	return dir
}

// startMariaDB starts one on a data directory of its own, and returns its address.
func startMariaDB(t *testing.T, data string, more ...string) string {
	t.Helper()
	mySQL.url(t) // or skip the test
	name, _, _ := servant(t)
	mkdir(t, data)
	install := exec.CommandContext(t.Context(), "mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
		"--user="+name, "--datadir="+data)
	install.Env = append(os.Environ(), "TMPDIR="+sharedTemp)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	address := freeAddresses(t, 1)[0]
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	program(t, data+".log", address, "mariadbd", append([]string{
		"--no-defaults", "--user=" + name, "--datadir=" + data, "--socket=" + data + ".sock", "--bind-address=127.0.0.1", "--port=" + port,
	}, more...)...)
	t.Cleanup(func() { _ = os.Remove(data + ".log") })
	return address
}

// mariaDBPair starts MariaDB twice, the second as a replica of the first.
func mariaDBPair(t *testing.T) *pair {
	t.Helper()
	dir := sharedDir(t)
	p := &pair{server: mySQL}
	for i := range p.hosts {
		p.hosts[i] = startMariaDB(t, filepath.Join(dir, fmt.Sprint("data", i)), fmt.Sprint("--server-id=", i+1), "--log-bin",
			"--log-slave-updates", "--binlog-format=ROW")
		p.urls[i] = "mysql://root@" + p.hosts[i] + "/mysql"
		if i == 0 {
			p.admin(t, 0, "CREATE DATABASE oauth", "CREATE USER store@localhost IDENTIFIED BY 'store'", "GRANT ALL ON oauth.* TO store@localhost")
		}
	}
	_, port, err := net.SplitHostPort(p.hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	p.admin(t, 1, "CHANGE MASTER TO master_host='127.0.0.1', master_user='root', master_port="+port+", master_use_gtid=slave_pos",
		"START SLAVE", "SET GLOBAL read_only = 1")
	p.address = "mysql://store:store@" + p.listen(t) + "/oauth"
	return p
}

// demote makes the primary take no more writes.
func (p *pair) demote(t *testing.T) { p.admin(t, 0, "SET GLOBAL read_only = 1") }

// promote lets the replica take writes, once it has those of the primary.
func (p *pair) promote(t *testing.T) {
	t.Helper()
	var position string
	db := p.handle(t, p.urls[0])
	if err := db.Raw("SELECT @@gtid_binlog_pos").Scan(&position).Error; err != nil {
		t.Fatal(err)
	}
	p.admin(t, 1, "SELECT MASTER_GTID_WAIT('"+position+"')", "STOP SLAVE", "SET GLOBAL read_only = 0")
}

// TestAfterASwitchoverARevokedTokenIsInactiveOnceConnMaxLifetimeHasPassed has a store that only
// reads, whose connections to the old primary stay open, and one that writes.
func TestAfterASwitchoverARevokedTokenIsInactiveOnceConnMaxLifetimeHasPassed(t *testing.T) {
	const lifetime = 2 * time.Second
	p := mariaDBPair(t)
	open := func() *gormrepo.Store {
		store, err := p.open(t.Context(), p.address, &postgres.Options{ConnMaxLifetime: lifetime})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return store
	}
	reads, writes := open(), open()
	ctx, token := t.Context(), domain.DigestOf("token")
	if err := errors.Join(
		writes.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}),
		writes.Grants().Create(ctx, domain.Grant{ID: "family", ClientID: theClient}),
		writes.Tokens().Create(ctx, domain.Token{Digest: token, Kind: domain.RefreshToken, GrantID: "family", ClientID: theClient}),
		second(reads.Tokens().Get(ctx, token)), reads.Ping(ctx),
	); err != nil {
		t.Fatal(err)
	}

	p.demote(t)
	demoted := time.Now()
	if err := reads.Ping(ctx); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("Ping before the address has moved: %v", err)
	}
	for {
		brief, cancel := context.WithTimeout(ctx, lifetime)
		_, err := reads.Tokens().Get(brief, token)
		cancel()
		if err != nil {
			t.Logf("closed after %v: %v", time.Since(demoted), err)
			break
		}
		if time.Since(demoted) > 2*lifetime {
			t.Fatal("a token is active for as long as the address leads to a server that is read-only")
		}
	}
	if err := second(p.open(ctx, p.address, nil)); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("Open: %v", err)
	}
	revoked := make(chan error, 1) // sent before there is a primary
	go func() {
		revoked <- second(writes.Grants().Revoke(ctx, repository.GrantFilter{ID: "family"}, domain.ByUser))
	}()
	p.promote(t)
	p.move()
	if err := <-revoked; err != nil {
		t.Errorf("the revocation: %v", err)
	}
	if err := second(reads.Tokens().Get(ctx, token)); !errors.Is(err, repository.ErrRevoked) {
		t.Errorf("the token: %v", err)
	}
	if err := errors.Join(reads.Ping(ctx), writes.Ping(ctx)); err != nil {
		t.Error(err)
	}
}

// TestAfterASwitchoverAReaderIsNeverBehindForLongerThanConnMaxLifetime moves the address at once.
func TestAfterASwitchoverAReaderIsNeverBehindForLongerThanConnMaxLifetime(t *testing.T) {
	const lifetime = 2 * time.Second
	p := mariaDBPair(t)
	options := &postgres.Options{ConnMaxLifetime: lifetime}
	ctx, token := t.Context(), domain.DigestOf("token")
	reads, err := p.open(ctx, p.address, options)
	if err != nil {
		t.Fatal(err)
	}
	defer reads.Close()
	writes, err := p.open(ctx, p.address, options)
	if err != nil {
		t.Fatal(err)
	}
	defer writes.Close()
	if err := errors.Join(
		writes.Clients().Create(ctx, domain.Client{ID: theClient, Kind: domain.Dynamic}),
		writes.Grants().Create(ctx, domain.Grant{ID: "family", ClientID: theClient}),
		writes.Tokens().Create(ctx, domain.Token{Digest: token, Kind: domain.RefreshToken, GrantID: "family", ClientID: theClient}),
		second(reads.Tokens().Get(ctx, token)),
	); err != nil {
		t.Fatal(err)
	}
	p.demote(t)
	p.promote(t)
	p.move()
	if err := second(writes.Grants().Revoke(ctx, repository.GrantFilter{ID: "family"}, domain.ByUser)); err != nil {
		t.Fatal(err)
	}
	revoked, active := time.Now(), 0
	for err == nil && time.Since(revoked) < 3*lifetime {
		_, err = reads.Tokens().Get(ctx, token)
		active++
	}
	t.Logf("active in %d checks, for %v", active-1, time.Since(revoked))
	if !errors.Is(err, repository.ErrRevoked) || time.Since(revoked) > 2*lifetime {
		t.Errorf("got %v after %v", err, time.Since(revoked))
	}
}

// asServant returns a command of PostgreSQL's, which does not run as root.
func asServant(t *testing.T, name string, arguments ...string) []string {
	t.Helper()
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); err == nil && len(found) > 0 {
		name = found[len(found)-1] // Debian's are not in PATH
	}
	command := append([]string{name}, arguments...)
	if user, _, _ := servant(t); os.Getuid() == 0 {
		command = append([]string{"runuser", "-u", user, "--"}, command...)
	}
	return command
}

func runAsServant(t *testing.T, name string, arguments ...string) {
	t.Helper()
	command := asServant(t, name, arguments...)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), command[0], command[1:]...)
	cmd.Dir = sharedTemp
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// postgreSQLPair starts PostgreSQL twice, the second as a hot standby of the first.
func postgreSQLPair(t *testing.T) (p *pair, stop func()) {
	t.Helper()
	postgreSQL.url(t) // or skip the test
	dir := sharedDir(t)
	p = &pair{server: postgreSQL}
	data := func(i int) string { return filepath.Join(dir, fmt.Sprint("data", i)) }
	stopOne := func(i int) { runAsServant(t, "pg_ctl", "stop", "-D", data(i), "-m", "fast", "-w") }
	for i, address := range freeAddresses(t, 2) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			runAsServant(t, "initdb", "-D", data(0), "-U", "postgres", "-A", "trust", "--no-sync")
		} else {
			runAsServant(t, "pg_basebackup", "-D", data(1), "-d", p.urls[0], "-R", "--no-sync", "--checkpoint=fast")
		}
		run := asServant(t, "postgres", "-D", data(i), "-h", host, "-p", port, "-k", dir)
		program(t, data(i)+".log", address, run[0], run[1:]...)
		p.hosts[i], p.urls[i] = address, "postgres://postgres@"+address+"/postgres?sslmode=disable"
		t.Cleanup(func() {
			if _, err := os.Stat(filepath.Join(data(i), "postmaster.pid")); err == nil {
				stopOne(i)
			}
		})
		patience := time.Now().Add(time.Minute)
		for {
			pool, err := sql.Open("pgx", p.urls[i])
			if err != nil {
				t.Fatal(err)
			}
			err = errors.Join(pool.PingContext(t.Context()), pool.Close())
			if err == nil {
				break
			}
			if time.Now().After(patience) {
				t.Fatal(err, tail(data(i)+".log"))
			}
		}
	}
	p.address = "postgres://postgres@" + p.listen(t) + "/postgres?sslmode=disable"
	return p, func() { stopOne(0) }
}

// TestAHotStandbyIsRefusedAndWorksOnceItIsPromoted follows the recipe of docs/servers.md.
func TestAHotStandbyIsRefusedAndWorksOnceItIsPromoted(t *testing.T) {
	p, stop := postgreSQLPair(t)
	ctx := t.Context()
	store, err := p.open(ctx, p.address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Clients().Create(ctx, domain.Client{ID: "before", Kind: domain.Dynamic}); err != nil {
		t.Fatal(err)
	}
	if err := second(p.open(ctx, p.urls[1], nil)); err == nil || !strings.Contains(err.Error(), "read only") {
		t.Errorf("Open: %v", err)
	}
	if err := second(gormrepo.New(p.handle(t, p.urls[1]), nil)); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("New: %v", err)
	}
	both := fmt.Sprintf("postgres://postgres@%s,%s/postgres?sslmode=disable", p.hosts[1], p.hosts[0])
	other, err := p.open(ctx, both, nil)
	if err != nil {
		t.Fatalf("with both addresses: %v", err)
	}
	defer other.Close()

	stop() // it waits until the standby has everything
	sent := make(chan error, 1)
	go func() { sent <- store.Clients().Create(ctx, domain.Client{ID: "meanwhile", Kind: domain.Dynamic}) }()
	p.move()
	p.admin(t, 1, "SELECT pg_promote()")
	if err := errors.Join(<-sent, store.Ping(ctx), other.Ping(ctx), second(other.Clients().Get(ctx, "before"))); err != nil {
		t.Error(err)
	}
}
