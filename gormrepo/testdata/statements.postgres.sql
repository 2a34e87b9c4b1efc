-- insertClient [id kind secrets metadata version created_at updated_at]
INSERT INTO "oauth_clients" ("id","kind","secrets","metadata","version","created_at","updated_at") VALUES ($1,$2,$3,$4,$5,$6,$7);

-- insertGrant [id client_id subject scopes resources data created_at last_used_at expires_at revoked_at revoked_reason]
INSERT INTO "oauth_grants" ("id","client_id","subject","scopes","resources","data","created_at","last_used_at","expires_at","revoked_at","revoked_reason") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11);

-- insertCode [digest grant_id client_id subject redirect_uri scopes resources code_challenge code_challenge_method nonce data created_at expires_at consumed_at revoked_at]
INSERT INTO "oauth_authorization_codes" ("digest","grant_id","client_id","subject","redirect_uri","scopes","resources","code_challenge","code_challenge_method","nonce","data","created_at","expires_at","consumed_at","revoked_at") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15);

-- insertToken [digest kind grant_id client_id subject scopes resources data created_at expires_at consumed_at replay_sealed replay_expires_at revoked_at]
INSERT INTO "oauth_tokens" ("digest","kind","grant_id","client_id","subject","scopes","resources","data","created_at","expires_at","consumed_at","replay_sealed","replay_expires_at","revoked_at") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14);

-- insertTwoTokens [digest kind grant_id client_id subject scopes resources data created_at expires_at consumed_at replay_sealed replay_expires_at revoked_at digest kind grant_id client_id subject scopes resources data created_at expires_at consumed_at replay_sealed replay_expires_at revoked_at]
INSERT INTO "oauth_tokens" ("digest","kind","grant_id","client_id","subject","scopes","resources","data","created_at","expires_at","consumed_at","replay_sealed","replay_expires_at","revoked_at") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14),($15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25,$26,$27,$28);

-- client [id]
SELECT "kind","secrets","metadata","version","created_at","updated_at" FROM "oauth_clients" WHERE id = $1;

-- grant [id]
SELECT "client_id","subject","scopes","resources","data","created_at","last_used_at","expires_at","revoked_at","revoked_reason" FROM "oauth_grants" WHERE id = $1;

-- code [digest]
SELECT "grant_id","client_id","subject","redirect_uri","scopes","resources","code_challenge","code_challenge_method","nonce","data","created_at","expires_at","consumed_at","revoked_at" FROM "oauth_authorization_codes" WHERE digest = $1;

-- token [digest]
SELECT "kind","grant_id","client_id","subject","scopes","resources","data","created_at","expires_at","consumed_at","replay_sealed","replay_expires_at","revoked_at" FROM "oauth_tokens" WHERE digest = $1;

-- lockedGrant [id]
SELECT "client_id","subject","scopes","resources","data","created_at","last_used_at","expires_at","revoked_at","revoked_reason" FROM "oauth_grants" WHERE id = $1 FOR NO KEY UPDATE;

-- fence [id client_id subject now]
UPDATE "oauth_grants" SET "last_used_at"=last_used_at WHERE (id = $1 AND client_id = $2 AND subject = $3) AND (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $4));

-- fenceAndTouch [id client_id subject now]
UPDATE "oauth_grants" SET "last_used_at"=$1 WHERE (id = $2 AND client_id = $3 AND subject = $4) AND (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $5));

-- consumeCode [digest now]
UPDATE "oauth_authorization_codes" SET "consumed_at"=$1 WHERE digest = $2 AND (consumed_at IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)) RETURNING "grant_id","client_id","subject","redirect_uri","scopes","resources","code_challenge","code_challenge_method","nonce","data","created_at","expires_at","consumed_at","revoked_at";

-- consumeToken [digest now replay_sealed replay_expires_at]
UPDATE "oauth_tokens" SET "consumed_at"=$1,"replay_expires_at"=$2,"replay_sealed"=$3 WHERE digest = $4 AND (consumed_at IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $5));

-- revokeToken [digest now]
UPDATE "oauth_tokens" SET "revoked_at"=$1 WHERE digest = $2 AND revoked_at IS NULL;

-- lockGrantOfCode.lock [digest]
SELECT "id" FROM "oauth_grants" WHERE id = (SELECT grant_id FROM "oauth_authorization_codes" WHERE digest = $1) FOR NO KEY UPDATE;

-- lockGrantOfToken.lock [digest]
SELECT "id" FROM "oauth_grants" WHERE id = (SELECT grant_id FROM "oauth_tokens" WHERE digest = $1) FOR NO KEY UPDATE;
