package main_test

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/sql"
	"github.com/sirupsen/logrus"
)

// dex is the SQLite storage of github.com/dexidp/dex, as it opens it: a rollback journal and synchronous=FULL. It
// has no access tokens: its refresh tokens stand for them. It keeps raw tokens. With many goroutines it answers
// "database is locked"; a caller that tries again gets through in the end.
func dex(_ *testing.B, dir string) (subject, error) {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	s, err := (&sql.SQLite3{File: filepath.Join(dir, "dex.db")}).Open(quiet)
	if err != nil {
		return subject{}, err
	}
	token := func(name string, i int) storage.RefreshToken {
		return storage.RefreshToken{
			ID: fmt.Sprint(name, i), Token: fmt.Sprint(name, "-token-", i), CreatedAt: time.Now(), LastUsed: time.Now(),
			ClientID: client.ID, ConnectorID: "local", Claims: storage.Claims{UserID: grant(i).Subject, Username: "ada"},
			Scopes: []string{"read", "write"},
		}
	}
	insist := func(call func(i int) error) func(i int) error {
		return func(i int) error {
			deadline := time.Now().Add(time.Minute)
			err := call(i)
			for err != nil && time.Now().Before(deadline) {
				runtime.Gosched()
				err = call(i)
			}
			return err
		}
	}
	return subject{
		fill: func(n int) error {
			err := s.CreateClient(storage.Client{
				ID: client.ID, Name: client.Metadata.ClientName, RedirectURIs: client.Metadata.RedirectURIs, Public: true,
			})
			for i := 0; i < n && err == nil; i++ {
				if err = s.CreateRefresh(token("stock", i)); err != nil {
					break
				}
				err = s.CreateAuthCode(storage.AuthCode{
					ID: fmt.Sprint("code", i), ClientID: client.ID, RedirectURI: code(i).RedirectURI,
					Scopes: []string{"read", "write"}, ConnectorID: "local", Expiry: soon,
					Claims: storage.Claims{UserID: grant(i).Subject, Username: "ada"},
				})
			}
			return err
		},
		getClient: insist(func(int) error {
			_, err := s.GetClient(client.ID)
			return err
		}),
		getToken: insist(func(i int) error {
			_, err := s.GetRefresh(fmt.Sprint("stock", i))
			return err
		}),
		createToken: insist(func(i int) error { return s.CreateRefresh(token("created", i)) }),
		consumeCode: insist(func(i int) error {
			if _, err := s.GetAuthCode(fmt.Sprint("code", i)); err != nil {
				return err
			}
			return s.DeleteAuthCode(fmt.Sprint("code", i))
		}),
		rotate: insist(func(i int) error {
			return s.UpdateRefreshToken(fmt.Sprint("stock", i), func(old storage.RefreshToken) (storage.RefreshToken, error) {
				old.Token, old.LastUsed = fmt.Sprint("next-token-", i), time.Now()
				return old, nil
			})
		}),
		close: s.Close,
	}, nil
}
