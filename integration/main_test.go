package integration_test

import (
	"fmt"
	"os"
	"testing"
)

// TestMain makes the test binary a worker process where its environment says so.
func TestMain(m *testing.M) {
	spec := os.Getenv(workerVariable)
	if spec == "" {
		os.Exit(m.Run())
	}
	if err := work(spec); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
