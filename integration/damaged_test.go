package integration_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/gormrepo/sqlite"
	"github.com/oauthstore/oauthstore/repository"
)

// TestWhatAFlippedBitBringsBackToLifeTheIntegrityCheckFinds flips one bit in each of many copies of
// a database, among the bytes that are in use, and asks for all codes and tokens. The copy is
// refused, an answer is an error, or all is right. But SQLite has no checksums: about one bit in
// 170 does more. One in a time, in the header of a record, or in the row number that an index has
// for a digest makes a dead token live, or gives another one in its place. `PRAGMA integrity_check`
// found each of these when all 105,672 bits were tried. That is what is tested here.
func TestWhatAFlippedBitBringsBackToLifeTheIntegrityCheckFinds(t *testing.T) {
	flips := 400
	if underRace() { // it has nothing to find here, and each takes ten times as long
		flips = 50
	}
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	opts := &sqlite.Options{Now: func() time.Time { return now }, Readers: 1}
	for _, d := range sqliteDrivers {
		t.Run(d.name, func(t *testing.T) {
			path := dbPath(t)
			g := fillGraveyard(t, d, path, opts)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			used, random := inUse(whole), rand.New(rand.NewPCG(1, 2))
			refused, failing, wrong := 0, 0, 0
			for range flips {
				at, bit := used[random.IntN(len(used))], random.IntN(8)
				damaged := slices.Clone(whole)
				damaged[at] ^= 1 << bit
				copied := dbPath(t)
				write(t, copied, string(damaged))
				opened, problems, errs := g.find(t, d, copied, opts)
				switch {
				case !opened:
					refused++
				case len(problems) > 0:
					wrong++
					if integrity(t, d, copied) == "ok" {
						t.Errorf("integrity_check does not find bit %d of byte %d: %q", bit, at, problems)
					}
				case errs > 0:
					failing++
				}
			}
			t.Logf("of %d copies, %d were refused, %d had errors, and %d wrong answers that integrity_check finds",
				flips, refused, failing, wrong)
			if refused == 0 || failing == 0 {
				t.Error("the flips did no damage")
			}
		})
	}
}

// find opens a damaged database, if it can be opened, and visits it.
func (g graveyard) find(
	t *testing.T, d sqliteDriver, path string, opts *sqlite.Options,
) (opened bool, problems []string, errs int) {
	t.Helper()
	store, err := d.open(t.Context(), path, opts)
	if err != nil {
		return false, nil, 0
	}
	defer store.Close() // whatever it says
	problems, errs = g.visit(t, store)
	return true, problems, errs
}

// underRace reports whether the race detector watches this program.
func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// inUse returns the places of the bytes that are not zero, or beside one that is not.
func inUse(file []byte) (places []int) {
	for i := range file {
		for _, b := range file[max(0, i-1):min(len(file), i+2)] {
			if b != 0 {
				places = append(places, i)
				break
			}
		}
	}
	return places
}

func integrity(t *testing.T, d sqliteDriver, path string) (verdict string) {
	t.Helper()
	err := plainGORM(t, d, path, &gorm.Config{}).Raw("PRAGMA integrity_check(1)").Scan(&verdict).Error
	if err != nil {
		return err.Error()
	}
	return verdict
}

// graveyard is what a database says of its codes and tokens, most of which are dead: the error of
// Get, by name. The name is the raw value, and the Data too.
type graveyard struct{ codes, tokens map[string]error }

// fillGraveyard makes the database.
func fillGraveyard(t *testing.T, d sqliteDriver, path string, opts *sqlite.Options) graveyard {
	t.Helper()
	g := graveyard{codes: make(map[string]error), tokens: make(map[string]error)}
	store, err := d.open(t.Context(), path, opts)
	if err == nil {
		err = store.Clients().Create(t.Context(), domain.Client{ID: theClient, Kind: domain.Dynamic})
	}
	for i, name := range []string{"ant", "bee", "cicada", "dragonfly", "earwig", "firefly"} {
		if err == nil {
			err = g.bury(t, store, name, opts.Now(), i%3 == 2)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if problems, errs := g.visit(t, store); len(problems) > 0 || errs > 0 {
		t.Fatalf("before any damage: %q, %d errors", problems, errs)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return g
}

// bury creates a grant, and under it codes and tokens that end in every way. If the grant ends too,
// they all are revoked.
func (g graveyard) bury(t *testing.T, store repository.Store, grant string, now time.Time, ends bool) error {
	t.Helper()
	const hour = time.Hour
	ctx, end := t.Context(), func(err error) error {
		if ends {
			return repository.ErrRevoked
		}
		return err
	}
	errs := []error{store.Grants().Create(ctx, domain.Grant{ID: grant, ClientID: theClient, Subject: theUser})}
	code := func(what string, expires time.Duration, why error) domain.Digest {
		raw := what + " code of " + grant
		g.codes[raw] = end(why)
		c := domain.AuthorizationCode{Digest: domain.DigestOf(raw), Data: []byte(raw), ExpiresAt: now.Add(expires)}
		c.GrantID, c.ClientID, c.Subject = grant, theClient, theUser
		errs = append(errs, store.AuthorizationCodes().Create(ctx, c))
		return c.Digest
	}
	token := func(what string, kind domain.TokenKind, expires time.Time, why error) domain.Token {
		raw := what + " token of " + grant
		g.tokens[raw] = end(why)
		return domain.Token{
			Digest: domain.DigestOf(raw), Kind: kind, GrantID: grant, ClientID: theClient, Subject: theUser,
			Data: []byte(raw), ExpiresAt: expires,
		}
	}
	code("new", hour, nil)
	code("late", -hour, repository.ErrExpired)
	_, err := store.AuthorizationCodes().Consume(ctx, code("used", hour, repository.ErrConsumed))
	first := token("first", domain.RefreshToken, time.Time{}, repository.ErrConsumed)
	gone := token("gone", domain.RefreshToken, time.Time{}, repository.ErrRevoked)
	errs = append(errs, err, store.Tokens().Create(ctx, first, gone,
		token("late", domain.AccessToken, now.Add(-hour), repository.ErrExpired),
		token("new", domain.AccessToken, now.Add(hour), nil)))
	second := token("second", domain.RefreshToken, time.Time{}, nil)
	_, err = store.Tokens().Rotate(ctx, first.Digest, domain.Replay{}, second)
	errs = append(errs, err, store.Tokens().Revoke(ctx, gone.Digest))
	if ends {
		_, err = store.Grants().Revoke(ctx, repository.GrantFilter{ID: grant}, domain.ByUser)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// visit asks for all codes and tokens. It returns which answers bring something dead to life or are
// about something else, and how many are errors.
func (g graveyard) visit(t *testing.T, store repository.Store) (problems []string, errs int) {
	t.Helper()
	look := func(all map[string]error, raw string, d domain.Digest, data []byte, err error) {
		_, known := all[string(data)]
		switch {
		case err == nil && all[raw] != nil:
			problems = append(problems, raw+" is live, which was "+all[raw].Error())
		case err != nil && !errors.Is(err, all[raw]): // which may be nil
			errs++
		case d != domain.DigestOf(raw):
			problems = append(problems, raw+" has the digest of something else")
		case known && raw != string(data):
			problems = append(problems, raw+" is "+string(data))
		}
	}
	for raw := range g.codes {
		c, err := store.AuthorizationCodes().Get(t.Context(), domain.DigestOf(raw))
		look(g.codes, raw, c.Digest, c.Data, err)
	}
	for raw := range g.tokens {
		token, err := store.Tokens().Get(t.Context(), domain.DigestOf(raw))
		look(g.tokens, raw, token.Digest, token.Data, err)
	}
	return problems, errs
}
