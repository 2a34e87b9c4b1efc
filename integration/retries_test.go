package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/repository"
)

// TestATransactionWhoseConnectionIsLostRunsAgain ends all connections once, in the middle of a transaction.
func TestATransactionWhoseConnectionIsLostRunsAgain(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			address := s.database(t)
			opened(t, s.backend(), address, func(store repository.Store) {
				times := 0
				err := store.InTx(t.Context(), func(tx repository.Repositories) error {
					times++
					if err := tx.Clients().Create(t.Context(), domain.Client{ID: "first", Kind: domain.Dynamic}); err != nil {
						return err
					}
					for times == 1 && s.cutSome(databaseOf(t, address)) > 0 {
					}
					return tx.Clients().Create(t.Context(), domain.Client{ID: "second", Kind: domain.Dynamic})
				})
				if err != nil || times != 2 {
					t.Errorf("it ran %d times, and ended with %v", times, err)
				}
				if stats, err := store.Stats(t.Context()); err != nil || stats.Clients != 2 {
					t.Errorf("%d clients, %v", stats.Clients, err)
				}
			})
		})
	}
}

// TestATransactionThatTheServerEndedWhileItWasIdleRunsAgain pauses once for longer than the server waits.
func TestATransactionThatTheServerEndedWhileItWasIdleRunsAgain(t *testing.T) {
	for s, parameter := range map[*server]string{
		&postgreSQL: "idle_in_transaction_session_timeout=1000",
		&mySQL:      "idle_transaction_timeout=1",
	} {
		t.Run(s.name, func(t *testing.T) {
			store, err := s.open(t.Context(), with(t, s.database(t), parameter), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			times := 0
			err = store.InTx(t.Context(), func(tx repository.Repositories) error {
				times++
				if err := tx.Clients().Create(t.Context(), domain.Client{ID: "first", Kind: domain.Dynamic}); err != nil {
					return err
				}
				if times == 1 {
					within(t, 2*time.Second)
				}
				return tx.Clients().Create(t.Context(), domain.Client{ID: "second", Kind: domain.Dynamic})
			})
			if err != nil || times != 2 {
				t.Errorf("it ran %d times, and ended with %v", times, err)
			}
		})
	}
}

// TestAColumnWhoseTypeChangesFailsNoCall changes it while connections have statements prepared that read it.
func TestAColumnWhoseTypeChangesFailsNoCall(t *testing.T) {
	address := postgreSQL.database(t)
	store, err := postgreSQL.open(t.Context(), address, &postgres.Options{MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Clients().Create(t.Context(), domain.Client{ID: theClient, Kind: domain.Dynamic}); err != nil {
		t.Fatal(err)
	}
	all := func() {
		var readers sync.WaitGroup
		for range 64 {
			readers.Go(func() {
				for range 10 {
					read := second(store.Clients().Get(t.Context(), theClient))
					within := store.InTx(t.Context(), func(tx repository.Repositories) error {
						return second(tx.Clients().Get(t.Context(), theClient))
					})
					if err := errors.Join(read, within); err != nil {
						t.Error(err)
					}
				}
			})
		}
		readers.Wait()
	}
	all()
	db := postgreSQL.handle(t, address)
	for _, column := range []string{"kind TYPE varchar", "kind TYPE text", "version TYPE numeric"} {
		if err := db.Exec("ALTER TABLE oauth_clients ALTER COLUMN " + column).Error; err != nil {
			t.Fatal(err)
		}
		all()
	}
}

// faulty is a trigger that ends the first insertion of a client with an error of the server's, which quotes the client.
var faulty = map[string][]string{
	"PostgreSQL": {
		`CREATE SEQUENCE faults`, // it does not roll back
		`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('faults') = 1 THEN RAISE EXCEPTION 'about %%', NEW.id USING ERRCODE = '%s'; END IF;
			RETURN NEW;
		END $$`,
		`CREATE TRIGGER fail BEFORE INSERT ON oauth_clients FOR EACH ROW EXECUTE FUNCTION fail()`,
	},
	"MySQL": {
		`CREATE TABLE faults (n INT) ENGINE=MyISAM`, // it does not roll back
		`CREATE TRIGGER fail BEFORE INSERT ON oauth_clients FOR EACH ROW BEGIN
			DECLARE about TEXT DEFAULT CONCAT('about ', NEW.id);
			INSERT INTO faults VALUES (1);
			IF (SELECT COUNT(*) FROM faults) = 1 THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = %s, MESSAGE_TEXT = about; END IF;
		END`,
	},
}

// TestWhatAServerHasUndoneRunsAgainAndWhatItRefusesDoesNot lets the server answer with each error once, to a call and to a
// verb inside InTx whose function returns the error.
func TestWhatAServerHasUndoneRunsAgainAndWhatItRefusesDoesNot(t *testing.T) {
	again := map[string][]string{
		"PostgreSQL": {"0A000", "25006", "25P03", "25P04", "40001", "40P01", "55P03", "08000", "08006", "57P01", "57P03", "53300"},
		"MySQL": {
			"1290", "1792", "1836", "1020", "1205", "1206", "1213", "1305", "3101", "1047", "1040", "1053", "1077", "1079", "1152", "1158", "1159", "1160", "1161", "1203", "1226", "1317", "1927", "3169", "4031",
		},
	}
	refused := map[string][]string{"PostgreSQL": {"P0001", "22000", "XX000"}, "MySQL": {"1644", "1105", "3024"}}
	for _, s := range servers {
		for _, code := range again[s.name] {
			t.Run(s.name+" "+code+" again", func(t *testing.T) { s.failsOnce(t, code, true, alone) })
			t.Run(s.name+" "+code+" again, InTx", func(t *testing.T) { s.failsOnce(t, code, true, inTx) })
		}
		for _, code := range refused[s.name] {
			t.Run(s.name+" "+code+" refused", func(t *testing.T) { s.failsOnce(t, code, false, alone) })
			t.Run(s.name+" "+code+" refused, InTx", func(t *testing.T) { s.failsOnce(t, code, false, inTx) })
		}
	}
}

func alone(ctx context.Context, store repository.Store, c domain.Client) error {
	return store.Clients().Create(ctx, c)
}

func inTx(ctx context.Context, store repository.Store, c domain.Client) error {
	return store.InTx(ctx, func(tx repository.Repositories) error { return tx.Clients().Create(ctx, c) })
}

func (s server) failsOnce(
	t *testing.T, code string, again bool, create func(ctx context.Context, store repository.Store, c domain.Client) error,
) {
	t.Helper()
	address := s.database(t)
	opened(t, s.backend(), address, func(store repository.Store) {
		db := s.handle(t, address)
		for _, statement := range faulty[s.name] {
			if strings.Contains(statement, "%s") {
				statement = fmt.Sprintf(statement, code)
			}
			if err := db.Exec(statement).Error; err != nil {
				t.Fatal(err)
			}
		}
		const canary = "canary"
		err := create(t.Context(), store, domain.Client{ID: canary, Kind: domain.Dynamic})
		if again != (err == nil) {
			t.Errorf("got %v", err)
		}
		if err != nil && (strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), code)) {
			t.Errorf("got %v, which repeats the client, or does not name the error", err)
		}
		stored := store.Clients()
		if _, err := stored.Get(t.Context(), canary); again != (err == nil) {
			t.Errorf("the client: %v", err)
		}
	})
}

// TestAnAnswerToCommitThatIsLostIsAnUnknownOutcome cuts the connection before a COMMIT reaches the server, and before its
// answer reaches the client.
func TestAnAnswerToCommitThatIsLostIsAnUnknownOutcome(t *testing.T) {
	for _, s := range servers {
		for _, arrives := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, the commit arrives: %v", s.name, arrives), func(t *testing.T) {
				u, err := url.Parse(s.database(t))
				if err != nil {
					t.Fatal(err)
				}
				proxy := newCommitCutter(t, u.Host, arrives)
				u.Host = proxy.address
				opened(t, s.backend(), u.String(), func(store repository.Store) {
					once := map[string]func() error{
						"verb": func() error {
							return store.Clients().Create(t.Context(), domain.Client{ID: "verb", Kind: domain.Dynamic})
						},
						"transaction": func() error {
							times := 0
							return store.InTx(t.Context(), func(tx repository.Repositories) error {
								if times++; times > 1 {
									t.Error("the transaction runs again, though it may have been committed")
								}
								return tx.Clients().Create(t.Context(), domain.Client{ID: "transaction", Kind: domain.Dynamic})
							})
						},
					}
					for name, call := range once {
						proxy.armed.Store(true)
						if err := call(); !errors.Is(err, repository.ErrUnknownOutcome) {
							t.Errorf("%s: got %v", name, err)
						}
						if proxy.armed.Load() {
							t.Errorf("%s: no COMMIT was cut", name)
						}
						if _, err := store.Clients().Get(t.Context(), name); (err == nil) != arrives {
							t.Errorf("%s: the client: %v", name, err)
						}
					}
				})
			})
		}
	}
}

var errFull = errors.New("full")

// TestACallEndsSoonAfterItsContextThoughTheServerIsSilent lets the network swallow a BEGIN, a ROLLBACK or a COMMIT, and what
// follows. Only a COMMIT may outlive its context.
func TestACallEndsSoonAfterItsContextThoughTheServerIsSilent(t *testing.T) {
	for _, s := range servers {
		for _, at := range []string{"begin", "rollback", "commit"} {
			t.Run(s.name+" "+at, func(t *testing.T) {
				u, err := url.Parse(s.database(t))
				if err != nil {
					t.Fatal(err)
				}
				proxy := newCommitCutter(t, u.Host, false)
				proxy.silent, u.Host = true, proxy.address
				switch at {
				case "begin":
					proxy.at = map[string]string{"PostgreSQL": "begin isolation level read committed", "MySQL": "start transaction"}[s.name]
				case "rollback":
					proxy.at = at
				}
				opened(t, s.backend(), u.String(), func(store repository.Store) {
					ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
					defer cancel()
					proxy.armed.Store(true)
					begun := time.Now()
					ended := make(chan error, 1)
					go func() {
						ended <- store.InTx(ctx, func(tx repository.Repositories) error {
							err := tx.Clients().Create(ctx, domain.Client{ID: "silent", Kind: domain.Dynamic})
							if at == "rollback" && err == nil {
								err = errFull
							}
							return err
						})
					}()
					select {
					case err = <-ended:
					case <-time.After(20 * time.Second):
						t.Error("the call waits for the network")
						proxy.release()
						err = <-ended
					}
					if proxy.armed.Load() {
						t.Error("it was not swallowed")
					}
					if unknown := errors.Is(err, repository.ErrUnknownOutcome); unknown != (at == "commit") || err == nil {
						t.Errorf("got %v", err)
					}
					if at == "rollback" {
						if !errors.Is(err, errFull) {
							t.Errorf("%v is not the error of the function", err)
						}
					} else if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
						t.Errorf("%v is not the error of its context", err)
					}
					if took := time.Since(begun); at != "commit" && took > 2*time.Second {
						t.Errorf("it outlived its context: %v", took)
					}
					proxy.release()
				})
			})
		}
	}
}

// commitCutter is a proxy to a server that, once armed, closes the next connection on which a COMMIT comes, or says nothing
// more on it.
type commitCutter struct {
	address, server string
	at              string // how the statement ends: commit
	arrives         bool   // the statement, before the connection is closed
	silent          bool   // do not close it, until release
	armed           atomic.Bool
	release         func()
	released        <-chan struct{}
}

func newCommitCutter(t *testing.T, server string, arrives bool) *commitCutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, release := context.WithCancel(t.Context())
	p := &commitCutter{
		address: listener.Addr().String(), server: server, at: "commit", arrives: arrives, release: release, released: ctx.Done(),
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		release()
		all.Wait()
	})
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(client) })
		}
	})
	return p
}

func (p *commitCutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	var answers sync.WaitGroup
	defer answers.Wait()
	defer server.Close()
	var cut atomic.Bool
	answers.Go(func() {
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if cut.Load() && p.silent {
				return
			}
			if err != nil || cut.Load() {
				_ = client.Close() // with the answer to the COMMIT, which the server has given by now
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if p.hits(buffer[:n]) && p.armed.CompareAndSwap(true, false) {
			cut.Store(true)
			if p.silent {
				<-p.released
				return
			}
			if !p.arrives {
				return
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// hits reports whether a message is the statement.
func (p *commitCutter) hits(message []byte) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimRight(string(message), "\x00")), p.at)
}
