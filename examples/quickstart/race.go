package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

const (
	goroutines = 100 // that race in this process
	processes  = 4   // that race with it
	perProcess = 25  // goroutines in each of them
)

// race lets everybody redeem one code at once.
func (t *tour) race(ctx context.Context) error {
	_, code, err := t.approve(ctx, "ada")
	if err != nil {
		return err
	}
	if t.inMemory() {
		return t.raceAlone(ctx, code)
	}
	workers, err := startWorkers(ctx, redeemJob, processes)
	if err != nil {
		return err
	}
	errSend := send(workers, code)
	here, err := redeem(ctx, t.store, code, goroutines)
	there, errThere := answers(workers)
	if err := errors.Join(errSend, err, errThere); err != nil {
		return err
	}
	won := here
	for _, answer := range there {
		n, err := strconv.Atoi(answer)
		if err != nil {
			return err
		}
		won += n
	}
	if won != 1 {
		return fmt.Errorf("%d of all who redeemed one code won", won)
	}
	t.say("code", "redeemed at once by %d goroutines here and %d in each of %d other processes: one won, %s",
		goroutines, perProcess, processes, whose(here))
	return nil
}

// raceAlone is the race where no other process can take part.
func (t *tour) raceAlone(ctx context.Context, code string) error {
	won, err := redeem(ctx, t.store, code, goroutines)
	if err != nil || won != 1 {
		return errors.Join(err, fmt.Errorf("%d of all who redeemed one code won", won))
	}
	t.say("code", "redeemed at once by %d goroutines: one won", goroutines)
	t.say("", "other processes are left out: a store in memory has none")
	return nil
}

func whose(here int) string {
	if here == 1 {
		return "here"
	}
	return "in another process"
}

// redeem lets n goroutines redeem a code and returns how many could. The others must hear that it is consumed.
func redeem(ctx context.Context, store repository.Store, code string, n int) (int, error) {
	var won atomic.Int64
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			switch _, err := store.AuthorizationCodes().Consume(ctx, domain.DigestOf(code)); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, repository.ErrConsumed):
				errs[i] = err
			}
		})
	}
	all.Wait()
	return int(won.Load()), cmp.Or(errs...)
}
