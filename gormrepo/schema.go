package gormrepo

import "strings"

// dialect is how a database writes the schema.
type dialect struct {
	create string   // how a table begins
	types  []string // pairs of placeholder and type
	end    string   // of a table
}

// Identifiers compare byte for byte everywhere. MySQL's index keys have 3072 bytes at most, which is why they are
// counted in bytes there; its JSON type would write numbers anew, and PostgreSQL's jsonb too.
//
// MySQL does not write a row that an update leaves as it is. That locks it nonetheless, but on one node: the other nodes
// of a Galera cluster learn of what is written alone, so that there each fence counts in a column of its own.
//
// PostgreSQL would rather go through all grants in the order of their ids than sort those of one client, unless an index has
// them in that order. InnoDB's indexes end with the primary key anyway; SQLite looks for the client first.
var dialects = map[string]dialect{
	"sqlite": {
		create: "CREATE TABLE",
		types: []string{
			"{id}", "TEXT", "{key}", "TEXT", "{text}", "TEXT", "{json}", "TEXT", "{int}", "INTEGER",
			"{digest}", "BLOB", "{blob}", "BLOB", "{fences}", "", "{, id}", "",
		},
		end: " STRICT",
	},
	"postgres": {
		create: "CREATE TABLE",
		types: []string{
			"{id}", `TEXT COLLATE "C"`, "{key}", `TEXT COLLATE "C"`, "{text}", "TEXT", "{json}", "JSON", "{int}", "BIGINT",
			"{digest}", "BYTEA", "{blob}", "BYTEA", "{fences}", "", "{, id}", ", id",
		},
	},
	"mysql": {
		create: "CREATE TABLE IF NOT EXISTS",
		types: []string{
			"{id}", "VARBINARY(255)", "{key}", "VARBINARY(1024)", "{text}", "MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
			"{json}", "MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "{int}", "BIGINT",
			"{digest}", "BINARY(32)", "{blob}", "MEDIUMBLOB", "{fences}", "fences BIGINT NOT NULL DEFAULT 0,", "{, id}", "",
		},
		end: " ENGINE=InnoDB ROW_FORMAT=DYNAMIC", // others have shorter keys
	},
}

type table struct {
	name, columns string
	indexes       []index
}

type index struct{ name, columns string }

// named returns the columns that every dialect has.
func (t table) named() string {
	var names []string
	for line := range strings.Lines(t.columns) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" && name[0] >= 'a' && name[0] <= 'z' {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// schema are the tables of schema1.
var schema = []table{
	{
		name: "{clients}",
		columns: `
			id {key} NOT NULL PRIMARY KEY,
			kind {text} NOT NULL,
			secrets {json},
			metadata {json} NOT NULL,
			version {int} NOT NULL,
			created_at {int} NOT NULL,
			updated_at {int} NOT NULL`,
	},
	{
		name: "{grants}",
		columns: `
			id {id} NOT NULL PRIMARY KEY,
			client_id {key} NOT NULL,
			subject {key} NOT NULL,
			scopes {json},
			resources {json},
			data {blob},
			created_at {int} NOT NULL,
			last_used_at {int},
			expires_at {int},
			revoked_at {int},
			revoked_reason {text},
			{fences}
			FOREIGN KEY (client_id) REFERENCES {clients} (id) ON DELETE CASCADE`,
		indexes: []index{{"client_id", "(client_id{, id})"}, {"subject", "(subject{, id})"}, {"created_at", "(created_at)"}},
	},
	{
		name: "{codes}",
		columns: `
			digest {digest} NOT NULL PRIMARY KEY,
			grant_id {id} NOT NULL,
			client_id {key} NOT NULL,
			subject {key} NOT NULL,
			redirect_uri {text} NOT NULL,
			scopes {json},
			resources {json},
			code_challenge {text} NOT NULL,
			code_challenge_method {text} NOT NULL,
			nonce {text} NOT NULL,
			data {blob},
			created_at {int} NOT NULL,
			expires_at {int} NOT NULL,
			consumed_at {int},
			revoked_at {int},
			FOREIGN KEY (grant_id) REFERENCES {grants} (id) ON DELETE CASCADE`,
		indexes: []index{{"grant_id", "(grant_id)"}, {"expires_at", "(expires_at, consumed_at)"}},
	},
	{
		name: "{tokens}",
		columns: `
			digest {digest} NOT NULL PRIMARY KEY,
			kind {text} NOT NULL,
			grant_id {id} NOT NULL,
			client_id {key} NOT NULL,
			subject {key} NOT NULL,
			scopes {json},
			resources {json},
			data {blob},
			created_at {int} NOT NULL,
			expires_at {int},
			consumed_at {int},
			replay_sealed {blob},
			replay_expires_at {int},
			revoked_at {int},
			FOREIGN KEY (grant_id) REFERENCES {grants} (id) ON DELETE CASCADE`,
		indexes: []index{
			{"grant_id", "(grant_id)"}, {"expires_at", "(expires_at)"},
			{"replay_expires_at", "(replay_expires_at) WHERE replay_expires_at IS NOT NULL"},
		},
	},
}
