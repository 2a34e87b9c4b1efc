package integration_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/repository"
)

const workerVariable = "OAUTHSTORE_TEST_WORKER"

// workerSpec is what a worker process does, as JSON in its environment.
type workerSpec struct {
	Backend, Address string

	Name    string // create a client of this name and end; or else:
	Worker  int    // its number, from 1
	Alone   bool   // on families of its own, so that nearly every call writes
	MayFail bool   // an error says that nothing was done, and does not end the run
	History string // the file for its events
	First   int    // the first family
	Began   int64  // when the run began, by clock
	Length  time.Duration
}

// The entities of all families are of one client and one user.
const (
	theClient = "app"
	theUser   = "ada"
)

const (
	goroutinesPerWorker = 4
	familyLasts         = 20 * time.Millisecond // so many calls meet on a family, and not too many to check
)

// backend is a way to open a store at an address: a file, or a URL.
type backend struct {
	name string
	open func(ctx context.Context, address string) (*gormrepo.Store, error)
}

func (d sqliteDriver) backend() backend {
	return backend{d.name, func(ctx context.Context, path string) (*gormrepo.Store, error) { return d.open(ctx, path, nil) }}
}

func (s server) backend() backend {
	return backend{s.name, func(ctx context.Context, url string) (*gormrepo.Store, error) { return s.open(ctx, url, nil) }}
}

func backendNamed(name string) (backend, error) {
	var all []backend
	for _, d := range sqliteDrivers {
		all = append(all, d.backend())
	}
	for _, s := range servers {
		all = append(all, s.backend())
	}
	for _, b := range all {
		if b.name == name {
			return b, nil
		}
	}
	return backend{}, fmt.Errorf("no backend is named %q", name)
}

// work is the worker process: it says that it is ready, and begins when its input ends.
func work(text string) error {
	var spec workerSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	b, err := backendNamed(spec.Backend)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	left := noted()
	ctx := context.Background()
	store, err := b.open(ctx, spec.Address)
	if err != nil {
		return err
	}
	if spec.Name != "" {
		err = store.Clients().Create(ctx, domain.Client{ID: spec.Name, Kind: domain.Dynamic})
	} else {
		err = spec.play(ctx, store)
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	return left()
}

// play makes random calls until the run is over, on families that every worker plays with at the time.
func (spec workerSpec) play(ctx context.Context, store repository.Store) error {
	file, err := os.Create(spec.History)
	if err != nil {
		return err
	}
	h := &history{file: file}
	errs := make([]error, goroutinesPerWorker)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for n := 0; errs[i] == nil; n++ {
				age := clock() - spec.Began
				if age > int64(spec.Length) {
					return
				}
				e := randomCall()
				if spec.Alone {
					e = nextCall(n)
					e.Family += ownFamilies * (spec.Worker*goroutinesPerWorker + i)
				} else {
					e.Family += int(age / int64(familyLasts))
				}
				e.Worker, e.Family = spec.Worker, e.Family+spec.First
				errs[i] = h.record(e, func() (string, error) { return spec.call(ctx, e, store) })
			}
		})
	}
	all.Wait()
	return errors.Join(append(errs, file.Close())...)
}

func (spec workerSpec) call(ctx context.Context, e event, store repository.Store) (string, error) {
	result, err := e.run(ctx, store)
	if err != nil && spec.MayFail && !errors.Is(err, repository.ErrUnknownOutcome) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", e.Op, err)
		return failed, nil
	}
	return result, err
}

// randomCall is on one of the three newest families.
func randomCall() event {
	calls := []string{
		opCreate, opCreate, opConsume, opConsume, opConsume, opGetCode, opIssue, opIssue,
		opRotate, opRotate, opRotate, opRotate, opGetToken, opGetToken, opRevokeToken, opRevokeGrant,
	}
	e := event{Op: calls[rand.N(len(calls))], Family: -rand.N(3)}
	switch e.Op {
	case opRotate, opGetToken, opRevokeToken:
		e.Token = rand.N(rand.N(chain) + 1) // the first ones more often
	}
	return e
}

// ownFamilies is how many families a goroutine has that works alone, at most.
const ownFamilies = 10_000

// nextCall takes one family after the other through its life: the n-th call.
func nextCall(n int) event {
	calls := []event{{Op: opCreate}, {Op: opConsume}, {Op: opIssue}}
	for i := range chain {
		calls = append(calls, event{Op: opRotate, Token: i})
	}
	calls = append(calls, event{Op: opRevokeGrant})
	e := calls[n%len(calls)]
	e.Family = n / len(calls)
	return e
}

// run makes the call.
func (e event) run(ctx context.Context, store repository.Store) (string, error) {
	id := fmt.Sprint("family-", e.Family)
	code := domain.DigestOf(fmt.Sprint("code ", e.Family))
	token := func(i int) domain.Token {
		return domain.Token{
			Digest: domain.DigestOf(fmt.Sprint("token ", e.Family, i)), Kind: domain.RefreshToken,
			GrantID: id, ClientID: theClient, Subject: theUser,
		}
	}
	switch e.Op {
	case opCreate:
		return resultOf(store.InTx(ctx, func(tx repository.Repositories) error {
			if err := tx.Grants().Create(ctx, domain.Grant{ID: id, ClientID: theClient, Subject: theUser}); err != nil {
				return err
			}
			return tx.AuthorizationCodes().Create(ctx, domain.AuthorizationCode{
				Digest: code, GrantID: id, ClientID: theClient, Subject: theUser, ExpiresAt: time.Now().Add(time.Hour),
			})
		}))
	case opConsume:
		_, err := store.AuthorizationCodes().Consume(ctx, code)
		return resultOf(err)
	case opGetCode:
		_, err := store.AuthorizationCodes().Get(ctx, code)
		return resultOf(err)
	case opIssue:
		return resultOf(store.Tokens().Create(ctx, token(0)))
	case opRotate:
		var next []domain.Token
		if e.Token+1 < chain {
			next = append(next, token(e.Token+1))
		}
		_, err := store.Tokens().Rotate(ctx, token(e.Token).Digest, domain.Replay{}, next...)
		return resultOf(err)
	case opGetToken:
		_, err := store.Tokens().Get(ctx, token(e.Token).Digest)
		return resultOf(err)
	case opRevokeToken:
		return resultOf(store.Tokens().Revoke(ctx, token(e.Token).Digest))
	case opRevokeGrant:
		n, err := store.Grants().Revoke(ctx, repository.GrantFilter{ID: id}, domain.ByUser)
		if err == nil && n == 0 {
			return nothing, nil
		}
		return resultOf(err)
	default: // opGetGrant
		_, err := store.Grants().Get(ctx, id)
		return resultOf(err)
	}
}

func resultOf(err error) (string, error) {
	switch {
	case err == nil:
		return done, nil
	case errors.Is(err, repository.ErrNotFound):
		return missing, nil
	case errors.Is(err, repository.ErrAlreadyExists):
		return exists, nil
	case errors.Is(err, repository.ErrRevoked):
		return revoked, nil
	case errors.Is(err, repository.ErrConsumed):
		return consumed, nil
	}
	return "", err
}

// process is a running worker.
type process struct {
	cmd   *exec.Cmd
	begin io.Closer
	spec  workerSpec
}

// startWorker returns when the worker is ready to begin.
func startWorker(t *testing.T, spec workerSpec) *process {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), workerVariable+"="+string(text))
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("a worker did not start: %v", err)
	}
	return &process{cmd, in, spec}
}
