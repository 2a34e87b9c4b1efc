// Package domain holds what an OAuth 2.1 server has to keep, and the rules about it that need no
// database: a Client asks, a Grant is what was approved for it, an AuthorizationCode and the Tokens
// carry that grant.
//
// The entities are plain structs, passed by value. Secrets, codes and tokens appear in them only as a
// Digest, so a raw value cannot be stored by mistake. The package imports the standard library alone.
package domain
