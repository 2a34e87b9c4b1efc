package main_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/store"
	"github.com/tidwall/buntdb"
)

// goOAuth2 is the token store of github.com/go-oauth2/oauth2 on a file of buntdb, which holds everything in memory.
// It syncs the file once a second, unless it is told otherwise, which the store has no way to do: always is the
// durability of synchronous=FULL. It keeps raw tokens.
func goOAuth2(b *testing.B, dir string) (subject, error) {
	tokens, err := store.NewFileTokenStore(filepath.Join(dir, "buntdb"))
	if err != nil {
		return subject{}, err
	}
	field := reflect.ValueOf(tokens).Elem().FieldByName("db")
	db := *(**buntdb.DB)(field.Addr().UnsafePointer())
	var c buntdb.Config
	if err := db.ReadConfig(&c); err != nil {
		return subject{}, err
	}
	setSync := func(policy buntdb.SyncPolicy) error {
		c.SyncPolicy = policy
		return db.SetConfig(c)
	}
	ctx := b.Context()
	pair := func(name string, i int) oauth2.TokenInfo {
		t := models.NewToken()
		t.ClientID, t.UserID, t.Scope = client.ID, grant(i).Subject, "read write"
		t.Access, t.AccessCreateAt, t.AccessExpiresIn = fmt.Sprint(name, "-access-", i), time.Now(), time.Hour
		t.Refresh, t.RefreshCreateAt, t.RefreshExpiresIn = fmt.Sprint(name, "-refresh-", i), time.Now(), 24*time.Hour
		return t
	}
	return subject{
		fill: func(n int) error {
			if err := setSync(buntdb.Never); err != nil {
				return err
			}
			for i := range n {
				c := models.NewToken()
				c.ClientID, c.UserID, c.RedirectURI, c.Scope = client.ID, grant(i).Subject, code(i).RedirectURI, "read write"
				c.Code, c.CodeCreateAt, c.CodeExpiresIn = fmt.Sprint("code-", i), time.Now(), time.Hour
				if err := errors.Join(tokens.Create(ctx, c), tokens.Create(ctx, pair("stock", i))); err != nil {
					return err
				}
			}
			return setSync(buntdb.Always)
		},
		getToken: func(i int) error {
			t, err := tokens.GetByAccess(ctx, fmt.Sprint("stock-access-", i))
			if err == nil && t == nil {
				err = errors.New("no such token")
			}
			return err
		},
		createToken: func(i int) error { return tokens.Create(ctx, pair("created", i)) },
		consumeCode: func(i int) error {
			c, err := tokens.GetByCode(ctx, fmt.Sprint("code-", i))
			if err == nil && c == nil {
				err = errors.New("no such code")
			}
			return errors.Join(err, tokens.RemoveByCode(ctx, fmt.Sprint("code-", i)))
		},
		rotate: func(i int) error {
			old, err := tokens.GetByRefresh(ctx, fmt.Sprint("stock-refresh-", i))
			if err == nil && old == nil {
				err = errors.New("no such token")
			}
			return errors.Join(err, tokens.RemoveByAccess(ctx, fmt.Sprint("stock-access-", i)),
				tokens.RemoveByRefresh(ctx, fmt.Sprint("stock-refresh-", i)), tokens.Create(ctx, pair("next", i)))
		},
		close: db.Close,
	}, nil
}
