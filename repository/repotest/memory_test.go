package repotest_test

import (
	"testing"

	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

func TestMemory(t *testing.T) {
	repotest.Run(t, func(_ *testing.T, opt repotest.Options) repository.Store {
		return memoryrepo.New(&memoryrepo.Options{Now: opt.Now})
	})
}

func BenchmarkMemory(b *testing.B) {
	repotest.Benchmark(b, func(*testing.B) repository.Store { return memoryrepo.New(nil) })
}
