// Package repository is the contract of an OAuth store: its interfaces, its sentinel errors, and the
// filters and pages of its lists. memoryrepo and gormrepo implement it; repotest proves that they do,
// and that a Store of your own does.
//
// What holds for every method:
//
//   - A dead entity comes back with its reason: Get, Consume and Rotate return the stored entity and
//     the first that holds of ErrRevoked, ErrConsumed, ErrExpired. A caller that only checks
//     err != nil is safe. With ErrNotFound the entity is zero.
//   - nil means done. An error means not done, except for ErrUnknownOutcome.
//   - ctx ends every wait, lock waits included, with the error of the ctx in the chain. If ctx has no
//     deadline, a call may give its waits up by itself, with ErrBusy: gormrepo does after ten seconds,
//     counted from its arrival, however many calls wait before it.
//   - The clock is the store's, read once per call, or once per transaction inside InTx. Something
//     has expired when its ExpiresAt is not after that reading.
//   - Times are stored in UTC and exact to the microsecond; nil and empty slices come back as they
//     went in.
//   - An entity that breaks a limit of package domain is ErrInvalid, naming the field. One that
//     belongs to a client or grant that does not exist is ErrNotFound. Nothing is written then.
//   - Entities are values: changing what was passed in or got back changes nothing in the store.
//   - After Close, every method returns ErrClosed.
//   - All methods may be called concurrently.
package repository
