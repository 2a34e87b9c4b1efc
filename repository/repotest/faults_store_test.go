package repotest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func storeFaults() []fault {
	on := func(name string, hook func(env env, s repository.Store) repository.Store) fault {
		return fault{name: name, store: hook}
	}
	return []fault{
		on("a rollback keeps a row", func(e env, s repository.Store) repository.Store { return keepsRow{s, e} }),
		on("InTx swallows a panic", func(_ env, s repository.Store) repository.Store { return swallows{s} }),
		on("InTx wraps the function's error", func(_ env, s repository.Store) repository.Store { return wraps{s} }),
		on("ctx is ignored", func(_ env, s repository.Store) repository.Store { return ignoresCtx{s} }),
		on("Close is ignored", func(_ env, s repository.Store) repository.Store { return neverCloses{s} }),
		on("Close does not wait", func(_ env, s repository.Store) repository.Store { return hasty{s} }),
		on("Stats counts dead ones as live", func(_ env, s repository.Store) repository.Store { return miscounts{s} }),
		on("Now is not the store's clock", func(_ env, s repository.Store) repository.Store { return itsOwnClock{s} }),
		on("a transaction's Now goes on", func(_ env, s repository.Store) repository.Store { return goesOn{s} }),
		on("there is no transaction", func(_ env, s repository.Store) repository.Store { return noTx{s} }),
	}
}

type keepsRow struct {
	repository.Store
	env env
}

func (f keepsRow) InTx(ctx context.Context, fn func(tx repository.Repositories) error) error {
	var kept []domain.Client
	err := f.Store.InTx(ctx, func(tx repository.Repositories) error {
		err := fn(tx)
		kept, _ = tx.Clients().List(ctx, repository.Page{})
		return err
	})
	for _, c := range kept {
		if err != nil {
			_ = f.env.Clients().Create(ctx, c)
		}
	}
	return err
}

type itsOwnClock struct{ repository.Store }

func (itsOwnClock) Now() time.Time { return domain.Microsecond(time.Now()) }

type goesOn struct{ repository.Store }

func (f goesOn) InTx(ctx context.Context, fn func(tx repository.Repositories) error) error {
	return f.Store.InTx(ctx, func(tx repository.Repositories) error { return fn(movingNow{tx, f.Store}) })
}

type movingNow struct {
	repository.Repositories
	store repository.Store
}

func (f movingNow) Now() time.Time { return f.store.Now() }

type swallows struct{ repository.Store }

func (f swallows) InTx(ctx context.Context, fn func(tx repository.Repositories) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("faulty: %v", v)
		}
	}()
	return f.Store.InTx(ctx, fn)
}

type wraps struct{ repository.Store }

func (f wraps) InTx(ctx context.Context, fn func(tx repository.Repositories) error) error {
	if err := f.Store.InTx(ctx, fn); err != nil {
		return fmt.Errorf("faulty: in transaction: %w", err)
	}
	return nil
}

type ignoresCtx struct{ repository.Store }

func (f ignoresCtx) Ping(ctx context.Context) error { return f.Store.Ping(context.WithoutCancel(ctx)) }

func (f ignoresCtx) InTx(ctx context.Context, fn func(tx repository.Repositories) error) error {
	return f.Store.InTx(context.WithoutCancel(ctx), fn)
}

type neverCloses struct{ repository.Store }

func (neverCloses) Close() error { return nil }

type hasty struct{ repository.Store }

func (f hasty) Close() error {
	go func() { _ = f.Store.Close() }()
	return nil
}

type miscounts struct{ repository.Store }

func (f miscounts) Stats(ctx context.Context) (repository.Stats, error) {
	s, err := f.Store.Stats(ctx)
	s.RefreshTokens.Live = s.RefreshTokens.Total
	return s, err
}

// noTx runs the function without a transaction.
type noTx struct{ repository.Store }

func (f noTx) InTx(ctx context.Context, fn func(tx repository.Repositories) error) error {
	if err := f.Store.InTx(ctx, func(repository.Repositories) error { return nil }); err != nil {
		return err
	}
	return fn(f.Store)
}
