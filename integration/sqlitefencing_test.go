package integration_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/repository"
)

// afterStatement calls then after the first statement that begins with a text, quotes left out.
type afterStatement struct {
	slog.Handler
	text string
	then func()
}

func (h *afterStatement) Enabled(context.Context, slog.Level) bool { return true }

func (h *afterStatement) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if then := h.then; a.Key == "sql" && then != nil && strings.HasPrefix(strings.ReplaceAll(a.Value.String(), "`", ""), h.text) {
			h.then = nil
			then()
		}
		return true
	})
	return nil
}

// TestNothingIsAddedToAGrantThatAnotherStoreRevokesInBetween has two stores on one file, each through the handle of an
// application, as two programs would. The second one revokes the grant right after the first has fenced it.
func TestNothingIsAddedToAGrantThatAnotherStoreRevokesInBetween(t *testing.T) {
	digest, old := domain.DigestOf("added"), domain.DigestOf("old")
	token := domain.Token{Digest: digest, Kind: domain.RefreshToken, GrantID: "g", ClientID: "c"}
	getToken := func(ctx context.Context, store repository.Store) error {
		_, err := store.Tokens().Get(ctx, digest)
		return err
	}
	type call = func(ctx context.Context, store repository.Store) error
	additions := map[string]struct{ add, get call }{
		"a code": {
			func(ctx context.Context, store repository.Store) error {
				code := domain.AuthorizationCode{Digest: digest, GrantID: "g", ClientID: "c", ExpiresAt: time.Now().Add(time.Hour)}
				return store.AuthorizationCodes().Create(ctx, code)
			},
			func(ctx context.Context, store repository.Store) error {
				_, err := store.AuthorizationCodes().Get(ctx, digest)
				return err
			},
		},
		"a token": {
			func(ctx context.Context, store repository.Store) error { return store.Tokens().Create(ctx, token) },
			getToken,
		},
		"a rotation": {
			func(ctx context.Context, store repository.Store) error {
				_, err := store.Tokens().Rotate(ctx, old, domain.Replay{}, token)
				return err
			},
			getToken,
		},
	}
	for _, d := range sqliteDrivers {
		for name, tt := range additions {
			t.Run(d.name+", "+name, func(t *testing.T) {
				ctx, path := t.Context(), dbPath(t)
				opened(t, d.backend(), path, func(store repository.Store) {
					if err := errors.Join(
						store.Clients().Create(ctx, domain.Client{ID: "c", Kind: domain.Dynamic}),
						store.Grants().Create(ctx, domain.Grant{ID: "g", ClientID: "c"}),
						store.Tokens().Create(ctx, domain.Token{Digest: old, Kind: domain.RefreshToken, GrantID: "g", ClientID: "c"}),
					); err != nil {
						t.Fatal(err)
					}
				})
				log := &afterStatement{text: "UPDATE oauth_grants"}
				adds, errAdds := gormrepo.New(plainGORM(t, d, path, &gorm.Config{}), &gormrepo.Options{Logger: slog.New(log)})
				revokes, errRevokes := gormrepo.New(plainGORM(t, d, path, &gorm.Config{}), nil)
				if err := errors.Join(errAdds, errRevokes); err != nil {
					t.Fatal(err)
				}
				asked := false
				var revoked error
				log.then = func() {
					asked = true
					within, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
					defer cancel()
					_, revoked = revokes.Grants().Revoke(within, repository.GrantFilter{ID: "g"}, domain.ByUser)
				}
				added := tt.add(ctx, adds)
				if !asked {
					t.Fatal("the grant was not fenced")
				}
				live := tt.get(ctx, revokes)
				if revoked == nil && !repository.IsInactive(live) {
					t.Errorf("the grant is revoked, and what was added to it is live: %v", live)
				}
				if revoked != nil && (added != nil || live != nil) {
					t.Errorf("the grant is not revoked (%v), and what was added to it is not live: %v, %v", revoked, added, live)
				}
			})
		}
	}
}
