-- Rowid tables: WITHOUT ROWID made insertions slower by a quarter and more. STRICT refuses a value
-- of the wrong type.

CREATE TABLE {prefix}clients (
	id TEXT NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL,
	secrets TEXT,
	metadata TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE {prefix}grants (
	id TEXT NOT NULL PRIMARY KEY,
	client_id TEXT NOT NULL,
	subject TEXT NOT NULL,
	scopes TEXT,
	resources TEXT,
	data BLOB,
	created_at INTEGER NOT NULL,
	last_used_at INTEGER,
	expires_at INTEGER,
	revoked_at INTEGER,
	revoked_reason TEXT,
	FOREIGN KEY (client_id) REFERENCES {prefix}clients (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX {prefix}grants_client_id ON {prefix}grants (client_id);
CREATE INDEX {prefix}grants_subject ON {prefix}grants (subject);
CREATE INDEX {prefix}grants_created_at ON {prefix}grants (created_at);

CREATE TABLE {prefix}authorization_codes (
	digest BLOB NOT NULL PRIMARY KEY,
	grant_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	subject TEXT NOT NULL,
	redirect_uri TEXT NOT NULL,
	scopes TEXT,
	resources TEXT,
	code_challenge TEXT NOT NULL,
	code_challenge_method TEXT NOT NULL,
	nonce TEXT NOT NULL,
	data BLOB,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	consumed_at INTEGER,
	revoked_at INTEGER,
	FOREIGN KEY (grant_id) REFERENCES {prefix}grants (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX {prefix}authorization_codes_grant_id ON {prefix}authorization_codes (grant_id);
CREATE INDEX {prefix}authorization_codes_expires_at ON {prefix}authorization_codes (expires_at, consumed_at);

CREATE TABLE {prefix}tokens (
	digest BLOB NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL,
	grant_id TEXT NOT NULL,
	client_id TEXT NOT NULL,
	subject TEXT NOT NULL,
	scopes TEXT,
	resources TEXT,
	data BLOB,
	created_at INTEGER NOT NULL,
	expires_at INTEGER,
	consumed_at INTEGER,
	replay_sealed BLOB,
	replay_expires_at INTEGER,
	revoked_at INTEGER,
	FOREIGN KEY (grant_id) REFERENCES {prefix}grants (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX {prefix}tokens_grant_id ON {prefix}tokens (grant_id);
CREATE INDEX {prefix}tokens_expires_at ON {prefix}tokens (expires_at);
CREATE INDEX {prefix}tokens_replay_expires_at ON {prefix}tokens (replay_expires_at) WHERE replay_expires_at IS NOT NULL;
