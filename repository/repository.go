package repository

import (
	"context"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

// Clients keeps the registered clients.
type Clients interface {
	// Create stores c with Version 1, and the store's time where CreatedAt or UpdatedAt is zero.
	// ErrAlreadyExists if the ID is taken; IDs compare byte for byte.
	Create(ctx context.Context, c domain.Client) error

	// Get returns the client, or ErrNotFound.
	Get(ctx context.Context, id string) (domain.Client, error)

	// Update replaces Kind, Secrets and Metadata, sets UpdatedAt, and returns what it stored, with
	// the next Version. ErrConflict if c.Version is not the stored one, ErrNotFound.
	Update(ctx context.Context, c domain.Client) (domain.Client, error)

	// Delete removes the client with its grants, codes and tokens, or returns ErrNotFound. If there are
	// many, it works in batches that other calls write between, and a grant goes after what hangs on it.
	// With an error, as when ctx ends, a part may be gone; the next call goes on. What is left is live, if
	// it was, and can be revoked.
	// Within InTx it is all or nothing, as everything is.
	Delete(ctx context.Context, id string) error

	// List returns a page of the clients, in the byte order of their IDs.
	List(ctx context.Context, page Page) ([]domain.Client, error)
}

// Grants keeps what was approved. A grant is the fence of its family: once Revoke has returned, no
// code or token of it is live, and nothing that began earlier can still add one.
type Grants interface {
	// Create stores g. ErrAlreadyExists, or ErrNotFound if its client does not exist.
	Create(ctx context.Context, g domain.Grant) error

	// Get returns the grant, with ErrRevoked or ErrExpired if it has ended; ErrNotFound.
	Get(ctx context.Context, id string) (domain.Grant, error)

	// List returns a page of the grants that f selects, in the byte order of their IDs.
	List(ctx context.Context, f GrantFilter, page Page) ([]domain.Grant, error)

	// Revoke ends the selected grants that were not revoked before, expired ones too, with all their
	// codes and tokens, and returns how many grants these were. A grant keeps its first RevokedAt
	// and reason. ErrInvalid for a filter without ID, ClientID and Subject.
	Revoke(ctx context.Context, f GrantFilter, why domain.Reason) (int, error)

	// DeleteEnded removes up to limit grants under which no code or token is live, with the dead
	// ones, and returns how many grants these were. A revoked grant goes when it was revoked before
	// the given time; any other, when it expired or was last used (created, if never used) before it:
	// one without an end of its own would stay for ever otherwise. All were created before it too. Limits are as for
	// AuthorizationCodes.DeleteExpired.
	DeleteEnded(ctx context.Context, before time.Time, limit int) (int, error)
}

// AuthorizationCodes keeps the codes (RFC 6749 §4.1.2).
type AuthorizationCodes interface {
	// Create stores c under its grant. ErrAlreadyExists; ErrNotFound without the grant; ErrRevoked or
	// ErrExpired if the grant has ended; ErrInvalid if ClientID or Subject are not the grant's.
	Create(ctx context.Context, c domain.AuthorizationCode) error

	// Get looks at the code and does not consume it: nil if it is live, ErrRevoked, ErrConsumed,
	// ErrExpired, ErrNotFound.
	Get(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error)

	// Consume redeems the code: of any number of callers, in any number of processes, one gets nil
	// and the code with its ConsumedAt. The others get what Get would say. An expired code is not
	// consumed.
	Consume(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error)

	// Redeem consumes the code and stores tokens, which belong to its grant: all or nothing, with one
	// winner. It sets the grant's LastUsedAt, also without tokens. The winner gets the code with its
	// ConsumedAt, and nil. The others get what Get would say, with the code as it is, or why the grant
	// has ended. ErrAlreadyExists; ErrInvalid if tokens are of another grant, client or subject. tokens
	// may be empty.
	Redeem(ctx context.Context, d domain.Digest, tokens ...domain.Token) (domain.AuthorizationCode, error)

	// DeleteExpired removes up to limit codes that have expired and returns how many, also with an
	// error: it may take several transactions. ErrInvalid for a limit below 1. A database server
	// leaves out those that somebody else works on: 0 need not mean that none is left.
	DeleteExpired(ctx context.Context, limit int) (int, error)
}

// Tokens keeps access and refresh tokens.
type Tokens interface {
	// Create stores one or more tokens of one grant, all or none, and sets the grant's LastUsedAt.
	// ErrAlreadyExists; ErrNotFound without the grant; ErrRevoked or ErrExpired if the grant has
	// ended; ErrInvalid if there are none, or GrantID, ClientID or Subject differ from the grant's.
	Create(ctx context.Context, tokens ...domain.Token) error

	// Get returns the token: nil if it is live, ErrRevoked, ErrConsumed, ErrExpired, ErrNotFound.
	Get(ctx context.Context, d domain.Digest) (domain.Token, error)

	// Rotate consumes the refresh token old, keeps replay in its row, and stores next, which belong
	// to the same grant: all or nothing, with one winner. The winner gets the old token as it now
	// is, and nil. The others get the old token and what Get would say, or why the grant has ended.
	// ErrInvalid if old is an access token, or next are of another grant. next may be empty. With any
	// error that is not about the arguments alone, the old token comes back as it is, zero if ErrNotFound.
	Rotate(ctx context.Context, old domain.Digest, replay domain.Replay, next ...domain.Token) (domain.Token, error)

	// Revoke ends one token, whatever its state. It returns nil for one that was revoked already,
	// and ErrNotFound. Its grant and the other tokens live on.
	Revoke(ctx context.Context, d domain.Digest) error

	// List returns a page of the tokens that f selects, in the byte order of their digests.
	List(ctx context.Context, f TokenFilter, page Page) ([]domain.Token, error)

	// DeleteExpired removes up to limit tokens that have expired, erases up to limit replays whose
	// time has passed, and returns how many tokens and replays these were; otherwise as for codes.
	DeleteExpired(ctx context.Context, limit int) (int, error)
}

// Repositories gives access to the four kinds of entity.
type Repositories interface {
	// Now returns a reading of the store's clock, in UTC and cut to the microsecond. Within a transaction
	// it is the one by which all its methods judge.
	Now() time.Time

	Clients() Clients
	Grants() Grants
	AuthorizationCodes() AuthorizationCodes
	Tokens() Tokens
}

// Store is a whole OAuth store.
type Store interface {
	Repositories

	// InTx runs fn in one transaction, with one reading of the clock, and commits if fn returns nil;
	// otherwise it rolls back and returns fn's error unchanged. A panic rolls back and goes on.
	// A method of tx that fails has changed nothing, and the transaction goes on: fn decides.
	//
	// A method of tx sees what was committed before the transaction began, and what the transaction has
	// written; what others commit meanwhile, it may see or not. A row that a method has changed stays
	// as it is until the transaction ends. Nothing else is promised, on any store: where a list was
	// empty, another call may have committed a row before the next method runs. What has to look and
	// then write is a method of its own.
	//
	// fn may run again after a serialization failure, a deadlock or a busy database, so it must not
	// have effects of its own before InTx returns; retries are bounded and end with ctx. fn must use
	// tx alone, in one goroutine: calling the Store from inside fn can wait for itself. A method of tx looks at its own
	// ctx before it begins; its waits end with the ctx of InTx. Where a database has given the transaction up, its methods
	// fail from then on, and InTx fails or runs fn again, whatever fn returns.
	InTx(ctx context.Context, fn func(tx Repositories) error) error

	// Stats counts what is stored.
	Stats(ctx context.Context) (Stats, error)

	// Ping returns nil if the store can answer.
	Ping(ctx context.Context) error

	// Close waits for calls under way and releases what the store holds. Closing again is nil. Called
	// by fn of InTx, where it would wait for itself, it returns ErrInvalid, and the store stays open.
	Close() error
}

// Stats counts what is stored, at one moment of the store's clock.
type Stats struct {
	Clients            int64
	Grants             Count
	AuthorizationCodes Count
	AccessTokens       Count
	RefreshTokens      Count
}

// Count is a number of entities, and how many of them are live.
type Count struct{ Total, Live int64 }
