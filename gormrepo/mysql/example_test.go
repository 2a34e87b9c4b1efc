package mysql_test

import (
	"context"
	"log"
	"os"

	"github.com/oauthstore/oauthstore/gormrepo/mysql"
)

// The URL has a password, so it comes from the environment: mysql://oauth@db.example/oauth?tls=true, for example.
func ExampleOpen() {
	store, err := mysql.Open(context.Background(), os.Getenv("DATABASE_URL"), &mysql.Options{MaxConns: 32})
	if err != nil {
		log.Print(err) // it never has the password
		return
	}
	defer store.Close()
}
