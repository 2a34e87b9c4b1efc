package gormrepo_test

import (
	"context"
	"fmt"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
)

// A Store on the handle that the application has: its tables lie beside the application's own.
func ExampleNew() {
	db, err := gorm.Open(sqlite.Open(":memory:"), &gorm.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	pool, err := db.DB()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1) // each connection would be a database of its own

	store, err := gormrepo.New(db, &gormrepo.Options{TablePrefix: "auth_"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close() // the handle stays open

	err = store.Clients().Create(context.Background(), domain.Client{ID: "editor", Kind: domain.Preregistered})
	fmt.Println(err, db.Migrator().HasTable("auth_clients"))
	// Output: <nil> true
}
