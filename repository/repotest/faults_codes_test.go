package repotest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func codeFaults() []fault {
	type codes = repository.AuthorizationCodes
	on := func(name string, hook func(env env, c codes) codes) fault { return fault{name: name, codes: hook} }
	return []fault{
		on("Consume reads, then writes", func(_ env, c codes) codes { return readsThenWrites{c} }),
		on("Redeem has two winners", func(_ env, c codes) codes { return redeemsTwice{c} }),
		on("Redeem stores its tokens although it has lost", func(e env, c codes) codes { return storesAnyway{c, e} }),
		on("Redeem burns a code whose tokens it cannot store", func(e env, c codes) codes { return burns{c, e} }),
		on("Redeem without tokens is no use of the grant", func(_ env, c codes) codes { return noUse{c} }),
		on("expired is told before consumed", func(e env, c codes) codes { return expiredFirst{c, e} }),
		on("a code expires one instant late", func(e env, c codes) codes { return oneLate{c, e} }),
		on("DeleteExpired of codes ignores its limit", func(_ env, c codes) codes { return unlimited{c} }),
		on("DeleteExpired deletes consumed codes that are not expired", func(e env, c codes) codes { return keepsNoConsumed{c, e} }),
		on("an error carries the digest", func(_ env, c codes) codes { return carriesDigest{c} }),
		on("Consume gives out the same memory twice", func(e env, c codes) codes { return sharesOut{c, e} }),
		on("an unknown code is not zero", func(_ env, c codes) codes { return notZero{c} }),
	}
}

type readsThenWrites struct{ repository.AuthorizationCodes }

func (f readsThenWrites) Consume(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error) {
	code, err := f.Get(ctx, d)
	if err != nil {
		return code, err
	}
	runtime.Gosched()
	code, _ = f.AuthorizationCodes.Consume(ctx, d)
	return code, nil
}

type redeemsTwice struct{ repository.AuthorizationCodes }

func (f redeemsTwice) Redeem(ctx context.Context, d domain.Digest, tokens ...domain.Token) (domain.AuthorizationCode, error) {
	code, err := f.Get(ctx, d)
	if err != nil {
		return code, err
	}
	runtime.Gosched()
	redeemed, err := f.AuthorizationCodes.Redeem(ctx, d, tokens...)
	if errors.Is(err, repository.ErrConsumed) {
		err = nil
	}
	return redeemed, err
}

type storesAnyway struct {
	repository.AuthorizationCodes
	env env
}

func (f storesAnyway) Redeem(ctx context.Context, d domain.Digest, tokens ...domain.Token) (domain.AuthorizationCode, error) {
	code, err := f.AuthorizationCodes.Redeem(ctx, d, tokens...)
	if errors.Is(err, repository.ErrConsumed) && len(tokens) > 0 {
		_ = f.env.Tokens().Create(ctx, tokens...)
	}
	return code, err
}

type burns struct {
	repository.AuthorizationCodes
	env env
}

func (f burns) Redeem(ctx context.Context, d domain.Digest, tokens ...domain.Token) (domain.AuthorizationCode, error) {
	code, err := f.AuthorizationCodes.Redeem(ctx, d, tokens...)
	if errors.Is(err, repository.ErrAlreadyExists) {
		_, _ = f.Consume(ctx, d)
	}
	return code, err
}

type noUse struct{ repository.AuthorizationCodes }

func (f noUse) Redeem(ctx context.Context, d domain.Digest, tokens ...domain.Token) (domain.AuthorizationCode, error) {
	if len(tokens) == 0 {
		return f.Consume(ctx, d)
	}
	return f.AuthorizationCodes.Redeem(ctx, d, tokens...)
}

type expiredFirst struct {
	repository.AuthorizationCodes
	env env
}

func (f expiredFirst) Get(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error) {
	c, err := f.AuthorizationCodes.Get(ctx, d)
	if errors.Is(err, repository.ErrConsumed) && !f.env.now().Before(c.ExpiresAt) {
		err = fmt.Errorf("faulty: %w", repository.ErrExpired)
	}
	return c, err
}

type oneLate struct {
	repository.AuthorizationCodes
	env env
}

func (f oneLate) Get(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error) {
	c, err := f.AuthorizationCodes.Get(ctx, d)
	if errors.Is(err, repository.ErrExpired) && f.env.now().Equal(c.ExpiresAt) {
		err = nil
	}
	return c, err
}

type unlimited struct{ repository.AuthorizationCodes }

func (f unlimited) DeleteExpired(ctx context.Context, limit int) (int, error) {
	return f.AuthorizationCodes.DeleteExpired(ctx, limit*1000)
}

// keepsNoConsumed forgets consumed codes at the next cleanup, so that a replay is not noticed.
type keepsNoConsumed struct {
	repository.AuthorizationCodes
	env env
}

func (f keepsNoConsumed) Create(ctx context.Context, c domain.AuthorizationCode) error {
	err := f.AuthorizationCodes.Create(ctx, c)
	if err == nil && !c.ConsumedAt.IsZero() {
		f.env.memo.Store(c.Digest, false)
	}
	return err
}

func (f keepsNoConsumed) DeleteExpired(ctx context.Context, limit int) (int, error) {
	f.env.memo.Range(func(digest, _ any) bool {
		f.env.memo.Store(digest, true)
		return true
	})
	return f.AuthorizationCodes.DeleteExpired(ctx, limit)
}

func (f keepsNoConsumed) Get(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error) {
	if gone, _ := f.env.memo.Load(d); gone == true {
		return domain.AuthorizationCode{}, fmt.Errorf("faulty: %w", repository.ErrNotFound)
	}
	return f.AuthorizationCodes.Get(ctx, d)
}

type carriesDigest struct{ repository.AuthorizationCodes }

func (f carriesDigest) Get(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error) {
	c, err := f.AuthorizationCodes.Get(ctx, d)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, d.Hex())
	}
	return c, err
}

type notZero struct{ repository.AuthorizationCodes }

func (f notZero) Get(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error) {
	c, err := f.AuthorizationCodes.Get(ctx, d)
	c.Digest = d
	return c, err
}

type sharesOut struct {
	repository.AuthorizationCodes
	env env
}

func (f sharesOut) Consume(ctx context.Context, d domain.Digest) (domain.AuthorizationCode, error) {
	c, err := f.AuthorizationCodes.Consume(ctx, d)
	if !c.ConsumedAt.IsZero() {
		first, _ := f.env.memo.LoadOrStore(d, c.Scopes)
		c.Scopes = first.([]string)
	}
	return c, err
}
