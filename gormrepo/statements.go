package gormrepo

import (
	"maps"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
)

// What live means, with the now of the store for its placeholder. Only codes and tokens are
// consumed.
const (
	liveGrant = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
	live      = "consumed_at IS NULL AND " + liveGrant
	refresh   = "kind = '" + string(domain.RefreshToken) + "'"
)

// statements are what every request runs. testdata has their texts.
type statements struct {
	insertClient, insertGrant, insertCode, insertToken statement
	insertTwoTokens                                    statement // where the database has it

	// By key: every other column, in the order of the fields.
	client, grant, code, token statement
	lockedGrant                statement // grant, and locks it where there are row locks

	// fence updates a grant on the condition that it is live and that its client and subject are those
	// of what is about to be added: that both decides and locks. use is fence for tokens, and sets
	// last_used_at.
	fence, use statement

	consumeCode, consumeToken, revokeToken statement
	grantOfCode, grantOfToken              grantLock
}

// grantLock is how the grant of a code or token is locked, by its digest. Without row locks, both
// are empty.
type grantLock struct {
	find statement // the ID of the grant, where that takes a statement of its own
	lock statement // by the digest, or by the ID after find
}

// The parameters of the statements.
const (
	id        parameter = "id"
	digest    parameter = "digest"
	grantID   parameter = "grant_id"
	clientID  parameter = "client_id"
	subject   parameter = "subject"
	now       parameter = "now"
	sealed    parameter = "replay_sealed"
	sealedEnd parameter = "replay_expires_at"
)

func newStatements(d gorm.Dialector, traits traits, t tables) (*statements, error) {
	c, err := newCompiler(d, traits.clauses)
	if err != nil {
		return nil, err
	}
	fence := func(set map[string]any) *gorm.DB {
		maps.Copy(set, traits.fenceWrites)
		return c.table(t.grants).Model(&grantRow{}).
			Where("id = ? AND client_id = ? AND subject = ?", id, clientID, subject).Where(liveGrant, now).Updates(set)
	}
	s := &statements{
		insertClient: c.insertion(t.clients, &clientRow{}),
		insertGrant:  c.insertion(t.grants, &grantRow{}),
		insertCode:   c.insertion(t.codes, &codeRow{}),
		insertToken:  c.insertion(t.tokens, &tokenRow{}),

		client: c.statement(c.selection(t.clients, &clientRow{}).Where("id = ?", id).Find(&[]clientRow{}), id),
		grant:  c.statement(c.selection(t.grants, &grantRow{}).Where("id = ?", id).Find(&[]grantRow{}), id),
		code:   c.statement(c.selection(t.codes, &codeRow{}).Where("digest = ?", digest).Find(&[]codeRow{}), digest),
		token:  c.statement(c.selection(t.tokens, &tokenRow{}).Where("digest = ?", digest).Find(&[]tokenRow{}), digest),

		lockedGrant: c.statement(c.selection(t.grants, &grantRow{}).Clauses(traits.grantLock).
			Where("id = ?", id).Find(&[]grantRow{}), id),

		fence: c.statement(fence(map[string]any{"last_used_at": gorm.Expr("last_used_at")}), id, clientID, subject, now),
		use:   c.statement(fence(map[string]any{"last_used_at": now}), id, clientID, subject, now),

		consumeCode: c.statement(c.table(t.codes).Model(&codeRow{}).
			Clauses(returning(c.columns(&codeRow{})[1:]...)).
			Where("digest = ?", digest).Where(live, now).
			Updates(map[string]any{"consumed_at": now}),
			digest, now),
		consumeToken: c.statement(c.table(t.tokens).Model(&tokenRow{}).
			Clauses(returning("scopes", "resources", "data", "created_at", "expires_at")).
			Where("digest = ? AND grant_id = ?", digest, grantID).Where(refresh).Where(live, now).
			Updates(map[string]any{"consumed_at": now, "replay_sealed": sealed, "replay_expires_at": sealedEnd}),
			digest, grantID, now, sealed, sealedEnd),
		revokeToken: c.statement(c.table(t.tokens).Model(&tokenRow{}).
			Where("digest = ? AND revoked_at IS NULL", digest).
			Updates(map[string]any{"revoked_at": now}),
			digest, now),
	}
	if traits.manyRows {
		s.insertTwoTokens = c.insertion(t.tokens, &[]tokenRow{{}, {}})
	}
	if traits.lockGrant != nil {
		s.grantOfCode, s.grantOfToken = traits.lockGrant(c, t.grants, t.codes), traits.lockGrant(c, t.grants, t.tokens)
	}
	return s, c.err()
}
