package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// nodeVariable names Node.js (a path, or a name in PATH) to run the clients in the folder of that name, after npm ci
// there.
const nodeVariable = "OAUTHSTORE_TEST_NODE"

// TestClientsThatOthersWroteAreServed runs the clients of the MCP SDK for TypeScript, oauth4webapi and the conformance
// package of MCP against two processes.
func TestClientsThatOthersWroteAreServed(t *testing.T) {
	node := os.Getenv(nodeVariable)
	if node == "" {
		t.Skipf("%s is not set: no Node.js to run the clients with", nodeVariable)
	}
	s := newSite(t)
	first, second := s.start(), s.start()
	cmd := exec.CommandContext(t.Context(), node, "--test")
	cmd.Dir = "clients"
	cmd.Env = append(os.Environ(), "OAUTHSTORE_URL="+first.url, "OAUTHSTORE_SECOND_URL="+second.url, "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if err != nil || count(out, "pass") < 20 || count(out, "skipped") != 0 {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%d passed", count(out, "pass"))
}

// count returns what the summary of Node's test runner says, or -1.
func count(out []byte, what string) int {
	found := regexp.MustCompile(`(?m)^\S ` + what + ` (\d+)$`).FindSubmatch(out)
	if found == nil {
		return -1
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		return -1
	}
	return n
}
