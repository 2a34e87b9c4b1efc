package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/mysql"
)

// cluster is three nodes of MariaDB on loopback that Galera keeps the same, made for a test.
type cluster struct {
	provider string // Galera's library
	nodes    []*node
}

// node is one mariadbd.
type node struct {
	dir                          string
	port, group, increments, sst string // addresses on loopback: for clients, and for the other nodes
	cmd                          *exec.Cmd
	ended                        chan error
}

// sharedTemp is where the user that the servers run as can write, whoever runs the tests.
const sharedTemp = "/tmp"

// startCluster returns a cluster whose nodes all take part, or skips the test if Galera is not named.
func startCluster(t testing.TB) *cluster {
	t.Helper()
	const variable = "OAUTHSTORE_TEST_GALERA"
	c := &cluster{provider: os.Getenv(variable)}
	if c.provider == "" {
		t.Skipf("%s does not name Galera's library: no cluster to test on", variable)
	}
	dir, err := os.MkdirTemp(sharedTemp, "galera") //nolint:usetesting // the path of a socket may not be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	mkdir(t, dir)
	for i := range 3 {
		free := freeAddresses(t, 4)
		c.nodes = append(c.nodes, &node{dir: filepath.Join(dir, fmt.Sprint("node", i)), port: free[0], group: free[1], increments: free[2], sst: free[3]})
	}
	name, _, _ := servant(t)
	install := exec.CommandContext(t.Context(), "mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
		"--user="+name, "--datadir="+c.nodes[0].dir)
	mkdir(t, c.nodes[0].dir)
	install.Env = append(os.Environ(), "TMPDIR="+sharedTemp)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.kill()
		}
	})
	c.start(t, 0, "--wsrep-new-cluster")
	for i := range c.nodes[1:] {
		c.start(t, i+1)
	}
	return c
}

// servant returns the user that the servers run as: this one, or if that is root, from whom rsync takes nothing, mysql.
func servant(t testing.TB) (name string, uid, gid int) {
	t.Helper()
	u, err := user.Current()
	if err == nil && u.Uid == "0" {
		u, err = user.Lookup("mysql")
	}
	if err != nil {
		t.Fatal(err)
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	if err := errors.Join(errUID, errGID); err != nil {
		t.Fatal(err)
	}
	return u.Username, uid, gid
}

// mkdir makes a directory of the servers' user.
func mkdir(t testing.TB, dir string) {
	t.Helper()
	_, uid, gid := servant(t)
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chown(dir, uid, gid)); err != nil {
		t.Fatal(err)
	}
}

// freeAddresses returns addresses on loopback that nobody listens at.
func freeAddresses(t testing.TB, n int) []string {
	t.Helper()
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

// start starts a node, which gets the data of another one, and returns when it takes part.
func (c *cluster) start(t testing.TB, i int, more ...string) {
	t.Helper()
	n := c.nodes[i]
	mkdir(t, n.dir)
	name, _, _ := servant(t)
	var groups []string
	for _, other := range c.nodes {
		groups = append(groups, other.group)
	}
	_, port, err := net.SplitHostPort(n.port)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(n.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), "mariadbd", append([]string{
		"--no-defaults", "--user=" + name, "--datadir=" + n.dir, "--socket=" + n.dir + ".sock",
		"--bind-address=127.0.0.1", "--port=" + port, "--max-connections=500",
		"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--innodb-flush-log-at-trx-commit=2",
		"--innodb-lock-wait-timeout=3", // for the thread that applies what other nodes wrote: see the README
		"--wsrep-on=ON", "--wsrep-provider=" + c.provider, "--wsrep-cluster-address=gcomm://" + strings.Join(groups, ","),
		"--wsrep-node-name=" + filepath.Base(n.dir), "--wsrep-node-address=" + n.group, "--wsrep-node-incoming-address=" + n.port,
		"--wsrep-sst-method=rsync", "--wsrep-sst-receive-address=" + n.sst,
		// A node that gives its data to another one stands still meanwhile: reads wait longer than the usual 30 s.
		"--wsrep-provider-options=gmcast.listen_addr=tcp://" + n.group + ";ist.recv_addr=" + n.increments + ";repl.causal_read_timeout=PT3M",
	}, more...)...)
	n.cmd.Env = append(os.Environ(), "TMPDIR="+sharedTemp)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(n.cmd, n.ended)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !n.synced() {
		select {
		case err := <-n.ended:
			n.ended <- err
			t.Fatalf("node %d ended: %v\n%s\n%s", i, err, tail(n.dir+".log"), tail(c.nodes[0].dir+".log"))
		case <-ctx.Done():
			t.Fatalf("node %d does not take part\n%s", i, tail(n.dir+".log"))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tail returns the last lines of a file.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-90):], "\n")
}

// kill ends the node with SIGKILL.
func (n *node) kill() {
	if n.cmd == nil || n.cmd.Process == nil {
		return
	}
	_ = n.cmd.Process.Kill() // it may have ended
	<-n.ended
	n.cmd = nil
}

func (n *node) url(database string) string { return "mysql://root@" + n.port + "/" + database }

// synced reports whether the node has all that the others have.
func (n *node) synced() bool {
	var name, state string
	err := n.query("SHOW STATUS LIKE 'wsrep_local_state'", &name, &state)
	return err == nil && state == "4"
}

// query reads one row on this node, or runs a statement if there is nothing to read into.
func (n *node) query(statement string, fields ...any) error {
	db, err := gorm.Open(mySQL.plain(n.url("")), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	defer pool.Close()
	if len(fields) == 0 {
		return db.Exec(statement).Error
	}
	return db.Raw(statement).Row().Scan(fields...)
}

// database makes one, and returns its URL at a balancer, which gives each connection to the next node that accepts it.
func (c *cluster) database(t testing.TB) string {
	t.Helper()
	name := "oauthstore_" + prefix()
	if err := c.nodes[0].query("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return "mysql://root@" + c.balancer(t) + "/" + name
}

// balancer returns the address of a proxy to the nodes, in turn.
func (c *cluster) balancer(t testing.TB) string {
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
		for turn := 0; ; turn++ {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.proxy(client, turn) })
		}
	})
	return listener.Addr().String()
}

func (c *cluster) proxy(client net.Conn, turn int) {
	defer client.Close()
	for i := range c.nodes {
		server, err := net.Dial("tcp", c.nodes[(turn+i)%len(c.nodes)].port)
		if err != nil {
			continue // killed, or not up yet
		}
		defer server.Close()
		var up sync.WaitGroup
		up.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		})
		_, _ = io.Copy(client, server)
		_ = client.Close()
		up.Wait()
		return
	}
}

// opened opens a store at one node.
func (n *node) opened(t testing.TB, database string) *gormrepo.Store {
	t.Helper()
	store, err := mysql.Open(t.Context(), n.url(database), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
