package integration_test

import (
	"fmt"
	"os"
	"testing"
)

// TestMain makes the test binary a worker process, or an opener, where its environment says so.
func TestMain(m *testing.M) {
	for variable, child := range map[string]func(spec string) error{workerVariable: work, openerVariable: openAndTell} {
		spec := os.Getenv(variable)
		if spec == "" {
			continue
		}
		if err := child(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
