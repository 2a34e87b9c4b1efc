package repotest_test

import (
	"testing"

	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/repotest"
)

// The test of a store of one's own, in whole.
func ExampleRun() {
	_ = func(t *testing.T) {
		repotest.Run(t, func(_ *testing.T, opts repotest.Options) repository.Store {
			return memoryrepo.New(&memoryrepo.Options{Now: opts.Now})
		})
	}
}
