package gormrepo

import (
	"database/sql"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
)

// statements are the texts of what every request runs, made once per Store. They go to the handle's prepared
// statements as they are: building them and reading rows with GORM took as long as SQLite itself.
type statements struct {
	insertClient, insertGrant, insertCode, insertToken string
	client, grant, code, token                         string
	fence, consumeCode, consumeToken, revokeToken      string

	returning bool   // consumeCode returns the row: MySQL has no such thing
	ofCode    lock   // of the grant, where there are row locks
	ofToken   lock   // the same
	heldGrant string // grant, and locks it where there are row locks
}

// lock is how the grant of a code or token is locked, by its digest.
type lock struct {
	find string // the id of the grant, where that takes a statement of its own
	held string // locks it, by id after find
}

// fences is what a fence writes beside the time.
var fences = map[string]string{"mysql": "fences = fences + 1, "}

func statementsOf(dialect string, t tables) statements {
	s := statements{
		insertClient: insert(t.clients, clientColumns),
		insertGrant:  insert(t.grants, grantColumns),
		insertCode:   insert(t.codes, codeColumns),
		insertToken:  insert(t.tokens, tokenColumns),

		client: "SELECT " + clientColumns + " FROM " + t.clients + " WHERE id = ?",
		grant:  "SELECT " + grantColumns + " FROM " + t.grants + " WHERE id = ?",
		code:   "SELECT " + codeColumns + " FROM " + t.codes + " WHERE digest = ?",
		token:  "SELECT " + tokenColumns + " FROM " + t.tokens + " WHERE digest = ?",

		fence: "UPDATE " + t.grants + " SET " + fences[dialect] + "last_used_at = COALESCE(?, last_used_at)" +
			" WHERE id = ? AND client_id = ? AND subject = ? AND " + liveGrant,
		consumeCode: "UPDATE " + t.codes + " SET consumed_at = ? WHERE digest = ? AND " + liveCode,
		consumeToken: "UPDATE " + t.tokens + " SET consumed_at = ?, replay_sealed = ?, replay_expires_at = ?" +
			" WHERE digest = ? AND " + liveToken,
		revokeToken: "UPDATE " + t.tokens + " SET revoked_at = ? WHERE digest = ? AND revoked_at IS NULL",
	}
	if dialect == "sqlite" || dialect == "postgres" {
		s.consumeCode += " RETURNING " + codeColumns
		s.returning = true
	}
	s.heldGrant = s.grant
	switch dialect {
	case "postgres":
		held := func(table string) lock {
			return lock{held: "SELECT 1 FROM " + t.grants + " WHERE id = (SELECT grant_id FROM " + table + " WHERE digest = ?) FOR NO KEY UPDATE"}
		}
		s.ofCode, s.ofToken = held(t.codes), held(t.tokens)
		s.heldGrant += " FOR NO KEY UPDATE"
	case "mysql":
		// In one statement, the read of the code or token would begin a snapshot that the grant can have left behind (error 1020).
		held := func(table string) lock {
			return lock{"SELECT grant_id FROM " + table + " WHERE digest = ?", "SELECT 1 FROM " + t.grants + " WHERE id = ? FOR UPDATE"}
		}
		s.ofCode, s.ofToken = held(t.codes), held(t.tokens)
		s.heldGrant += " FOR UPDATE"
	}
	if dialect == "postgres" {
		for _, text := range []*string{
			&s.insertClient, &s.insertGrant, &s.insertCode, &s.insertToken, &s.client, &s.grant, &s.code, &s.token,
			&s.fence, &s.consumeCode, &s.consumeToken, &s.revokeToken, &s.ofCode.held, &s.ofToken.held, &s.heldGrant,
		} {
			*text = numbered(*text)
		}
	}
	return s
}

func insert(table, columns string) string {
	values := strings.Repeat(", ?", strings.Count(columns, ",")+1)
	return "INSERT INTO " + table + " (" + columns + ") VALUES (" + values[2:] + ")"
}

// numbered replaces each ? by $1, $2 and so on. No text here has one in a literal.
func numbered(text string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(text, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		text = after
	}
}

// exec runs a statement and returns how many rows it changed.
func (c conn) exec(text string, args ...any) (int64, error) {
	begun := time.Now()
	result, err := c.db.Statement.ConnPool.ExecContext(c.db.Statement.Context, text, args...)
	var changed int64
	if err == nil {
		changed, err = result.RowsAffected()
	}
	if changed > 0 && c.wrote != nil {
		*c.wrote = true
	}
	c.trace(begun, text, changed, err)
	return changed, err
}

// trace logs a statement as GORM does.
func (c conn) trace(begun time.Time, text string, rows int64, err error) {
	c.db.Logger.Trace(c.db.Statement.Context, begun, func() (string, int64) { return text, rows }, err)
}

// one reads the row that text selects into fields. gorm.ErrRecordNotFound if there is none.
func (c conn) one(fields []any, text string, args ...any) error {
	begun := time.Now()
	rows, err := c.db.Statement.ConnPool.QueryContext(c.db.Statement.Context, text, args...)
	if err == nil {
		err = scanOne(rows, fields)
	}
	c.trace(begun, text, -1, err)
	return err
}

func scanOne(rows *sql.Rows, fields []any) error {
	defer rows.Close() //nolint:errcheck // read whole, or failed already
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return gorm.ErrRecordNotFound
	}
	if err := rows.Scan(fields...); err != nil {
		return err
	}
	return rows.Close()
}
