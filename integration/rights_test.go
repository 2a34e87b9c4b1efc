package integration_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/postgres"
	"github.com/oauthstore/oauthstore/repository"
)

var sqlForm = regexp.MustCompile("(?s)```sql\n(.*?)```")

// rights are the GRANT statements of docs/servers.md: to make the tables and to work with them.
func rights(t *testing.T) map[string]struct{ make, work []string } {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "docs", "servers.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks [][]string
	for _, found := range sqlForm.FindAllSubmatch(page, -1) {
		statements := strings.Split(strings.TrimSpace(string(found[1])), ";")
		blocks = append(blocks, statements[:len(statements)-1])
	}
	if len(blocks) != 4 {
		t.Fatalf("the page has %d blocks of SQL, not 4", len(blocks))
	}
	return map[string]struct{ make, work []string }{
		"PostgreSQL": {blocks[0], blocks[2]},
		"MySQL":      {blocks[1], blocks[3]},
	}
}

func TestTheRightsThatTheDocsNameAreEnoughAndEachIsNeeded(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			all := rights(t)[s.name]
			address := s.database(t)
			if err := s.worksWith(t, address, all.make); err != nil {
				t.Errorf("with the rights to make tables: %v", err)
			}
			address = s.database(t)
			store, err := s.open(t.Context(), address, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if err := s.worksWith(t, address, all.work); err != nil {
				t.Errorf("with the rights to work: %v", err)
			}
			for i, one := range all.work {
				others := slices.Concat(all.work[:i], all.work[i+1:])
				err := s.worksWith(t, address, others)
				if err == nil && !strings.Contains(one, "USAGE") { // which every user has by default
					t.Errorf("works without %s", one)
				}
			}
		})
	}
}

// worksWith opens a store as a new user that has the rights, and does all that a store does.
func (s server) worksWith(t *testing.T, address string, rights []string) error {
	t.Helper()
	name := strings.ToLower(prefix())
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	db := s.handle(t, address)
	for _, statement := range slices.Concat([]string{fmt.Sprintf(s.newUser, name)}, rights) {
		statement = strings.NewReplacer("TO app", fmt.Sprintf("TO %s", name), "oauth.", databaseOf(t, address)+".").Replace(statement)
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(statement, err)
		}
	}
	t.Cleanup(func() { // before the databases go, and after what was granted in them
		if err := db.Exec(fmt.Sprintf(s.noUser, name)).Error; err != nil {
			t.Error(err)
		}
	})
	u.User = url.UserPassword(name, "test")
	now := time.Now()
	store, err := s.open(t.Context(), u.String(), &postgres.Options{Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	defer store.Close()
	return everyVerb(t.Context(), store, func() { now = now.Add(1000 * time.Hour) })
}

// everyVerb calls the verbs that write, once each, and returns the first error.
func everyVerb(ctx context.Context, store repository.Store, later func()) error {
	client, grant := domain.Client{ID: domain.NewID(), Kind: domain.Dynamic}, domain.NewID()
	code, other := domain.DigestOf(domain.NewSecret()), domain.DigestOf(domain.NewSecret())
	refresh, next := domain.DigestOf(domain.NewSecret()), domain.DigestOf(domain.NewSecret())
	redeemed := domain.DigestOf(domain.NewSecret())
	token := func(d domain.Digest) domain.Token {
		return domain.Token{
			Digest: d, Kind: domain.RefreshToken, GrantID: grant, ClientID: client.ID, Subject: theUser,
			ExpiresAt: time.Now().Add(time.Hour),
		}
	}
	authorizationCode := func(d domain.Digest) domain.AuthorizationCode {
		return domain.AuthorizationCode{
			Digest: d, GrantID: grant, ClientID: client.ID, Subject: theUser, ExpiresAt: time.Now().Add(time.Hour),
		}
	}
	before := func() time.Time { return time.Now().Add(900 * time.Hour) }
	for _, verb := range []func() error{
		func() error { return store.Clients().Create(ctx, client) },
		func() error { client.Version = 1; return second(store.Clients().Update(ctx, client)) },
		func() error {
			return store.Grants().Create(ctx, domain.Grant{ID: grant, ClientID: client.ID, Subject: theUser})
		},
		func() error { return store.AuthorizationCodes().Create(ctx, authorizationCode(code)) },
		func() error { return second(store.AuthorizationCodes().Consume(ctx, code)) },
		func() error { return store.AuthorizationCodes().Create(ctx, authorizationCode(other)) },
		func() error { return second(store.AuthorizationCodes().Redeem(ctx, other, token(redeemed))) },
		func() error { return store.Tokens().Create(ctx, token(refresh)) },
		func() error { return second(store.Tokens().Rotate(ctx, refresh, domain.Replay{}, token(next))) },
		func() error { return store.Tokens().Revoke(ctx, next) },
		func() error { return second(store.Stats(ctx)) },
		func() error {
			return second(store.Grants().Revoke(ctx, repository.GrantFilter{ID: grant}, domain.ByUser))
		},
		func() error { later(); return second(store.AuthorizationCodes().DeleteExpired(ctx, 100)) },
		func() error { return second(store.Tokens().DeleteExpired(ctx, 100)) },
		func() error { return second(store.Grants().DeleteEnded(ctx, before(), 100)) },
		func() error { return store.Clients().Delete(ctx, client.ID) },
		func() error { return store.Ping(ctx) },
	} {
		if err := verb(); err != nil {
			return err
		}
	}
	return nil
}
