// Package flow holds the steps of OAuth that must be atomic, written once over repository.Store: what
// the endpoints of a server call with the raw values that a client presented.
//
//   - Authorize stores a grant with its first code.
//   - ExchangeCode redeems a code once; a replay revokes the grant.
//   - Refresh rotates a refresh token; repeated within the grace period, it gives the same answer.
//   - Revoke is RFC 7009, Introspect is RFC 7662.
//
// The caller decides who may have what, in the Check and Issue functions of a request. Check is asked
// first, also about a code or token that is dead: what it refuses changes nothing. So only a valid
// second request counts as a replay (OAuth 2.1 §4.1.3), and another client can neither fetch an
// answer nor have a grant revoked.
//
// Nothing that Issue makes can exceed the grant: tokens end with it at the latest, and scopes and
// resources beyond it are repository.ErrInvalid.
//
// An error of Check or Issue is returned unchanged. All others are wrapped ("flow: refresh: ..."), with
// the sentinel of package repository in the chain, and contain no raw value and no digest.
package flow
