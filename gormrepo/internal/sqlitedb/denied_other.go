//go:build !unix

package sqlitedb

// whatDenies knows how to ask for permissions on Unix only.
func whatDenies(string) error { return nil }
