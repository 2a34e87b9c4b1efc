package integration_test

import (
	"fmt"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
)

// series are a table of the numbers from 1 and a digest made from one, in each database's SQL.
var series = map[string]struct{ numbers, digest, concat string }{
	"postgres": {"generate_series(1, %d) AS s(seq)", "sha256(('%s' || seq)::bytea)", "'%s' || (%s)"},
	"mysql":    {"seq_1_to_%d", "UNHEX(SHA2(CONCAT('%s', seq), 256))", "CONCAT('%s', %s)"},
	"sqlite": {
		"(WITH RECURSIVE s(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM s WHERE seq < %d) SELECT seq FROM s)",
		"CAST(printf('%%-32s', '%s' || seq) AS BLOB)", "'%s' || (%s)",
	},
}

// fill writes many grants, codes and tokens of a thousand clients: 50,000 of each, or a million in long runs. Nine in ten
// are live.
func fill(t *testing.T, db *gorm.DB) {
	t.Helper()
	rows := 50_000
	if long() {
		rows = 1_000_000
	}
	in := series[db.Name()]
	name := func(prefix, number string) string { return fmt.Sprintf(in.concat, prefix, number) }
	many, few := fmt.Sprintf(in.numbers, rows), fmt.Sprintf(in.numbers, 1000)
	now := time.Now().UnixMicro()
	owner := name("g", "seq") + ", " + name("c", "seq % 1000") + ", " + name("u", "seq")
	for _, statement := range []string{
		fmt.Sprintf("INSERT INTO oauth_clients (id, kind, metadata, version, created_at, updated_at) SELECT %s, 'dynamic', '{}', 1, 0, 0 FROM %s",
			name("c", "seq - 1"), few),
		fmt.Sprintf("INSERT INTO oauth_grants (id, client_id, subject, created_at, revoked_at, revoked_reason) "+
			"SELECT %s, %d + seq, CASE WHEN seq %% 10 = 0 THEN %d END, CASE WHEN seq %% 10 = 0 THEN '%s' ELSE '' END FROM %s",
			owner, now, now, domain.ByUser, many),
		fmt.Sprintf("INSERT INTO oauth_authorization_codes (digest, grant_id, client_id, subject, redirect_uri, code_challenge, "+
			"code_challenge_method, nonce, created_at, expires_at) SELECT %s, %s, '', '', '', '', 0, %d + seq FROM %s",
			fmt.Sprintf(in.digest, "code"), owner, now, many),
		fmt.Sprintf("INSERT INTO oauth_tokens (digest, kind, grant_id, client_id, subject, created_at, expires_at, replay_expires_at) "+
			"SELECT %s, 'access_token', %s, 0, %d + seq, CASE WHEN seq %% 10 = 0 THEN %d + seq END FROM %s",
			fmt.Sprintf(in.digest, "token"), owner, now, now, many),
	} {
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
}

// analyze lets the database look at what its tables hold.
func analyze(t *testing.T, db *gorm.DB) {
	t.Helper()
	verb := "ANALYZE "
	if db.Name() == "mysql" {
		verb = "ANALYZE TABLE "
	}
	for _, table := range []string{"clients", "grants", "authorization_codes", "tokens"} {
		if err := db.Exec(verb + "oauth_" + table).Error; err != nil {
			t.Fatal(err)
		}
	}
}
