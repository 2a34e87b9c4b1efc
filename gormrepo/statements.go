package gormrepo

import (
	"maps"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// What live means, with the now of the store for its placeholder. Only codes and tokens are
// consumed.
const (
	sqlLiveGrant = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
	sqlLive      = "consumed_at IS NULL AND " + sqlLiveGrant
)

// statements are what every request runs. testdata has their texts.
type statements struct {
	insertClient, insertGrant, insertCode, insertToken statement
	insertTwoTokens                                    statement // where the database has it

	// By key: every other column, in the order of the fields.
	client, grant, code, token statement
	lockedGrant                statement // grant, and locks it where there are row locks

	// fence updates a grant on the condition that it is live and that its client and subject are those
	// of what is about to be added: that both decides and locks. fenceAndTouch also sets last_used_at.
	fence, fenceAndTouch statement

	consumeCode, consumeToken, revokeToken statement
	lockGrantOfCode, lockGrantOfToken      grantLock
}

// grantLock is how the grant of a code or token is locked, by its digest. Without row locks, both
// are empty.
type grantLock struct {
	find statement // the ID of the grant, where that takes a statement of its own
	lock statement // by the digest, or by the ID after find
}

// The parameters of the statements.
const (
	paramID        parameter = "id"
	paramDigest    parameter = "digest"
	paramClientID  parameter = "client_id"
	paramSubject   parameter = "subject"
	paramNow       parameter = "now"
	paramReplay    parameter = "replay_sealed"
	paramReplayEnd parameter = "replay_expires_at"
)

func newStatements(d gorm.Dialector, traits traits, t tables) (*statements, error) {
	c, err := newCompiler(d, traits.clauses)
	if err != nil {
		return nil, err
	}
	byDigest := []parameter{paramDigest, paramNow}
	fence := func(lastUsedAt any) statement {
		set := map[string]any{"last_used_at": lastUsedAt}
		maps.Copy(set, traits.fenceWrites)
		return c.statement(c.table(t.grants).Model(&grantRow{}).
			Where("id = ? AND client_id = ? AND subject = ?", paramID, paramClientID, paramSubject).
			Where(sqlLiveGrant, paramNow).
			Updates(set),
			paramID, paramClientID, paramSubject, paramNow)
	}
	get := func(table string, row any, lock ...clause.Expression) statement {
		columns := c.columns(row)
		key := parameter(columns[0])
		return c.statement(c.table(table).Model(row).Select(columns[1:]).Clauses(lock...).
			Where(columns[0]+" = ?", key).Find(&[]map[string]any{}), key)
	}
	s := &statements{
		insertClient: c.insertion(t.clients, &clientRow{}),
		insertGrant:  c.insertion(t.grants, &grantRow{}),
		insertCode:   c.insertion(t.codes, &codeRow{}),
		insertToken:  c.insertion(t.tokens, &tokenRow{}),

		client: get(t.clients, &clientRow{}),
		grant:  get(t.grants, &grantRow{}),
		code:   get(t.codes, &codeRow{}),
		token:  get(t.tokens, &tokenRow{}),

		fence:         fence(gorm.Expr("last_used_at")),
		fenceAndTouch: fence(paramNow),

		consumeCode: c.statement(c.table(t.codes).Model(&codeRow{}).
			Clauses(returning(c.columns(&codeRow{})[1:]...)).
			Where("digest = ?", paramDigest).Where(sqlLive, paramNow).
			Updates(map[string]any{"consumed_at": paramNow}),
			byDigest...),
		consumeToken: c.statement(c.table(t.tokens).Model(&tokenRow{}).
			Where("digest = ?", paramDigest).Where(sqlLive, paramNow).
			Updates(map[string]any{
				"consumed_at": paramNow, "replay_sealed": paramReplay, "replay_expires_at": paramReplayEnd,
			}),
			paramDigest, paramNow, paramReplay, paramReplayEnd),
		revokeToken: c.statement(c.table(t.tokens).Model(&tokenRow{}).
			Where("digest = ? AND revoked_at IS NULL", paramDigest).
			Updates(map[string]any{"revoked_at": paramNow}),
			byDigest...),
	}
	s.lockedGrant = s.grant
	if !traits.oneWriter {
		s.lockedGrant = get(t.grants, &grantRow{}, traits.lockClause)
		s.lockGrantOfCode = traits.lockStatements(c, t.grants, t.codes)
		s.lockGrantOfToken = traits.lockStatements(c, t.grants, t.tokens)
	}
	if traits.insertsPairs {
		s.insertTwoTokens = c.insertion(t.tokens, &[]tokenRow{{}, {}})
	}
	return s, c.err()
}
