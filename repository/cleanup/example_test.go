package cleanup_test

import (
	"context"
	"fmt"

	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository/cleanup"
)

func ExampleRun() {
	store := memoryrepo.New(nil)
	defer store.Close()

	removed, err := cleanup.Run(context.Background(), store, nil)
	fmt.Printf("%+v %v\n", removed, err)
	// Output: {AuthorizationCodes:0 Tokens:0 Grants:0} <nil>
}

func ExampleStart() {
	store := memoryrepo.New(nil)
	defer store.Close()

	cleaner := cleanup.Start(store, nil)
	defer cleaner.Stop()
}
