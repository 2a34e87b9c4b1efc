// Package integration holds the tests that need more than one package, process or server. It has no code of
// its own.
package integration
