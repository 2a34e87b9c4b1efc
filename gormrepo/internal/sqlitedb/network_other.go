//go:build !linux

package sqlitedb

// refuseNetwork knows how to tell a network file system on Linux only.
func refuseNetwork(string, string) error { return nil }
