package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/oauthstore/oauthstore/config"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

// reopen closes the store, opens it again and looks for what was there.
func (t *tour) reopen(ctx context.Context) error {
	_, code, err := t.approve(ctx, "dora")
	if err != nil {
		return err
	}
	if t.alive, err = t.exchange(ctx, code); err != nil {
		return err
	}
	if t.inMemory() {
		t.say("reopen", "left out: a store in memory ends with its process")
		return nil
	}
	if err := t.closedFor(ctx, func() error { return nil }); err != nil {
		return err
	}
	if err := t.sameAsBefore(ctx); err != nil {
		return fmt.Errorf("after reopening: %w", err)
	}
	t.say("reopen", "closed and opened again: the client, %d revocations and the live tokens are there", len(t.ended))
	return nil
}

func (t *tour) sameAsBefore(ctx context.Context) error {
	c, err := t.store.Clients().Get(ctx, t.client.ID)
	if err != nil || !c.CreatedAt.Equal(t.client.CreatedAt) || !c.Authenticate(t.secret, c.CreatedAt) {
		return errors.Join(err, errors.New("the client is not the same"))
	}
	for _, g := range t.ended {
		stored, err := t.store.Grants().Get(ctx, g.ID)
		if !errors.Is(err, repository.ErrRevoked) || stored.RevokedReason != g.RevokedReason {
			return errors.Join(err, errors.New("a grant is not revoked any more"))
		}
	}
	for _, raw := range []string{t.alive.AccessToken, t.alive.RefreshToken} {
		if err := t.expect(ctx, raw, true); err != nil {
			return err
		}
	}
	return nil
}

// closedFor closes the store, calls do, and opens the store again: also when the tour is interrupted
// meanwhile, for what it stored must be removed.
func (t *tour) closedFor(ctx context.Context, do func() error) error {
	err := t.store.Close()
	if err == nil {
		err = do()
	}
	return errors.Join(err, t.open(context.WithoutCancel(ctx)))
}

// inMemory reports whether the entities end with the process.
func (t *tour) inMemory() bool {
	return t.cfg.Backend == config.Memory || t.cfg.Backend == config.SQLite && t.cfg.SQLitePath == sqlite.Memory
}
