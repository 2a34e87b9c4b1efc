package sqlite_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

func TestWhatWasStoredIsThereAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "on demand", "a?b#c%20.db")
	store, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := domain.Client{ID: "app", Kind: domain.Dynamic}
	grant := domain.Grant{ID: "g", ClientID: "app", Subject: "alice", Data: []byte{}}
	code := domain.AuthorizationCode{Digest: domain.DigestOf("code"), GrantID: "g", ClientID: "app", Subject: "alice", ExpiresAt: time.Now().Add(time.Minute)}
	token := domain.Token{Digest: domain.DigestOf("refresh"), Kind: domain.RefreshToken, GrantID: "g", ClientID: "app", Subject: "alice"}
	next := domain.Token{Digest: domain.DigestOf("refresh 2"), Kind: domain.RefreshToken, GrantID: "g", ClientID: "app", Subject: "alice"}
	_, errConsume := store.AuthorizationCodes().Consume(t.Context(), code.Digest)
	if !errors.Is(errConsume, repository.ErrNotFound) {
		t.Fatal(errConsume)
	}
	for _, err := range []error{
		store.Clients().Create(t.Context(), client),
		store.Grants().Create(t.Context(), grant),
		store.AuthorizationCodes().Create(t.Context(), code),
		store.Tokens().Create(t.Context(), token),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.AuthorizationCodes().Consume(t.Context(), code.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Tokens().Rotate(t.Context(), token.Digest, domain.Replay{}, next); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	store, err = sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.AuthorizationCodes().Get(t.Context(), code.Digest); !errors.Is(err, repository.ErrConsumed) {
		t.Errorf("the code comes back with %v", err)
	}
	if _, err := store.Tokens().Get(t.Context(), next.Digest); err != nil {
		t.Errorf("the new token comes back with %v", err)
	}
	if err := store.Clients().Create(t.Context(), client); !errors.Is(err, repository.ErrAlreadyExists) {
		t.Errorf("creating the client again: %v", err)
	}
	stats, err := store.Stats(t.Context())
	want := repository.Stats{Clients: 1, Grants: repository.Count{Total: 1, Live: 1}, AuthorizationCodes: repository.Count{Total: 1}, RefreshTokens: repository.Count{Total: 2, Live: 1}}
	if err != nil || stats != want {
		t.Errorf("stats: %+v, %v", stats, err)
	}
}
