package integration_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/cleanup"
	"github.com/oauthstore/oauthstore/repository/flow"
)

// robbed is a store on a file with a clock that is moved, and a thief who will take the file.
type robbed struct {
	path  string
	store repository.Store
	flow  *flow.Flow
	now   atomic.Pointer[time.Time]
}

func openRobbed(t *testing.T, d sqliteDriver) *robbed {
	t.Helper()
	r := &robbed{path: dbPath(t)}
	r.advance(0)
	store, err := d.open(t.Context(), r.path, &sqlite.Options{Now: r.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r.store, r.flow = store, flow.New(store, nil)
	err = store.Clients().Create(t.Context(), domain.Client{ID: theClient, Kind: domain.Dynamic})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *robbed) clock() time.Time { return *r.now.Load() }

func (r *robbed) advance(d time.Duration) {
	now := time.Now()
	if old := r.now.Load(); old != nil {
		now = old.Add(d)
	}
	r.now.Store(&now)
}

func (r *robbed) cleanUp(t *testing.T) cleanup.Result {
	t.Helper()
	result, err := cleanup.Run(t.Context(), r.store, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// rotateOnce gives users a grant and a refresh token each, rotates it, and returns the raw tokens
// that are stale from then on.
func (r *robbed) rotateOnce(t *testing.T, users int) (stale []string) {
	t.Helper()
	for range users {
		id, scopes := domain.NewID(), []string{"read"}
		first := minted(scopes, r.clock())
		for i := range first.Tokens {
			first.Tokens[i].GrantID, first.Tokens[i].ClientID, first.Tokens[i].Subject = id, theClient, theUser
		}
		err := errors.Join(
			r.store.Grants().Create(t.Context(), domain.Grant{ID: id, ClientID: theClient, Subject: theUser, Scopes: scopes}),
			r.store.Tokens().Create(t.Context(), first.Tokens...))
		if err != nil {
			t.Fatal(err)
		}
		raw := first.Response.RefreshToken
		_, _, err = r.flow.Refresh(t.Context(), flow.RefreshRequest{
			Token: raw,
			Check: func(domain.Token) error { return nil },
			Issue: func(old domain.Token, _ domain.Grant) (flow.Issued, error) { return minted(old.Scopes, r.clock()), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		stale = append(stale, raw)
	}
	return stale
}

// minted is an access token of an hour and a refresh token of a month.
func minted(scopes []string, now time.Time) flow.Issued {
	access, refresh := domain.NewSecret(), domain.NewSecret()
	return flow.Issued{
		Tokens: []domain.Token{
			{Digest: domain.DigestOf(access), Kind: domain.AccessToken, Scopes: scopes, ExpiresAt: now.Add(time.Hour)},
			{Digest: domain.DigestOf(refresh), Kind: domain.RefreshToken, Scopes: scopes, ExpiresAt: now.Add(720 * time.Hour)},
		},
		Response: flow.Response{AccessToken: access, TokenType: "Bearer", RefreshToken: refresh},
	}
}

// opens tries each stale token at each offset of data, and counts those that open a sealed answer:
// the thief knows how this module seals, and needs no more than the first block to see that a key
// fits. The rest of the answer, a live token, then lies open too.
func opens(t *testing.T, data []byte, stale []string) (opened int) {
	t.Helper()
	for _, raw := range stale {
		key, err := hkdf.Key(sha256.New, []byte(raw), nil, "github.com/oauthstore/oauthstore/repository/flow replay v1", 32)
		if err != nil {
			t.Fatal(err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		if opensAnywhere(block, data) {
			opened++
		}
	}
	return opened
}

func opensAnywhere(block cipher.Block, data []byte) bool {
	const nonceSize = 12
	begins := []byte(`{"a":"`)
	var counter, stream [aes.BlockSize]byte
	counter[aes.BlockSize-1] = 2 // of the first block of text in GCM
	for at := 0; at+nonceSize+len(begins) <= len(data); at++ {
		copy(counter[:], data[at:at+nonceSize])
		block.Encrypt(stream[:], counter[:])
		fits := true
		for i, b := range begins {
			fits = fits && data[at+nonceSize+i]^stream[i] == b
		}
		if fits {
			return true
		}
	}
	return false
}

// stolen returns the contents of the database and of all that lies beside it. It is called when the
// store is closed: a process that opens and closes the file drops the locks of SQLite.
func (r *robbed) stolen(t *testing.T) (all []byte) {
	t.Helper()
	names, err := filepath.Glob(r.path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		all = append(all, contents(t, name)...)
	}
	return all
}

func contents(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// onHandle is d on the handle of an application, which it does not close.
func onHandle(t *testing.T, d sqliteDriver) sqliteDriver {
	t.Helper()
	d.name += ", on the handle of an application"
	d.open = func(_ context.Context, path string, opts *sqlite.Options) (*gormrepo.Store, error) {
		db := plainGORM(t, d, path, &gorm.Config{})
		if err := db.Exec("PRAGMA journal_mode = WAL").Error; err != nil {
			return nil, err
		}
		return gormrepo.New(db, &gormrepo.Options{Now: opts.Now})
	}
	return d
}

func TestAnAnswerThatWasErasedOpensToNobodyWhoTakesTheFile(t *testing.T) {
	for _, d := range append(slices.Clone(sqliteDrivers), onHandle(t, pureGo)) {
		t.Run(d.name, func(t *testing.T) {
			r := openRobbed(t, d)
			stale := r.rotateOnce(t, 200)[:60]
			r.advance(flow.DefaultGrace + time.Second)
			r.cleanUp(t)
			r.advance(time.Hour)
			if err := r.store.Close(); err != nil {
				t.Fatal(err)
			}
			if n := opens(t, r.stolen(t), stale); n > 0 {
				t.Errorf("%d of %d stale tokens open an answer out of the file", n, len(stale))
			}
		})
	}
}

// TestOneCleanupTakesErasedAnswersOutOfTheWAL has four readers that never pause, so that a
// checkpoint that does not wait for them finds one of them in its way.
func TestOneCleanupTakesErasedAnswersOutOfTheWAL(t *testing.T) {
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			r := openRobbed(t, d)
			stale := r.rotateOnce(t, 50)
			if n := opens(t, contents(t, r.path+"-wal"), stale); n != len(stale) {
				t.Fatalf("%d of %d answers are in the -wal before: the thief is no thief", n, len(stale))
			}
			r.advance(flow.DefaultGrace + time.Second)
			besideReaders(t, r.store, func() { r.cleanUp(t) })
			if n := opens(t, contents(t, r.path+"-wal"), stale); n > 0 {
				t.Errorf("%d of %d erased answers are in the -wal", n, len(stale))
			}
		})
	}
}

// besideReaders calls fn while four goroutines read.
func besideReaders(t *testing.T, store repository.Store, fn func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				_, err := store.Tokens().List(ctx, repository.TokenFilter{ClientID: theClient}, repository.Page{Limit: 20})
				if err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	fn()
	stop()
	readers.Wait()
}

// TestWhatWasDeletedIsInNoFile looks, after Close, for each value that a verb has removed.
func TestWhatWasDeletedIsInNoFile(t *testing.T) {
	for _, d := range append(slices.Clone(sqliteDrivers), onHandle(t, pureGo)) {
		t.Run(d.name, func(t *testing.T) {
			r := openRobbed(t, d)
			gone := r.removeAll(t)
			if result := r.cleanUp(t); result.Grants == 0 || result.AuthorizationCodes == 0 {
				t.Fatalf("cleanup removed %+v", result)
			}
			if err := r.store.Close(); err != nil {
				t.Fatal(err)
			}
			data := r.stolen(t)
			for what, value := range gone {
				if bytes.Contains(data, value) {
					t.Errorf("%s is in a file", what)
				}
			}
		})
	}
}

// removeAll stores entities of each kind, and removes or replaces them, or lets them end.
func (r *robbed) removeAll(t *testing.T) (gone map[string][]byte) {
	t.Helper()
	ctx := t.Context()
	value := func() []byte { return []byte(domain.NewSecret() + domain.NewSecret()) }
	secret := domain.DigestOf("replaced")
	gone = map[string][]byte{
		"the data of a grant that was revoked": value(), "the data of a grant of a deleted client": value(),
		"the data of a code": value(), "the metadata of a deleted client": value(),
		"a replaced secret": []byte(base64.StdEncoding.EncodeToString(secret[:])),
	}
	deleted := domain.Client{ID: "deleted", Kind: domain.Dynamic}
	deleted.Metadata.ClientName = string(gone["the metadata of a deleted client"])
	kept := domain.Client{ID: "kept", Kind: domain.Dynamic, Secrets: []domain.Secret{{Digest: secret}}, Version: 1}
	ended := domain.Grant{ID: "ended", ClientID: "kept", Subject: theUser, Data: gone["the data of a grant that was revoked"]}
	under := domain.Grant{ID: "under", ClientID: "deleted", Subject: theUser, Data: gone["the data of a grant of a deleted client"]}
	code := domain.AuthorizationCode{
		Digest: domain.DigestOf("code"), GrantID: "ended", ClientID: "kept", Subject: theUser,
		ExpiresAt: r.clock().Add(time.Minute), Data: gone["the data of a code"],
	}
	err := errors.Join(r.store.Clients().Create(ctx, deleted), r.store.Clients().Create(ctx, kept),
		r.store.Grants().Create(ctx, ended), r.store.Grants().Create(ctx, under),
		r.store.AuthorizationCodes().Create(ctx, code), r.store.Clients().Delete(ctx, "deleted"))
	if err != nil {
		t.Fatal(err)
	}
	kept.Secrets = []domain.Secret{{Digest: domain.DigestOf("its successor")}}
	_, errUpdate := r.store.Clients().Update(ctx, kept)
	_, errRevoke := r.store.Grants().Revoke(ctx, repository.GrantFilter{ID: "ended"}, domain.ByUser)
	if err := errors.Join(errUpdate, errRevoke); err != nil {
		t.Fatal(err)
	}
	r.advance(2 * cleanup.DefaultRetention)
	return gone
}
