package gormrepo

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

type tokens struct{ access }

func (r tokens) Create(ctx context.Context, list ...domain.Token) (err error) {
	defer r.wrap("create tokens", &err)
	if len(list) == 0 {
		return fmt.Errorf("%w: no tokens", repository.ErrInvalid)
	}
	if err := repository.CheckTokens(list); err != nil {
		return err
	}
	rows := tokensToRows(list)
	return r.write(ctx, rarelyFails, func(q *session) error {
		if err := q.fence(q.sql.use, list[0].GrantID, list[0].ClientID, list[0].Subject); err != nil {
			return err
		}
		return q.insertTokens(list, rows)
	})
}

func (r tokens) Get(ctx context.Context, d domain.Digest) (t domain.Token, err error) {
	defer r.wrap("get token", &err)
	err = r.read(ctx, func(q *session) (err error) {
		t, err = q.token(d)
		return err
	})
	return t, err
}

func (r tokens) Rotate(
	ctx context.Context, old domain.Digest, replay domain.Replay, next ...domain.Token,
) (_ domain.Token, err error) {
	defer r.wrap("rotate refresh token", &err)
	if err := repository.Validate(replay); err != nil {
		return domain.Token{}, err
	}
	if err := repository.CheckTokens(next); err != nil {
		return domain.Token{}, err
	}
	rows := tokensToRows(next)
	var consumed tokenRow
	var before domain.Token
	err = r.write(ctx, rarelyFails, func(q *session) (err error) {
		consumed, err = q.rotate(old, replay.Clone(), next, rows)
		if isSentinel(err) && consumed.Digest == nil {
			before, err = q.whyNotRotated(old, next, err)
		}
		return err
	})
	if err == nil {
		return tokenOf(consumed)
	}
	if before.Digest.IsZero() && !errors.Is(err, repository.ErrNotFound) { // the old token comes back as it is
		_ = r.read(ctx, func(q *session) error {
			before, _ = q.token(old)
			return nil
		})
	}
	return before, err
}

// rotate fences the grant, consumes the old token, and stores next. With an error it returns an
// empty row, or the old token if that was consumed before it failed.
func (q *session) rotate(old domain.Digest, replay domain.Replay, next []domain.Token, rows []tokenRow) (tokenRow, error) {
	var family domain.Token
	if len(next) > 0 {
		family = next[0]
	} else {
		var err error
		if family, err = q.rotatable(old, nil); err != nil {
			return tokenRow{}, err
		}
	}
	use := func() error { return q.fence(q.sql.use, family.GrantID, family.ClientID, family.Subject) }
	if !q.oneWriter { // the grant is locked first, by everything
		if err := use(); err != nil {
			return tokenRow{}, err
		}
	}
	consumed, err := q.consume(old, family, replay)
	if err != nil {
		return consumed, err
	}
	if q.oneWriter { // nothing has to be locked, and a token that is not live has changed nothing
		if err := use(); err != nil {
			return consumed, err
		}
	}
	return consumed, q.insertTokens(next, rows)
}

// consume consumes a live refresh token of a grant and returns it as it then is. ErrConflict if
// there is no such token.
func (q *session) consume(old domain.Digest, family domain.Token, replay domain.Replay) (tokenRow, error) {
	row := tokenRow{
		Digest: old[:], Kind: string(domain.RefreshToken),
		GrantID: family.GrantID, ClientID: family.ClientID, Subject: family.Subject, // whose the grant is, the token is
		ConsumedAt: micros(q.now), ReplaySealed: replay.Sealed, ReplayExpiresAt: micros(replay.ExpiresAt),
	}
	won, err := q.update(
		[]any{&row.Scopes, &row.Resources, &row.Data, &row.CreatedAt, &row.ExpiresAt}, q.sql.consumeToken,
		func() error { return q.queryRow(rest(&row), q.sql.token, old[:]) },
		old[:], family.GrantID, q.now.UnixMicro(), replay.Sealed, row.ReplayExpiresAt,
	)
	if err == nil && !won {
		err = repository.ErrConflict
	}
	if err != nil {
		return tokenRow{}, err
	}
	return row, nil
}

// rotatable returns the old token, and why next cannot replace it.
func (q *session) rotatable(old domain.Digest, next []domain.Token) (domain.Token, error) {
	before, dead := q.token(old)
	if before.Digest.IsZero() {
		return before, dead
	}
	return before, cmp.Or(repository.CheckRotation(before, next), dead)
}

// whyNotRotated returns the old token and why it cannot be rotated, which is err if it lies not
// with the token: what has ended the grant has ended the token, perhaps while this waited for it.
func (q *session) whyNotRotated(old domain.Digest, next []domain.Token, err error) (domain.Token, error) {
	before, why := q.rotatable(old, next)
	return before, cmp.Or(why, err)
}

func (r tokens) Revoke(ctx context.Context, d domain.Digest) (err error) {
	defer r.wrap("revoke token", &err)
	return r.write(ctx, oneStatement, func(q *session) error {
		if err := q.lockGrant(q.sql.grantOfToken, d); err != nil {
			return err
		}
		for {
			revoked, err := q.exec(q.sql.revokeToken, d[:], q.now.UnixMicro())
			if err != nil || revoked > 0 {
				return err
			}
			t, err := q.token(d)
			if t.Digest.IsZero() || !t.RevokedAt.IsZero() {
				return ignore(err, repository.ErrRevoked)
			}
			// On a server, it was created between the two statements.
		}
	})
}

func (r tokens) List(ctx context.Context, f repository.TokenFilter, page repository.Page) (_ []domain.Token, err error) {
	defer r.wrap("list tokens", &err)
	if err := f.Validate(); err != nil {
		return nil, err
	}
	after, err := page.AfterDigest()
	if err != nil {
		return nil, err
	}
	return list(ctx, r, func(q *session) *gorm.DB { return q.tokensBy(f) }, "digest", after[:], page, tokenOf)
}

func (r tokens) DeleteExpired(ctx context.Context, limit int) (gone int, err error) {
	defer r.wrap("delete expired tokens", &err)
	if err := repository.CheckLimit(limit); err != nil {
		return 0, err
	}
	err = r.write(ctx, severalChanges, func(q *session) error {
		deleted, err := q.deleteExpired(q.tokens, limit)
		if err != nil {
			return err
		}
		erased, err := q.eraseReplays(limit)
		gone = deleted + erased
		return err
	})
	if err != nil {
		return 0, err
	}
	return gone, nil
}

// eraseReplays removes the sealed answers whose time has passed.
func (q *session) eraseReplays(limit int) (int, error) {
	found, err := q.due(q.tokens(), "replay_expires_at", limit)
	if err != nil {
		return 0, err
	}
	return inBatches(found, func(batch [][]byte) (int, error) {
		erased := q.tokens().Where("digest IN ?", batch).
			Updates(map[string]any{"replay_sealed": nil, "replay_expires_at": nil})
		return int(erased.RowsAffected), erased.Error
	})
}

// tokensToRows makes the rows before the transaction begins, which keeps others waiting.
func tokensToRows(list []domain.Token) []tokenRow {
	rows := make([]tokenRow, len(list))
	for i, t := range list {
		rows[i] = tokenToRow(t.Clone())
	}
	return rows
}

// insertTokens stores the rows of tokens under their grant, which the caller has fenced.
func (q *session) insertTokens(list []domain.Token, rows []tokenRow) error {
	for i := 0; i < len(rows); {
		insert, n := q.sql.insertToken, 1
		if q.manyRows && i+1 < len(rows) {
			insert, n = q.sql.insertTwoTokens, 2
		}
		var all []any
		for range n {
			rows[i].CreatedAt = orNow(list[i].CreatedAt, q.now)
			all = append(all, values(&rows[i])...)
			i++
		}
		if err := q.insert(insert, all...); err != nil {
			return err
		}
	}
	return nil
}

func (q *session) tokensBy(f repository.TokenFilter) *gorm.DB {
	by := whereEqual(whereEqual(whereEqual(q.tokens(), "grant_id", f.GrantID), "client_id", f.ClientID), "subject", f.Subject)
	if f.GrantID == "" && (f.ClientID != "" || f.Subject != "") {
		// The indexes of clients and subjects are on the grants; without them, all tokens would be read.
		owned := whereEqual(whereEqual(q.grants(), "client_id", f.ClientID), "subject", f.Subject)
		by = by.Where("grant_id IN (?)", owned.Select("id"))
	}
	return whereState(whereEqual(by, "kind", string(f.Kind)), f.State, live, q.now)
}

func (q *session) token(d domain.Digest) (domain.Token, error) {
	row := tokenRow{Digest: d[:]}
	if err := q.queryRow(rest(&row), q.sql.token, d[:]); err != nil {
		return domain.Token{}, err
	}
	t, err := tokenOf(row)
	if err != nil {
		return domain.Token{}, err
	}
	return t, repository.WhyNotLive(t.Live(q.now), t.RevokedAt, t.ConsumedAt)
}
