package serverdb_test

import (
	"errors"
	"testing"

	"github.com/oauthstore/oauthstore/gormrepo/internal/serverdb"
)

func TestAnAtSignIsBeforeTheHostOrInAValueOfTheQuery(t *testing.T) {
	for url, allowed := range map[string]bool{
		"db://h/db":                    true,
		"db://ada@h/db":                true,
		"db://ada:x@h/db?a=b@c&d=@#e":  true,
		"db://ada:x@h?a=b@c/d":         true,
		"db://ada:1%402@h/db":          true,
		"db:///db":                     true,
		"db://ada:1/2@h/db":            false,
		"db://ada:1?2@h/db":            false,
		"db://ada:1#2@h/db":            false,
		"db://ada:1@2@h/db":            false,
		"db://ada:1@2/3@h/db":          false,
		"db://ada:1@2#3@h/db":          false,
		"db://ada:1@2/3#4?5@h/db":      false,
		"db://ada:1@2?3@h/db":          false,
		"db://ada:1@2/3?a=b&3@h/db":    false,
		"db://ada:1://2@h/db":          false,
		"db://ada:1@2://3@h/db":        false,
		"db://h/db?user=ada@h":         false,
		"db://h/db#ada@h":              false,
		"db://ada:x@h/db@":             false,
		"ada:1@tcp(h)/db, and no URL@": true,
	} {
		if err := serverdb.CheckURL(url); (err == nil) != allowed || err != nil && !errors.Is(err, serverdb.ErrURL) {
			t.Errorf("%s: got %v", url, err)
		}
	}
}
