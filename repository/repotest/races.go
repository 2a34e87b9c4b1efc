package repotest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// crowd is the number of goroutines that want the same thing; rounds, how often they meet.
const (
	crowd  = 100
	rounds = 20
)

func raceChecks() []check {
	return []check{
		{"of 100 that consume a code one wins", raceConsume},
		{"of 100 that redeem a code one wins, and its tokens alone are stored", raceRedeem},
		{"of 100 that rotate a token one wins, and all others get its replay", raceRotate},
		{"of 100 that create the same client one wins", raceCreate},
		{"of 100 that update the same version one wins", raceUpdate},
		{"once Revoke has returned, nothing of the grant is live, whatever was under way", raceRevoke},
		{"Revoke waits for a transaction under way, or the transaction fails", raceRevokeTx},
		{"what is written to one grant from many sides is all there", raceTokens},
		{"transactions that read and write the same client lose no update", raceTx},
	}
}

func raceConsume(t *testing.T, f *fixture) {
	_, g := f.family(t)
	for round := range rounds {
		raced := aCode(fmt.Sprint("raced", round), g)
		f.put(t, raced)
		wanted := stored(raced)
		wanted.ConsumedAt = start
		var winners atomic.Int64
		together(crowd, func(int) {
			got, err := f.AuthorizationCodes().Consume(f.ctx, raced.Digest)
			if err == nil {
				winners.Add(1)
			} else {
				wantError(t, err, repository.ErrConsumed)
			}
			want(t, got, wanted)
		})
		want(t, winners.Load(), int64(1))
	}
}

func raceRedeem(t *testing.T, f *fixture) {
	_, g := f.family(t)
	for round := range rounds {
		raced := aCode(fmt.Sprint("raced", round), g)
		f.put(t, raced)
		wanted := stored(raced)
		wanted.ConsumedAt = start
		var winners, winner atomic.Int64
		together(crowd, func(i int) {
			got, err := f.AuthorizationCodes().Redeem(f.ctx, raced.Digest, aRefresh(fmt.Sprint("won", round, i), g))
			if err == nil {
				winners.Add(1)
				winner.Store(int64(i))
			} else {
				wantError(t, err, repository.ErrConsumed)
			}
			want(t, got, wanted)
		})
		want(t, winners.Load(), int64(1))
		f.want(t, stored(aRefresh(fmt.Sprint("won", round, winner.Load()), g)))
		live, err := f.Tokens().List(f.ctx, repository.TokenFilter{}, repository.Page{})
		wantCount(t, len(live), err, round+1)
	}
}

func raceRotate(t *testing.T, f *fixture) {
	_, g := f.family(t)
	for round := range rounds {
		raced := aRefresh(fmt.Sprint("raced", round), g)
		f.put(t, raced)
		var winners atomic.Int64
		var got [crowd]domain.Token
		together(crowd, func(i int) {
			replay := aReplay()
			replay.Sealed = fmt.Append(replay.Sealed, i)
			var err error
			got[i], err = f.Tokens().Rotate(f.ctx, raced.Digest, replay, aRefresh(fmt.Sprint("next", round, i), g))
			if err == nil {
				winners.Add(1)
				want(t, got[i], rotated(raced, start, replay))
			} else {
				wantError(t, err, repository.ErrConsumed)
			}
		})
		want(t, winners.Load(), int64(1))
		for i := range got {
			want(t, got[i], got[0])
		}
		live, err := f.Tokens().List(f.ctx, repository.TokenFilter{State: repository.Live}, repository.Page{})
		wantCount(t, len(live), err, round+1)
	}
}

func raceCreate(t *testing.T, f *fixture) {
	for round := range rounds {
		raced := aClient(fmt.Sprint("-raced", round))
		var winners atomic.Int64
		together(crowd, func(int) {
			if err := f.Clients().Create(f.ctx, raced); err == nil {
				winners.Add(1)
			} else {
				wantError(t, err, repository.ErrAlreadyExists)
			}
		})
		want(t, winners.Load(), int64(1))
		f.want(t, stored(raced))
	}
}

func raceUpdate(t *testing.T, f *fixture) {
	for round := range rounds {
		raced := aClient(fmt.Sprint("-raced", round))
		f.put(t, raced)
		var winners atomic.Int64
		together(crowd, func(i int) {
			c := stored(raced)
			c.Metadata.ClientName = fmt.Sprint(canary, i)
			got, err := f.Clients().Update(f.ctx, c)
			if err != nil {
				wantError(t, err, repository.ErrConflict)
				return
			}
			winners.Add(1)
			want(t, got.Metadata.ClientName, c.Metadata.ClientName)
			want(t, got.Version, int64(2))
		})
		want(t, winners.Load(), int64(1))
	}
}

// wantOneOf checks that err is nil or wraps one of sentinels.
func wantOneOf(t *testing.T, err error, sentinels ...error) {
	t.Helper()
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return
		}
	}
	if err != nil {
		t.Errorf("unexpected error: %v", err)
	}
}

// wantNothingLive checks that no code (by name) and no token of g is live.
func (f *fixture) wantNothingLive(t *testing.T, g domain.Grant, codes ...string) {
	t.Helper()
	live, err := f.Tokens().List(f.ctx, repository.TokenFilter{GrantID: g.ID, State: repository.Live}, repository.Page{})
	wantCount(t, len(live), err, 0)
	for _, name := range codes {
		_, err := f.AuthorizationCodes().Get(f.ctx, domain.DigestOf(name))
		if err == nil {
			t.Errorf("code %s is live", name)
		}
	}
}

// adders are what may add to a grant: each is raced with Revoke.
func (f *fixture) adders(g domain.Grant, name string) []func() error {
	return []func() error{
		func() error { return f.Tokens().Create(f.ctx, anAccess(name+"a", g), aRefresh(name+"b", g)) },
		func() error { return f.AuthorizationCodes().Create(f.ctx, aCode(name+"new", g)) },
		func() error {
			_, err := f.Tokens().Rotate(f.ctx, domain.DigestOf(name+"old"), aReplay(), aRefresh(name+"c", g))
			return err
		},
		func() error {
			_, err := f.AuthorizationCodes().Redeem(f.ctx, domain.DigestOf(name+"second"), anAccess(name+"f", g), aRefresh(name+"g", g))
			return err
		},
		func() error {
			return f.InTx(f.ctx, func(tx repository.Repositories) error {
				if _, err := tx.AuthorizationCodes().Consume(f.ctx, domain.DigestOf(name+"code")); err != nil {
					return err
				}
				return tx.Tokens().Create(f.ctx, anAccess(name+"d", g), aRefresh(name+"e", g))
			})
		},
	}
}

func raceRevoke(t *testing.T, f *fixture) {
	c := aClient("-client")
	f.put(t, c)
	for round := range rounds {
		name := fmt.Sprint("-", round)
		g := aGrant(name, c)
		f.put(t, g)
		f.put(t, aCode(name+"code", g), aCode(name+"second", g), aRefresh(name+"old", g))
		adders := f.adders(g, name)
		together(len(adders)*2+1, func(i int) {
			if i == round%(len(adders)*2+1) {
				n, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ID: g.ID}, domain.ByUser)
				wantCount(t, n, err, 1)
				f.wantNothingLive(t, g, name+"code", name+"second", name+"new")
				return
			}
			err := adders[i%len(adders)]()
			wantOneOf(t, err, repository.ErrRevoked, repository.ErrConsumed, repository.ErrAlreadyExists)
		})
		f.wantNothingLive(t, g, name+"code", name+"second", name+"new")
	}
}

func raceRevokeTx(t *testing.T, f *fixture) {
	c := aClient("-client")
	f.put(t, c)
	for round := range rounds {
		name := fmt.Sprint("-", round)
		g := aGrant(name, c)
		f.put(t, g)
		f.put(t, aRefresh(name+"old", g))
		revoked := make(chan struct{})
		err := f.during(func(tx repository.Repositories) error {
			_, err := tx.Tokens().Rotate(f.ctx, domain.DigestOf(name+"old"), aReplay(), aRefresh(name+"next", g))
			return errors.Join(err, tx.AuthorizationCodes().Create(f.ctx, aCode(name+"new", g)))
		}, func() {
			go func() {
				defer close(revoked)
				n, err := f.Grants().Revoke(f.ctx, repository.GrantFilter{ClientID: c.ID}, domain.ByClient)
				wantCount(t, n, err, 1)
			}()
		})
		<-revoked
		f.wantNothingLive(t, g, name+"new")
		if err != nil { // Revoke was first, as it may be where there are no locks between nodes
			wantError(t, err, repository.ErrRevoked)
			f.wantGone(t, aRefresh(name+"next", g), aCode(name+"new", g))
			continue
		}
		f.wantIs(t, repository.ErrRevoked, aRefresh(name+"next", g), aCode(name+"new", g))
	}
}

func raceTokens(t *testing.T, f *fixture) {
	_, g := f.family(t)
	together(crowd, func(i int) {
		if i%2 == 0 {
			noError(t, f.Tokens().Create(f.ctx, anAccess(fmt.Sprint(i), g)))
			return
		}
		noError(t, f.InTx(f.ctx, func(tx repository.Repositories) error {
			return put(f.ctx, tx, anAccess(fmt.Sprint(i), g), aCode(fmt.Sprint(i), g))
		}))
	})
	f.wantStats(t, repository.Stats{
		Clients: 1, Grants: repository.Count{Total: 1, Live: 1},
		AuthorizationCodes: repository.Count{Total: crowd / 2, Live: crowd / 2},
		AccessTokens:       repository.Count{Total: crowd, Live: crowd},
	})
}

// noError is must for goroutines, which may not end the test.
func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("unexpected error: %v", err)
	}
}

func raceTx(t *testing.T, f *fixture) {
	f.put(t, aClient("-counter"))
	var done atomic.Int64
	together(rounds, func(int) {
		for range crowd {
			err := f.InTx(f.ctx, func(tx repository.Repositories) error {
				c, err := tx.Clients().Get(f.ctx, canary+"-counter")
				if err != nil {
					return err
				}
				_, err = tx.Clients().Update(f.ctx, c)
				return err
			})
			if err == nil {
				done.Add(1)
				return
			}
			wantOneOf(t, err, repository.ErrConflict)
		}
	})
	c, err := f.Clients().Get(f.ctx, canary+"-counter")
	must(t, err)
	want(t, done.Load(), int64(rounds))
	want(t, c.Version, int64(rounds+1))
}
