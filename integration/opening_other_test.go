//go:build !linux

package integration_test

const openerVariable = "OAUTHSTORE_TEST_OPENER"

func openAndTell(string) error { return nil }
