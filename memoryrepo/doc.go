// Package memoryrepo keeps an OAuth store in memory: for tests, for development, and for a server of
// one process that may forget everything when it stops.
//
// Reads run in parallel and wait for a transaction only once it has written, until it commits or rolls
// back. Writes and transactions run one after the other. Every wait ends with its ctx. A transaction
// that rolls back costs in proportion to what it changed.
package memoryrepo
