package cleanup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/memoryrepo"
	"github.com/oauthstore/oauthstore/repository"
	"github.com/oauthstore/oauthstore/repository/cleanup"
)

// fill stores n grants of the client "app", each with a code and an access token of a minute.
func fill(t *testing.T, store repository.Store, n int, now time.Time) {
	t.Helper()
	ctx, end := t.Context(), now.Add(time.Minute)
	check(t, store.Clients().Create(ctx, domain.Client{ID: "app", Kind: domain.Preregistered}))
	for i := range n {
		id := fmt.Sprintf("grant-%d", i)
		check(t, store.Grants().Create(ctx, domain.Grant{ID: id, ClientID: "app"}))
		check(t, store.AuthorizationCodes().Create(ctx, domain.AuthorizationCode{
			Digest: domain.DigestOf("code" + id), GrantID: id, ClientID: "app", ExpiresAt: end}))
		check(t, store.Tokens().Create(ctx, domain.Token{
			Digest: domain.DigestOf("token" + id), Kind: domain.AccessToken, GrantID: id, ClientID: "app", ExpiresAt: end}))
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spy stands between the cleanup and a store: it keeps the batches and may fail.
type spy struct {
	repository.Store
	batches []int
	at      []time.Time
	fail    error
	onCodes func(ctx context.Context)
}

type spiedCodes struct {
	repository.AuthorizationCodes
	*spy
}

func (s *spy) AuthorizationCodes() repository.AuthorizationCodes {
	return spiedCodes{s.Store.AuthorizationCodes(), s}
}

func (s spiedCodes) DeleteExpired(ctx context.Context, limit int) (int, error) {
	s.at = append(s.at, time.Now())
	if s.onCodes != nil {
		s.onCodes(ctx)
	}
	if s.fail != nil {
		return 0, s.fail
	}
	n, err := s.AuthorizationCodes.DeleteExpired(ctx, limit)
	s.batches = append(s.batches, n)
	return n, err
}

func TestRunRemovesWhatExpiredInBatches(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	store := &spy{Store: memoryrepo.New(&memoryrepo.Options{Now: clock})}
	defer store.Close()
	fill(t, store, 25, now)
	opts := &cleanup.Options{Batch: 10}
	for _, step := range []struct {
		after time.Duration
		want  cleanup.Result
	}{
		{0, cleanup.Result{}},
		{time.Minute, cleanup.Result{AuthorizationCodes: 25, Tokens: 25}},
		{29 * 24 * time.Hour, cleanup.Result{}},
		{25 * time.Hour, cleanup.Result{Grants: 25}},
	} {
		now = now.Add(step.after)
		got, err := cleanup.Run(t.Context(), store, opts)
		check(t, err)
		if got != step.want {
			t.Fatalf("removed %+v, want %+v", got, step.want)
		}
	}
	if got := fmt.Sprint(store.batches[1:5]); got != "[10 10 5 0]" {
		t.Fatalf("batches are %s", got)
	}
}

func TestNegativeRetentionRemovesEndedGrantsAtOnce(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	store := memoryrepo.New(&memoryrepo.Options{Now: clock})
	defer store.Close()
	fill(t, store, 1, now)
	now = now.Add(time.Minute)
	got, err := cleanup.Run(t.Context(), store, &cleanup.Options{Retention: -1})
	check(t, err)
	if got.Grants != 1 {
		t.Fatalf("removed %+v", got)
	}
}

func TestRunStopsBetweenBatchesWhenItsContextEnds(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	ctx, cancel := context.WithCancel(t.Context())
	store := &spy{Store: memoryrepo.New(&memoryrepo.Options{Now: clock})}
	defer store.Close()
	fill(t, store, 3, now)
	now = now.Add(time.Minute)
	store.onCodes = func(context.Context) {
		if len(store.batches) == 1 {
			cancel()
		}
	}
	got, err := cleanup.Run(ctx, store, &cleanup.Options{Batch: 1})
	if !errors.Is(err, context.Canceled) || got.AuthorizationCodes > 2 || got.Tokens != 0 {
		t.Fatalf("removed %+v, error %v", got, err)
	}
}

func TestAnErrorWithCodesDoesNotKeepTokens(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	broken := errors.New("disk on fire")
	store := &spy{Store: memoryrepo.New(&memoryrepo.Options{Now: clock}), fail: broken}
	defer store.Close()
	fill(t, store, 3, now)
	now = now.Add(time.Minute)
	got, err := cleanup.Run(t.Context(), store, nil)
	if !errors.Is(err, broken) || got.Tokens != 3 {
		t.Fatalf("removed %+v, error %v", got, err)
	}
}

func TestStartCleansAtOnceAndThenWithinATenthOfEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &spy{Store: memoryrepo.New(nil)}
		defer store.Close()
		begin := time.Now()
		cleaner := cleanup.Start(store, &cleanup.Options{Interval: time.Hour, Logger: slog.New(slog.DiscardHandler)})
		time.Sleep(24 * time.Hour)
		cleaner.Stop()
		if len(store.at) < 20 || !store.at[0].Equal(begin) {
			t.Fatalf("%d passes", len(store.at))
		}
		different := false
		for i, at := range store.at[1:] {
			gap := at.Sub(store.at[i])
			if gap < 54*time.Minute || gap > 66*time.Minute {
				t.Fatalf("%v between two passes", gap)
			}
			different = different || gap != time.Hour
		}
		if !different {
			t.Fatal("the interval has no jitter")
		}
	})
}

func TestErrorsAreLoggedAndDoNotEndTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := &spy{Store: memoryrepo.New(nil), fail: errors.New("disk on fire")}
		defer store.Close()
		fill(t, store, 2, time.Now())
		store.onCodes = func(context.Context) {
			if len(store.at) == 2 {
				store.fail = nil
			}
		}
		cleaner := cleanup.Start(store, &cleanup.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		time.Sleep(11 * time.Minute)
		cleaner.Stop()
		cleaner.Stop()
		text := log.String()
		if !strings.Contains(text, "level=WARN") || !strings.Contains(text, "disk on fire") {
			t.Fatalf("the error is not logged: %s", text)
		}
		if !strings.Contains(text, "level=INFO") || !strings.Contains(text, "authorization_codes=2 tokens=2 grants=0") {
			t.Fatalf("the counts are not logged: %s", text)
		}
	})
}

func TestABatchThatIsNeverAnsweredEndsAfterAMinuteAndTheCleanupGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := &spy{Store: memoryrepo.New(nil)}
		defer store.Close()
		fill(t, store, 2, time.Now())
		store.onCodes = func(ctx context.Context) {
			if len(store.at) == 1 {
				<-ctx.Done()
				store.fail = context.Cause(ctx)
			} else {
				store.fail = nil
			}
		}
		cleaner := cleanup.Start(store, &cleanup.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		time.Sleep(10 * time.Minute)
		cleaner.Stop()
		text := log.String()
		if !strings.Contains(text, "level=WARN") || !strings.Contains(text, "longer than 1m0s") {
			t.Errorf("the error is not logged: %s", text)
		}
		if !strings.Contains(text, "authorization_codes=2") {
			t.Errorf("the next pass has removed nothing: %s", text)
		}
	})
}

func TestStopCancelsThePassUnderWayAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := &spy{Store: memoryrepo.New(nil)}
		defer store.Close()
		left := false
		store.onCodes = func(ctx context.Context) { <-ctx.Done(); time.Sleep(time.Second); left = true }
		cleaner := cleanup.Start(store, &cleanup.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		synctest.Wait()
		cleaner.Stop()
		if !left {
			t.Fatal("Stop did not wait")
		}
		if log.Len() != 0 {
			t.Fatalf("a stopped pass was logged: %s", log.String())
		}
	})
}

func TestAClosedStoreEndsTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &spy{Store: memoryrepo.New(nil)}
		cleaner := cleanup.Start(store, &cleanup.Options{Logger: slog.New(slog.DiscardHandler)})
		time.Sleep(time.Minute)
		_ = store.Close()
		time.Sleep(time.Hour)
		cleaner.Stop()
		if len(store.at) != 2 {
			t.Fatalf("%d passes, want 2", len(store.at))
		}
	})
}
