package integration_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const ownProcessVariable = "OAUTHSTORE_TEST_OWN_PROCESS"

// inOwnProcess runs the test that calls it in a process of its own, for what would harm the others.
// It returns true in that process, which goes on with the test, and false here, where it is over.
func inOwnProcess(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownProcessVariable) != "" {
		return true
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.v", "-test.run", "^"+regexp.QuoteMeta(t.Name())+"$")
	cmd.Env = append(os.Environ(), ownProcessVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v", err)
	}
	t.Logf("%s", out)
	return false
}
