package integration_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

// TestAnUpdateUnderAnEndingContextReportsWhatItDid ends the ctx of an update at a random moment. The
// version of the client tells whether it was applied.
func TestAnUpdateUnderAnEndingContextReportsWhatItDid(t *testing.T) {
	times := 5_000
	if long() {
		times = 100_000
	}
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			store, err := d.open(t.Context(), dbPath(t), &sqlite.Options{Synchronous: sqlite.Normal})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if err := store.Clients().Create(t.Context(), domain.Client{ID: "app", Kind: domain.Dynamic}); err != nil {
				t.Fatal(err)
			}
			applied, refused := cancelUpdates(t, store, times)
			t.Logf("%d applied, %d refused", applied, refused)
			if applied < times/20 || refused < times/20 {
				t.Errorf("%d applied, %d refused: the moments were not random", applied, refused)
			}
		})
	}
}

func cancelUpdates(t *testing.T, store repository.Store, times int) (applied, refused int) {
	t.Helper()
	c, err := store.Clients().Get(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	long := time.Millisecond // within which an update ends about every second time
	for i := range times {
		c.Metadata.ClientName = strconv.Itoa(i)
		ctx, cancel := context.WithTimeout(t.Context(), rand.N(long))
		_, err := store.Clients().Update(ctx, c)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		stored, errGet := store.Clients().Get(t.Context(), "app")
		if errGet != nil {
			t.Fatal(errGet)
		}
		if done := stored.Version == c.Version+1 && stored.Metadata.ClientName == strconv.Itoa(i); done != (err == nil) {
			t.Fatalf("update %d: version %d became %d, and the error is %v", i, c.Version, stored.Version, err)
		}
		c = stored
		if err == nil {
			applied++
			long -= long / 100
		} else {
			refused++
			long += long/100 + 1
		}
	}
	return applied, refused
}
