package gormrepo

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

type tokens struct{ runner }

func (r tokens) Create(ctx context.Context, list ...domain.Token) error {
	const op = "create tokens"
	if len(list) == 0 {
		return r.wrap(op, fmt.Errorf("%w: no tokens", repository.ErrInvalid))
	}
	if err := validateTokens(list); err != nil {
		return r.wrap(op, err)
	}
	return r.wrap(op, r.hotTx(ctx, func(c conn) error {
		first := list[0]
		if err := c.use(first.GrantID, first.ClientID, first.Subject); err != nil {
			return err
		}
		return c.insert(list)
	}))
}

func (r tokens) Get(ctx context.Context, d domain.Digest) (domain.Token, error) {
	var t domain.Token
	err := r.reading(ctx, func(c conn) (err error) {
		t, err = c.token(d)
		return err
	})
	return t, r.wrap("get token", err)
}

func (r tokens) Rotate(ctx context.Context, old domain.Digest, replay domain.Replay, next ...domain.Token) (domain.Token, error) {
	const op = "rotate refresh token"
	if err := repository.Validate(replay); err != nil {
		return domain.Token{}, r.wrap(op, err)
	}
	if err := validateTokens(next); err != nil {
		return domain.Token{}, r.wrap(op, err)
	}
	var rotated domain.Token
	err := r.hotTx(ctx, func(c conn) (err error) {
		rotated, err = c.rotate(old, replay.Clone(), next)
		return err
	})
	return rotated, r.wrap(op, err)
}

func (c conn) rotate(old domain.Digest, replay domain.Replay, next []domain.Token) (domain.Token, error) {
	before, dead := c.token(old)
	if before.Digest.IsZero() {
		return domain.Token{}, dead
	}
	if before.Kind != domain.RefreshToken {
		return before, fmt.Errorf("%w: Kind is access_token, which is never rotated", repository.ErrInvalid)
	}
	if len(next) > 0 {
		if err := sameFamily(before, next[0]); err != nil {
			return before, err
		}
	}
	if dead != nil {
		return before, dead
	}
	if err := c.use(before.GrantID, before.ClientID, before.Subject); err != nil {
		if !isSentinel(err) {
			return before, err
		}
		if now, why := c.token(old); why != nil {
			return now, why // what ended the grant has ended the token, while this waited for it
		}
		return before, err
	}
	now := c.now.UnixMicro()
	consumed, err := c.exec(c.tables.texts.consumeToken, now, replay.Sealed, micros(replay.ExpiresAt), old[:], now)
	if err != nil {
		return before, err
	}
	if consumed == 0 {
		if now, why := c.token(old); why != nil {
			return now, why
		}
		return before, repository.ErrConflict // not with its grant held
	}
	if err := c.insert(next); err != nil {
		return before, err
	}
	before.ConsumedAt, before.Replay = c.now, replay
	return before, nil
}

func (r tokens) Revoke(ctx context.Context, d domain.Digest) error {
	return r.wrap("revoke token", r.writing(ctx, func(c conn) error {
		if err := c.lockGrant(c.tables.texts.ofToken, d); err != nil {
			return err
		}
		for {
			revoked, err := c.exec(c.tables.texts.revokeToken, c.now.UnixMicro(), d[:])
			if err != nil || revoked > 0 {
				return err
			}
			t, err := c.token(d)
			if t.Digest.IsZero() || !t.RevokedAt.IsZero() {
				return unless(err, repository.ErrRevoked)
			}
			// On a server, it was created between the two statements.
		}
	}))
}

func (r tokens) List(ctx context.Context, f repository.TokenFilter, page repository.Page) ([]domain.Token, error) {
	const op = "list tokens"
	if err := f.Validate(); err != nil {
		return nil, r.wrap(op, err)
	}
	size, err := page.Size()
	if err != nil {
		return nil, r.wrap(op, err)
	}
	after, err := page.AfterDigest()
	if err != nil {
		return nil, r.wrap(op, err)
	}
	var rows []tokenRow
	if err := r.reading(ctx, func(c conn) error {
		return c.tokensBy(f).Select(tokenColumns).Where("digest > ?", after[:]).Order("digest").Limit(size).Find(&rows).Error
	}); err != nil {
		return nil, r.wrap(op, err)
	}
	list, err := each(rows, tokenOf)
	return list, r.wrap(op, err)
}

func (r tokens) DeleteExpired(ctx context.Context, limit int) (int, error) {
	const op = "delete expired tokens"
	if err := repository.CheckLimit(limit); err != nil {
		return 0, r.wrap(op, err)
	}
	var gone int
	err := r.inTx(ctx, func(c conn) error {
		deleted, err := c.deleteExpired(c.tables.tokens, limit)
		if err != nil {
			return err
		}
		erased, err := c.eraseReplays(limit)
		gone = deleted + erased
		return err
	})
	if err != nil {
		return 0, r.wrap(op, err)
	}
	return gone, nil
}

// eraseReplays removes the sealed answers whose time has passed.
func (c conn) eraseReplays(limit int) (int, error) {
	var found [][]byte
	err := unlocked(c.tokens().Where("replay_expires_at <= ?", c.now.UnixMicro())).Order("replay_expires_at").
		Limit(limit).Pluck("digest", &found).Error
	if err != nil {
		return 0, err
	}
	erased := 0
	for batch := range slices.Chunk(found, batchSize) {
		done := c.tokens().Where("digest IN ?", batch).
			Updates(map[string]any{"replay_sealed": nil, "replay_expires_at": nil})
		if done.Error != nil {
			return 0, done.Error
		}
		erased += int(done.RowsAffected)
	}
	return erased, nil
}

// insert stores tokens under their grant, which the caller has fenced.
func (c conn) insert(list []domain.Token) error {
	for _, t := range list {
		t = t.Clone()
		setIfZero(&t.CreatedAt, c.now)
		row := tokenToRow(t)
		if _, err := c.exec(c.tables.texts.insertToken, row.values()...); err != nil {
			return err
		}
	}
	return nil
}

func (c conn) tokensBy(f repository.TokenFilter) *gorm.DB {
	q := equal(equal(equal(c.tokens(), "grant_id", f.GrantID), "client_id", f.ClientID), "subject", f.Subject)
	if f.GrantID == "" && (f.ClientID != "" || f.Subject != "") {
		// The indexes of clients and subjects are on the grants; without them, all tokens would be read.
		owned := equal(equal(c.grants(), "client_id", f.ClientID), "subject", f.Subject)
		q = q.Where("grant_id IN (?)", owned.Select("id"))
	}
	return inState(equal(q, "kind", string(f.Kind)), f.State, liveToken, c.now)
}

func (c conn) token(d domain.Digest) (domain.Token, error) {
	var row tokenRow
	if err := c.one(row.fields(), c.tables.texts.token, d[:]); err != nil {
		return domain.Token{}, err
	}
	t, err := tokenOf(row)
	if err != nil {
		return domain.Token{}, err
	}
	return t, reason(t.RevokedAt, t.ConsumedAt, t.ExpiresAt, c.now)
}

// validateTokens checks each token, and that they are of one family.
func validateTokens(list []domain.Token) error {
	for _, t := range list {
		if err := repository.Validate(t); err != nil {
			return err
		}
		if err := sameFamily(list[0], t); err != nil {
			return err
		}
	}
	return nil
}

func sameFamily(a, b domain.Token) error {
	switch {
	case a.GrantID != b.GrantID:
		return fmt.Errorf("%w: GrantID differs between tokens", repository.ErrInvalid)
	case a.ClientID != b.ClientID:
		return fmt.Errorf("%w: ClientID differs between tokens", repository.ErrInvalid)
	case a.Subject != b.Subject:
		return fmt.Errorf("%w: Subject differs between tokens", repository.ErrInvalid)
	}
	return nil
}
