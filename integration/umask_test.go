//go:build unix

package integration_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
)

func TestTheFilesOfADatabaseAreTheOwnersAloneWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077, 0o777} {
		for _, d := range sqliteDrivers {
			path := filepath.Join(t.TempDir(), "made", "oauth.db")
			before := syscall.Umask(umask)
			if umask == 0o777 { // the directory could not be entered by anybody but root
				_ = os.MkdirAll(filepath.Dir(path), 0o700)
				_ = os.Chmod(filepath.Dir(path), 0o700)
			}
			store, err := d.open(t.Context(), path, nil)
			if err == nil {
				err = store.Clients().Create(t.Context(), domain.Client{ID: "app", Kind: domain.Dynamic})
			}
			syscall.Umask(before)
			if err != nil {
				t.Fatalf("umask %o: %v", umask, err)
			}
			wantMode(t, filepath.Dir(path), 0o700)
			for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
				wantMode(t, path+suffix, 0o600)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("closing left the WAL: %v", err)
			}
		}
	}
}
