package gormrepo

import (
	"context"
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
		if err := q.fence(q.sql.fenceAndTouch, list[0].GrantID, list[0].ClientID, list[0].Subject); err != nil {
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
	var rotated domain.Token
	err = r.write(ctx, rarelyFails, func(q *session) (err error) {
		rotated, err = q.rotate(old, replay.Clone(), next, rows)
		return err
	})
	return rotated, err
}

func (q *session) rotate(
	old domain.Digest, replay domain.Replay, next []domain.Token, rows []tokenRow,
) (domain.Token, error) {
	before, dead := q.token(old)
	if before.Digest.IsZero() {
		return before, dead
	}
	if err := repository.CheckRotation(before, next); err != nil {
		return before, err
	}
	if dead != nil {
		return before, dead
	}
	if err := q.fence(q.sql.fenceAndTouch, before.GrantID, before.ClientID, before.Subject); err != nil {
		return q.unlessDead(old, before, err)
	}
	now := q.now.UnixMicro()
	consumed, err := q.exec(q.sql.consumeToken, old[:], now, replay.Sealed, micros(replay.ExpiresAt))
	if err != nil {
		return before, err
	}
	if consumed == 0 {
		return q.unlessDead(old, before, repository.ErrConflict) // which cannot be while the grant is locked
	}
	if err := q.insertTokens(next, rows); err != nil {
		return before, err
	}
	before.ConsumedAt, before.Replay = q.now, replay
	return before, nil
}

// unlessDead returns the token, and err unless the token has ended meanwhile: then it returns the
// token as it is now, and why it has ended. A call that ended the grant, perhaps while this one
// waited for its lock, ended the token too.
func (q *session) unlessDead(d domain.Digest, before domain.Token, err error) (domain.Token, error) {
	if !isSentinel(err) {
		return before, err
	}
	if now, dead := q.token(d); dead != nil {
		return now, dead
	}
	return before, err
}

func (r tokens) Revoke(ctx context.Context, d domain.Digest) (err error) {
	defer r.wrap("revoke token", &err)
	return r.write(ctx, oneStatement, func(q *session) error {
		if err := q.lockGrant(q.sql.lockGrantOfToken, d); err != nil {
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
			// Another transaction created it between the two statements.
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

func (r tokens) DeleteExpired(ctx context.Context, limit int) (_ int, err error) {
	defer r.wrap("delete expired tokens", &err)
	return r.whole(ctx, func(r access) (int, error) {
		deleted, err := sweep(ctx, r, limit, (*session).tokens, "expires_at", deleteRows)
		if err != nil {
			return deleted, err
		}
		erased, err := sweep(ctx, r, limit, (*session).tokens, "replay_expires_at", eraseReplays)
		if err == nil && max(deleted, erased) < limit {
			r.forget(ctx)
		}
		return deleted + erased, err
	})
}

func eraseReplays(rows *gorm.DB) *gorm.DB {
	return rows.Updates(map[string]any{"replay_sealed": nil, "replay_expires_at": nil})
}

// tokensToRows makes the rows before the transaction begins: other calls wait for a transaction.
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
		if q.insertsPairs && i+1 < len(rows) {
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
	by := whereEqual(q.tokens(), "grant_id", f.GrantID, "client_id", f.ClientID, "subject", f.Subject, "kind", string(f.Kind))
	if f.GrantID == "" && (f.ClientID != "" || f.Subject != "") {
		// The indexes of clients and subjects are on the grants; without them, all tokens would be read.
		owned := whereEqual(q.grants(), "client_id", f.ClientID, "subject", f.Subject)
		by = by.Where("grant_id IN (?)", owned.Select("id"))
	}
	return whereState(by, f.State, sqlLive, q.now)
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
