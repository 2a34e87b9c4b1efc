-- Identifiers compare byte for byte, as VARBINARY. A key of an index has 3072 bytes at most, which
-- ROW_FORMAT=DYNAMIC allows. The type JSON would write numbers anew. MySQL commits with each
-- statement: a table brings its indexes along, and one that is there already is left as it is, so
-- that a migration that was interrupted goes on. If another program made it, the SELECT after it
-- fails: it has not these columns.
--
-- The column fences counts the fences of a grant. MySQL does not write a row that an update leaves
-- as it is, and the other nodes of a Galera cluster learn only of what is written.

CREATE TABLE IF NOT EXISTS {prefix}clients (
	id VARBINARY(1024) NOT NULL PRIMARY KEY,
	kind MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	secrets MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	metadata MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	version BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
SELECT id, kind, secrets, metadata, version, created_at, updated_at
	FROM {prefix}clients LIMIT 0;

CREATE TABLE IF NOT EXISTS {prefix}grants (
	id VARBINARY(255) NOT NULL PRIMARY KEY,
	client_id VARBINARY(1024) NOT NULL,
	subject VARBINARY(1024) NOT NULL,
	scopes MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	resources MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	data MEDIUMBLOB,
	created_at BIGINT NOT NULL,
	last_used_at BIGINT,
	expires_at BIGINT,
	revoked_at BIGINT,
	revoked_reason MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	fences BIGINT NOT NULL DEFAULT 0,
	FOREIGN KEY (client_id) REFERENCES {prefix}clients (id) ON DELETE CASCADE,
	INDEX {prefix}grants_client_id (client_id),
	INDEX {prefix}grants_subject (subject),
	INDEX {prefix}grants_created_at (created_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
SELECT id, client_id, subject, scopes, resources, data, created_at, last_used_at, expires_at,
	revoked_at, revoked_reason
	FROM {prefix}grants LIMIT 0;

CREATE TABLE IF NOT EXISTS {prefix}authorization_codes (
	digest BINARY(32) NOT NULL PRIMARY KEY,
	grant_id VARBINARY(255) NOT NULL,
	client_id VARBINARY(1024) NOT NULL,
	subject VARBINARY(1024) NOT NULL,
	redirect_uri MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	scopes MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	resources MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	code_challenge MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	code_challenge_method MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	nonce MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	data MEDIUMBLOB,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	consumed_at BIGINT,
	revoked_at BIGINT,
	FOREIGN KEY (grant_id) REFERENCES {prefix}grants (id) ON DELETE CASCADE,
	INDEX {prefix}authorization_codes_grant_id (grant_id),
	INDEX {prefix}authorization_codes_expires_at (expires_at, consumed_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
SELECT digest, grant_id, client_id, subject, redirect_uri, scopes, resources, code_challenge,
	code_challenge_method, nonce, data, created_at, expires_at, consumed_at, revoked_at
	FROM {prefix}authorization_codes LIMIT 0;

CREATE TABLE IF NOT EXISTS {prefix}tokens (
	digest BINARY(32) NOT NULL PRIMARY KEY,
	kind MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	grant_id VARBINARY(255) NOT NULL,
	client_id VARBINARY(1024) NOT NULL,
	subject VARBINARY(1024) NOT NULL,
	scopes MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	resources MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
	data MEDIUMBLOB,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	consumed_at BIGINT,
	replay_sealed MEDIUMBLOB,
	replay_expires_at BIGINT,
	revoked_at BIGINT,
	FOREIGN KEY (grant_id) REFERENCES {prefix}grants (id) ON DELETE CASCADE,
	INDEX {prefix}tokens_grant_id (grant_id),
	INDEX {prefix}tokens_expires_at (expires_at),
	INDEX {prefix}tokens_replay_expires_at (replay_expires_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
SELECT digest, kind, grant_id, client_id, subject, scopes, resources, data, created_at,
	expires_at, consumed_at, replay_sealed, replay_expires_at, revoked_at
	FROM {prefix}tokens LIMIT 0;
