package main_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

// handwritten is the limit: database/sql with prepared statements on the schema of this module, one connection
// that writes and four that read, and no more checks than the same guarantees need.
type handwritten struct {
	ctx  context.Context
	pool *sql.DB // readers
	w    *sql.DB
	conn *sql.Conn
	mu   sync.Mutex // held by who writes

	begin, commit, rollback                  *sql.Stmt
	fence, insert, consumeCode, consumeToken *sql.Stmt
	getToken, getClient                      *sql.Stmt
}

const (
	tokenColumns = "digest, kind, grant_id, client_id, subject, scopes, resources, data, created_at, expires_at, " +
		"consumed_at, replay_sealed, replay_expires_at, revoked_at"
	codeColumns = "digest, grant_id, client_id, subject, redirect_uri, scopes, resources, code_challenge, " +
		"code_challenge_method, nonce, data, created_at, expires_at, consumed_at, revoked_at"
	clientColumns = "id, kind, secrets, metadata, version, created_at, updated_at"
)

// openHandwritten opens path, which has the schema already.
func openHandwritten(ctx context.Context, driver, path, synchronous string) (*handwritten, error) {
	h := &handwritten{ctx: ctx}
	var err error
	if h.w, err = h.open(driver, path, synchronous, 1); err != nil {
		return nil, err
	}
	if h.conn, err = h.w.Conn(ctx); err != nil {
		return nil, err
	}
	if h.pool, err = h.open(driver, path, synchronous, 4); err != nil {
		return nil, err
	}
	for statement, text := range map[**sql.Stmt]string{
		&h.begin: "BEGIN IMMEDIATE", &h.commit: "COMMIT", &h.rollback: "ROLLBACK",
		&h.fence: "UPDATE oauth_grants SET last_used_at = ? WHERE id = ? AND client_id = ? AND subject = ? " +
			"AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)",
		&h.insert: "INSERT INTO oauth_tokens (" + tokenColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		&h.consumeCode: "UPDATE oauth_authorization_codes SET consumed_at = ? WHERE digest = ? AND consumed_at IS NULL " +
			"AND revoked_at IS NULL AND expires_at > ? RETURNING " + codeColumns,
		&h.consumeToken: "UPDATE oauth_tokens SET consumed_at = ?, replay_sealed = ?, replay_expires_at = ? WHERE digest = ? " +
			"AND consumed_at IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) RETURNING " + tokenColumns,
	} {
		if *statement, err = h.conn.PrepareContext(ctx, text); err != nil { //nolint:sqlclosecheck // close does
			return nil, err
		}
	}
	if h.getToken, err = h.pool.PrepareContext(ctx, "SELECT "+tokenColumns+" FROM oauth_tokens WHERE digest = ?"); err != nil {
		return nil, err
	}
	h.getClient, err = h.pool.PrepareContext(ctx, "SELECT "+clientColumns+" FROM oauth_clients WHERE id = ?")
	return h, err
}

func (h *handwritten) open(driver, path, synchronous string, conns int) (*sql.DB, error) {
	dsn := fmt.Sprintf("file:%s?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(%s)&_pragma=foreign_keys(1)", path, synchronous)
	if driver == "sqlite3" {
		dsn = fmt.Sprintf("file:%s?_busy_timeout=10000&_journal_mode=WAL&_synchronous=%s&_foreign_keys=1", path, synchronous)
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func (h *handwritten) subject() subject {
	return subject{
		getClient: func(int) error { _, err := h.client(client.ID); return err },
		getToken: func(i int) error {
			t, err := scanToken(h.getToken.QueryRowContext(h.ctx, accessDigests[i][:]))
			if err == nil && !t.ExpiresAt.After(time.Now()) {
				err = errors.New("expired")
			}
			return err
		},
		createToken: func(i int) error {
			t := created(i)
			return h.tx(func(now int64) error {
				if err := h.use(t, now); err != nil {
					return err
				}
				return h.add(t, now)
			})
		},
		consumeCode: func(i int) error {
			d := code(i).Digest
			return h.tx(func(now int64) error {
				_, err := scanCode(h.consumeCode.QueryRowContext(h.ctx, now, d[:], now))
				return err
			})
		},
		rotate: func(i int) error {
			d, t := refresh(i).Digest, next(i)
			return h.tx(func(now int64) error {
				old, err := scanToken(h.consumeToken.QueryRowContext(h.ctx, now, nil, nil, d[:], now))
				if err != nil {
					return err
				}
				if err := h.use(old, now); err != nil {
					return err
				}
				return h.add(t, now)
			})
		},
		close: h.close,
	}
}

func digest(t domain.Token) []byte { return t.Digest[:] }

func (h *handwritten) tx(fn func(now int64) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := h.begin.ExecContext(h.ctx); err != nil {
		return err
	}
	if err := fn(time.Now().UnixMicro()); err != nil {
		_, errRollback := h.rollback.ExecContext(h.ctx)
		return errors.Join(err, errRollback)
	}
	_, err := h.commit.ExecContext(h.ctx)
	return err
}

func (h *handwritten) use(t domain.Token, now int64) error {
	result, err := h.fence.ExecContext(h.ctx, now, t.GrantID, t.ClientID, t.Subject, now)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, errors.New("the grant has ended"))
	}
	return nil
}

func (h *handwritten) add(t domain.Token, now int64) error {
	scopes, err := json.Marshal(t.Scopes)
	if err != nil {
		return err
	}
	resources, err := json.Marshal(t.Resources)
	if err != nil {
		return err
	}
	_, err = h.insert.ExecContext(h.ctx, t.Digest[:], string(t.Kind), t.GrantID, t.ClientID, t.Subject, string(scopes), string(resources),
		nil, now, t.ExpiresAt.UnixMicro(), nil, nil, nil, nil)
	return err
}

func scanToken(row *sql.Row) (domain.Token, error) {
	var t domain.Token
	var d, data, sealed, scopes, resources []byte
	var kind string
	var created int64
	var expires, consumed, replayUntil, revoked sql.NullInt64
	if err := row.Scan(&d, &kind, &t.GrantID, &t.ClientID, &t.Subject, &scopes, &resources, &data, &created,
		&expires, &consumed, &sealed, &replayUntil, &revoked); err != nil {
		return t, err
	}
	copy(t.Digest[:], d)
	t.Kind, t.Data, t.CreatedAt = domain.TokenKind(kind), data, time.UnixMicro(created).UTC()
	t.ExpiresAt, t.ConsumedAt, t.RevokedAt = at(expires), at(consumed), at(revoked)
	t.Replay = domain.Replay{Sealed: sealed, ExpiresAt: at(replayUntil)}
	return t, decodeLists(scopes, &t.Scopes, resources, &t.Resources)
}

func scanCode(row *sql.Row) (domain.AuthorizationCode, error) {
	var c domain.AuthorizationCode
	var d, data, scopes, resources []byte
	var created, expires int64
	var consumed, revoked sql.NullInt64
	if err := row.Scan(&d, &c.GrantID, &c.ClientID, &c.Subject, &c.RedirectURI, &scopes, &resources, &c.CodeChallenge,
		&c.CodeChallengeMethod, &c.Nonce, &data, &created, &expires, &consumed, &revoked); err != nil {
		return c, err
	}
	copy(c.Digest[:], d)
	c.Data, c.CreatedAt, c.ExpiresAt = data, time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
	c.ConsumedAt, c.RevokedAt = at(consumed), at(revoked)
	return c, decodeLists(scopes, &c.Scopes, resources, &c.Resources)
}

func (h *handwritten) client(id string) (domain.Client, error) {
	var c domain.Client
	var kind string
	var secrets, metadata []byte
	var created, updated int64
	if err := h.getClient.QueryRowContext(h.ctx, id).Scan(&c.ID, &kind, &secrets, &metadata, &c.Version, &created, &updated); err != nil {
		return c, err
	}
	c.Kind, c.CreatedAt, c.UpdatedAt = domain.ClientKind(kind), time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	if secrets != nil {
		if err := json.Unmarshal(secrets, &c.Secrets); err != nil {
			return c, err
		}
	}
	return c, json.Unmarshal(metadata, &c.Metadata)
}

func decodeLists(scopes []byte, toScopes *[]string, resources []byte, toResources *[]string) error {
	if err := decodeList(scopes, toScopes); err != nil {
		return err
	}
	return decodeList(resources, toResources)
}

func decodeList(text []byte, list *[]string) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, list)
}

func at(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return time.UnixMicro(us.Int64).UTC()
}

func (h *handwritten) close() error {
	for _, s := range []*sql.Stmt{h.begin, h.commit, h.rollback, h.fence, h.insert, h.consumeCode, h.consumeToken} {
		_ = s.Close()
	}
	return errors.Join(h.conn.Close(), h.w.Close(), h.pool.Close())
}
