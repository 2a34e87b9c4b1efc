package postgres_test

import (
	"context"
	"log"
	"os"

	"github.com/oauthstore/oauthstore/gormrepo/postgres"
)

// The URL has a password, so it comes from the environment: postgres://oauth@db.example/oauth?sslmode=verify-full, for example.
func ExampleOpen() {
	store, err := postgres.Open(context.Background(), os.Getenv("DATABASE_URL"), &postgres.Options{MaxConns: 32})
	if err != nil {
		log.Print(err) // it never has the password
		return
	}
	defer store.Close()
}
