package repotest_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

// fault breaks one thing in a store that is right otherwise. Each hook wraps the repositories that it
// is about, inside transactions too; store wraps the whole.
type fault struct {
	name    string
	clients func(env env, c repository.Clients) repository.Clients
	grants  func(env env, g repository.Grants) repository.Grants
	codes   func(env env, c repository.AuthorizationCodes) repository.AuthorizationCodes
	tokens  func(env env, t repository.Tokens) repository.Tokens
	store   func(env env, s repository.Store) repository.Store
}

// env is what a fault can reach: the right repositories, of the same transaction, and the clock.
type env struct {
	repository.Repositories
	now  func() time.Time
	memo *sync.Map // what a fault remembers of its store
}

// faulty is a store with one fault.
type faulty struct {
	repository.Store
	fault fault
	now   func() time.Time
	memo  *sync.Map
}

func (s faulty) repos() faultyRepos {
	return faultyRepos{s.fault, env{s.Store, s.now, s.memo}}
}

func (s faulty) Clients() repository.Clients { return s.repos().Clients() }
func (s faulty) Grants() repository.Grants   { return s.repos().Grants() }
func (s faulty) AuthorizationCodes() repository.AuthorizationCodes {
	return s.repos().AuthorizationCodes()
}
func (s faulty) Tokens() repository.Tokens { return s.repos().Tokens() }

func (s faulty) InTx(ctx context.Context, fn func(tx repository.Repositories) error) error {
	return s.Store.InTx(ctx, func(tx repository.Repositories) error {
		return fn(faultyRepos{s.fault, env{tx, s.now, s.memo}})
	})
}

type faultyRepos struct {
	fault fault
	env   env
}

func (r faultyRepos) Now() time.Time { return r.env.Now() }

func (r faultyRepos) Clients() repository.Clients {
	return hooked(r.env, r.fault.clients, r.env.Repositories.Clients())
}

func (r faultyRepos) Grants() repository.Grants {
	return hooked(r.env, r.fault.grants, r.env.Repositories.Grants())
}

func (r faultyRepos) AuthorizationCodes() repository.AuthorizationCodes {
	return hooked(r.env, r.fault.codes, r.env.Repositories.AuthorizationCodes())
}

func (r faultyRepos) Tokens() repository.Tokens {
	return hooked(r.env, r.fault.tokens, r.env.Repositories.Tokens())
}

func hooked[R any](env env, hook func(env, R) R, right R) R {
	if hook == nil {
		return right
	}
	return hook(env, right)
}

// faultVar names the fault to the child process that runs the suite over it.
const faultVar = "REPOTEST_FAULT"

func allFaults() []fault {
	return slices.Concat(clientFaults(), grantFaults(), codeFaults(), tokenFaults(), storeFaults())
}

// TestWrappedStore runs the suite over a store that is wrapped as the broken ones are: without a fault, or
// with the one that TestSuiteCatchesEachFault asks of its child process.
func TestWrappedStore(t *testing.T) {
	var broken fault
	if name, ok := os.LookupEnv(faultVar); ok {
		if newStore := unfit[name]; newStore != nil {
			repotest.Run(t, newStore)
			return
		}
		broken = allFaults()[slices.IndexFunc(allFaults(), func(f fault) bool { return f.name == name })]
	}
	repotest.Run(t, func(_ *testing.T, opt repotest.Options) repository.Store {
		var right repository.Store = memoryrepo.New(&memoryrepo.Options{Now: opt.Now})
		store := faulty{right, broken, opt.Now, &sync.Map{}}
		if broken.store != nil {
			return broken.store(env{right, opt.Now, store.memo}, store)
		}
		return store
	})
}

// unfit are functions that the suite cannot run with.
var unfit = map[string]func(t *testing.T, opt repotest.Options) repository.Store{
	"ignores opt.Now": func(*testing.T, repotest.Options) repository.Store { return memoryrepo.New(nil) },
	"returns the same store": func() func(*testing.T, repotest.Options) repository.Store {
		var store repository.Store
		return func(_ *testing.T, opt repotest.Options) repository.Store {
			if store == nil {
				store = memoryrepo.New(&memoryrepo.Options{Now: opt.Now})
			}
			return store
		}
	}(),
}

func TestSuiteSaysThatItCannotRunWithAFunction(t *testing.T) {
	for name, sentence := range map[string]string{
		"ignores opt.Now": "and opt.Now says", "returns the same store": "one that was used before",
	} {
		out, err := runChild(t, name)
		if fails := strings.Count(out, "--- FAIL"); err == nil || fails != 3 || !strings.Contains(out, sentence) {
			t.Errorf("%s: %d failures, %v\n%s", name, fails, err, tail(out))
		}
	}
}

// failedCheck is the line of a subtest that failed, three levels down.
var failedCheck = regexp.MustCompile(`--- FAIL: TestWrappedStore/(\S+/\S+)`)

func TestSuiteCatchesEachFault(t *testing.T) {
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, f := range allFaults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			out, err := runChild(t, f.name)
			caught := failedCheck.FindStringSubmatch(out)
			if err == nil || caught == nil {
				t.Fatalf("the suite did not catch it: %v\n%s", err, tail(out))
			}
			t.Log("caught by", strings.ReplaceAll(caught[1], "_", " "))
		})
	}
}

func runChild(t *testing.T, name string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestWrappedStore$", "-test.failfast", "-test.timeout=60s")
	child.Env = append(os.Environ(), faultVar+"="+name)
	out, err := child.CombinedOutput()
	return string(out), err
}

func tail(out string) string { return out[max(0, len(out)-2000):] }
