package integration_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/repository"
)

// TestTheExamplesRunOnAServerByTwoVariables runs the quickstart on an empty database, and on another one the test of the
// web application in which two processes serve a flow.
func TestTheExamplesRunOnAServerByTwoVariables(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			quickstart := exec.CommandContext(t.Context(), "go", "run", "../examples/quickstart")
			address := s.database(t)
			backend, _, _ := strings.Cut(address, ":")
			quickstart.Env = append(os.Environ(), "MCP_OAUTH_STORAGE_BACKEND="+backend, "MCP_OAUTH_DATABASE_URL="+address)
			if out, err := quickstart.CombinedOutput(); err != nil || !strings.Contains(string(out), backend+"://") {
				t.Errorf("quickstart: %v\n%s", err, out)
			}
			const test = "TestTwoProcessesServeTheSameUsers"
			webapp := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-run", test, "../examples/webapp")
			address = s.database(t)
			webapp.Env = append(os.Environ(), "OAUTHSTORE_WEBAPP_DATABASE_URL="+address)
			if out, err := webapp.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
				t.Errorf("webapp: %v\n%s", err, out)
			}
			opened(t, s.backend(), address, func(store repository.Store) {
				if stats, err := store.Stats(t.Context()); err != nil || stats.Grants.Total == 0 {
					t.Errorf("webapp: %d grants are in the database, %v", stats.Grants.Total, err)
				}
			})
		})
	}
}
