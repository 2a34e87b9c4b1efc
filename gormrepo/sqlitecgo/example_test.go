//go:build cgo

package sqlitecgo_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/sqlitecgo"
	"github.com/oauthstore/oauthstore/repository"
)

// What one process stores, the next one finds.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "oauthstore")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path, ctx := filepath.Join(dir, "oauth.db"), context.Background()

	for range 2 {
		store, err := sqlitecgo.Open(ctx, path, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		err = store.Clients().Create(ctx, domain.Client{ID: "editor", Kind: domain.Preregistered})
		fmt.Println(err == nil, errors.Is(err, repository.ErrAlreadyExists))
		if err := store.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// true false
	// false true
}
