//go:build !cgo

package integration_test

var sqliteDrivers = []sqliteDriver{pureGo}
