-- COLLATE "C": identifiers compare byte for byte. JSON, not JSONB, which writes numbers anew.
-- Without the id in their indexes, PostgreSQL would rather go through all grants in the order of
-- their ids than sort those of one client.

CREATE TABLE {prefix}clients (
	id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL,
	secrets JSON,
	metadata JSON NOT NULL,
	version BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);

CREATE TABLE {prefix}grants (
	id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	client_id TEXT COLLATE "C" NOT NULL,
	subject TEXT COLLATE "C" NOT NULL,
	scopes JSON,
	resources JSON,
	data BYTEA,
	created_at BIGINT NOT NULL,
	last_used_at BIGINT,
	expires_at BIGINT,
	revoked_at BIGINT,
	revoked_reason TEXT,
	FOREIGN KEY (client_id) REFERENCES {prefix}clients (id) ON DELETE CASCADE
);
CREATE INDEX {prefix}grants_client_id ON {prefix}grants (client_id, id);
CREATE INDEX {prefix}grants_subject ON {prefix}grants (subject, id);
CREATE INDEX {prefix}grants_created_at ON {prefix}grants (created_at);

CREATE TABLE {prefix}authorization_codes (
	digest BYTEA NOT NULL PRIMARY KEY,
	grant_id TEXT COLLATE "C" NOT NULL,
	client_id TEXT COLLATE "C" NOT NULL,
	subject TEXT COLLATE "C" NOT NULL,
	redirect_uri TEXT NOT NULL,
	scopes JSON,
	resources JSON,
	code_challenge TEXT NOT NULL,
	code_challenge_method TEXT NOT NULL,
	nonce TEXT NOT NULL,
	data BYTEA,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	consumed_at BIGINT,
	revoked_at BIGINT,
	FOREIGN KEY (grant_id) REFERENCES {prefix}grants (id) ON DELETE CASCADE
);
CREATE INDEX {prefix}authorization_codes_grant_id ON {prefix}authorization_codes (grant_id);
CREATE INDEX {prefix}authorization_codes_expires_at ON {prefix}authorization_codes (expires_at, consumed_at);

CREATE TABLE {prefix}tokens (
	digest BYTEA NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL,
	grant_id TEXT COLLATE "C" NOT NULL,
	client_id TEXT COLLATE "C" NOT NULL,
	subject TEXT COLLATE "C" NOT NULL,
	scopes JSON,
	resources JSON,
	data BYTEA,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	consumed_at BIGINT,
	replay_sealed BYTEA,
	replay_expires_at BIGINT,
	revoked_at BIGINT,
	FOREIGN KEY (grant_id) REFERENCES {prefix}grants (id) ON DELETE CASCADE
);
CREATE INDEX {prefix}tokens_grant_id ON {prefix}tokens (grant_id);
CREATE INDEX {prefix}tokens_expires_at ON {prefix}tokens (expires_at);
CREATE INDEX {prefix}tokens_replay_expires_at ON {prefix}tokens (replay_expires_at) WHERE replay_expires_at IS NOT NULL;
