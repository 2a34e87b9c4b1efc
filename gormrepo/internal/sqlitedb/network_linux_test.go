package sqlitedb

import (
	"strings"
	"testing"
)

func TestAFileOnANetworkFileSystemIsRefusedByName(t *testing.T) {
	for number, name := range networkFileSystems {
		err := refuseFileSystem(number, "/mnt/oauth.db")
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "/mnt/oauth.db") ||
			!strings.Contains(err.Error(), "PostgreSQL") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := refuseFileSystem(0xef53, "/mnt/oauth.db"); err != nil {
		t.Errorf("ext4: %v", err)
	}
}
