package sqlitedb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/gormrepo/internal/sqlitedb"
	"github.com/oauthstore/oauthstore/repository"
)

func TestVersionsThatCanCorruptAWALDatabaseAreRefused(t *testing.T) {
	for version, safe := range map[string]bool{
		"3.6.23": false, "3.7.0": false, "3.44.5": false, "3.44.6": true, "3.45.0": false, "3.46.1": false,
		"3.49.2": false, "3.50.4": false, "3.50.6": false, "3.50.7": true, "3.50.8": true,
		"3.51.0": false, "3.51.2": false, "3.51.3": true, "3.52.0": true, "3.53.1": true, "3.100.0": true, "4.0.0": true,
		"": false, "3": false, "3.x.1": false, "3.-51.3": false, "2.8.17": false,
	} {
		err := sqlitedb.CheckVersion(version)
		if (err == nil) != safe {
			t.Errorf("%q: %v", version, err)
		}
		if err != nil && (!errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), version)) {
			t.Errorf("%q: the error does not say it: %v", version, err)
		}
	}
}
