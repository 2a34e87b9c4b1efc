-- insertClient [id kind secrets metadata version created_at updated_at]
INSERT INTO `oauth_clients` (`id`,`kind`,`secrets`,`metadata`,`version`,`created_at`,`updated_at`) VALUES (?,?,?,?,?,?,?);

-- insertGrant [id client_id subject scopes resources data created_at last_used_at expires_at revoked_at revoked_reason]
INSERT INTO `oauth_grants` (`id`,`client_id`,`subject`,`scopes`,`resources`,`data`,`created_at`,`last_used_at`,`expires_at`,`revoked_at`,`revoked_reason`) VALUES (?,?,?,?,?,?,?,?,?,?,?);

-- insertCode [digest grant_id client_id subject redirect_uri scopes resources code_challenge code_challenge_method nonce data created_at expires_at consumed_at revoked_at]
INSERT INTO `oauth_authorization_codes` (`digest`,`grant_id`,`client_id`,`subject`,`redirect_uri`,`scopes`,`resources`,`code_challenge`,`code_challenge_method`,`nonce`,`data`,`created_at`,`expires_at`,`consumed_at`,`revoked_at`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?);

-- insertToken [digest kind grant_id client_id subject scopes resources data created_at expires_at consumed_at replay_sealed replay_expires_at revoked_at]
INSERT INTO `oauth_tokens` (`digest`,`kind`,`grant_id`,`client_id`,`subject`,`scopes`,`resources`,`data`,`created_at`,`expires_at`,`consumed_at`,`replay_sealed`,`replay_expires_at`,`revoked_at`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?);

-- insertTwoTokens [digest kind grant_id client_id subject scopes resources data created_at expires_at consumed_at replay_sealed replay_expires_at revoked_at digest kind grant_id client_id subject scopes resources data created_at expires_at consumed_at replay_sealed replay_expires_at revoked_at]
INSERT INTO `oauth_tokens` (`digest`,`kind`,`grant_id`,`client_id`,`subject`,`scopes`,`resources`,`data`,`created_at`,`expires_at`,`consumed_at`,`replay_sealed`,`replay_expires_at`,`revoked_at`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?),(?,?,?,?,?,?,?,?,?,?,?,?,?,?);

-- client [id]
SELECT `kind`,`secrets`,`metadata`,`version`,`created_at`,`updated_at` FROM `oauth_clients` WHERE id = ?;

-- grant [id]
SELECT `client_id`,`subject`,`scopes`,`resources`,`data`,`created_at`,`last_used_at`,`expires_at`,`revoked_at`,`revoked_reason` FROM `oauth_grants` WHERE id = ?;

-- code [digest]
SELECT `grant_id`,`client_id`,`subject`,`redirect_uri`,`scopes`,`resources`,`code_challenge`,`code_challenge_method`,`nonce`,`data`,`created_at`,`expires_at`,`consumed_at`,`revoked_at` FROM `oauth_authorization_codes` WHERE digest = ?;

-- token [digest]
SELECT `kind`,`grant_id`,`client_id`,`subject`,`scopes`,`resources`,`data`,`created_at`,`expires_at`,`consumed_at`,`replay_sealed`,`replay_expires_at`,`revoked_at` FROM `oauth_tokens` WHERE digest = ?;

-- lockedGrant [id]
SELECT `client_id`,`subject`,`scopes`,`resources`,`data`,`created_at`,`last_used_at`,`expires_at`,`revoked_at`,`revoked_reason` FROM `oauth_grants` WHERE id = ? FOR UPDATE;

-- fence [id client_id subject now]
UPDATE `oauth_grants` SET `fences`=fences + 1,`last_used_at`=last_used_at WHERE (id = ? AND client_id = ? AND subject = ?) AND (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?));

-- fenceAndTouch [id client_id subject now]
UPDATE `oauth_grants` SET `fences`=fences + 1,`last_used_at`=? WHERE (id = ? AND client_id = ? AND subject = ?) AND (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?));

-- consumeCode [digest now]
UPDATE `oauth_authorization_codes` SET `consumed_at`=? WHERE digest = ? AND (consumed_at IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?));

-- consumeToken [digest now replay_sealed replay_expires_at]
UPDATE `oauth_tokens` SET `consumed_at`=?,`replay_expires_at`=?,`replay_sealed`=? WHERE digest = ? AND (consumed_at IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?));

-- revokeToken [digest now]
UPDATE `oauth_tokens` SET `revoked_at`=? WHERE digest = ? AND revoked_at IS NULL;

-- lockGrantOfCode.find [digest]
SELECT `grant_id` FROM `oauth_authorization_codes` WHERE digest = ?;

-- lockGrantOfCode.lock [id]
SELECT `id` FROM `oauth_grants` WHERE id = ? FOR UPDATE;

-- lockGrantOfToken.find [digest]
SELECT `grant_id` FROM `oauth_tokens` WHERE digest = ?;

-- lockGrantOfToken.lock [id]
SELECT `id` FROM `oauth_grants` WHERE id = ? FOR UPDATE;
