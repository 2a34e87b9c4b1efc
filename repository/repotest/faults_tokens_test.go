package repotest_test

import (
	"context"
	"errors"
	"runtime"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func tokenFaults() []fault {
	type tokens = repository.Tokens
	on := func(name string, hook func(env env, t tokens) tokens) fault { return fault{name: name, tokens: hook} }
	return []fault{
		on("Get of an expired token is no error", func(_ env, t tokens) tokens { return forgiving{t} }),
		on("Rotate has two winners", func(e env, t tokens) tokens { return twoWinners{t, e} }),
		on("Rotate forgets the next tokens", func(_ env, t tokens) tokens { return forgetsNext{t} }),
		on("Rotate forgets the replay", func(_ env, t tokens) tokens { return forgetsReplay{t} }),
		on("a batch stores what it can", func(_ env, t tokens) tokens { return oneByOne{t} }),
		on("DeleteExpired of tokens deletes a live one", func(e env, t tokens) tokens { return deletesLive{t, e} }),
		on("empty scopes become nil", func(_ env, t tokens) tokens { return nilScopes{t} }),
		on("replays are not erased", func(e env, t tokens) tokens { return keepsReplays{t, e} }),
		on("Create looks at the grant, then writes", func(e env, t tokens) tokens { return unfenced{t, e} }),
		on("a token's cursor is not checked", func(_ env, t tokens) tokens { return anyCursor{t} }),
	}
}

type forgiving struct{ repository.Tokens }

func (f forgiving) Get(ctx context.Context, d domain.Digest) (domain.Token, error) {
	t, err := f.Tokens.Get(ctx, d)
	if errors.Is(err, repository.ErrExpired) {
		err = nil
	}
	return t, err
}

// twoWinners tells a caller that it won if it lost while it was looking.
type twoWinners struct {
	repository.Tokens
	env env
}

func (f twoWinners) Rotate(ctx context.Context, old domain.Digest, r domain.Replay, next ...domain.Token) (domain.Token, error) {
	_, before := f.Get(ctx, old)
	runtime.Gosched()
	t, err := f.Tokens.Rotate(ctx, old, r, next...)
	if before == nil && errors.Is(err, repository.ErrConsumed) {
		return t, nil
	}
	return t, err
}

type forgetsNext struct{ repository.Tokens }

func (f forgetsNext) Rotate(ctx context.Context, old domain.Digest, r domain.Replay, _ ...domain.Token) (domain.Token, error) {
	return f.Tokens.Rotate(ctx, old, r)
}

type forgetsReplay struct{ repository.Tokens }

func (f forgetsReplay) Rotate(ctx context.Context, old domain.Digest, r domain.Replay, next ...domain.Token) (domain.Token, error) {
	t, err := f.Tokens.Rotate(ctx, old, domain.Replay{}, next...)
	if err == nil {
		t.Replay = r.Clone()
	}
	return t, err
}

type oneByOne struct{ repository.Tokens }

func (f oneByOne) Create(ctx context.Context, tokens ...domain.Token) error {
	if len(tokens) == 0 {
		return f.Tokens.Create(ctx)
	}
	for _, t := range tokens {
		if err := f.Tokens.Create(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

type deletesLive struct {
	repository.Tokens
	env env
}

func (f deletesLive) DeleteExpired(ctx context.Context, limit int) (int, error) {
	n, err := f.Tokens.DeleteExpired(ctx, limit)
	live, _ := f.List(ctx, repository.TokenFilter{State: repository.Live}, repository.Page{Limit: 1})
	if err == nil && len(live) == 1 {
		_ = f.env.Clients().Delete(ctx, live[0].ClientID)
	}
	return n, err
}

type nilScopes struct{ repository.Tokens }

func (f nilScopes) Get(ctx context.Context, d domain.Digest) (domain.Token, error) {
	t, err := f.Tokens.Get(ctx, d)
	if len(t.Scopes) == 0 {
		t.Scopes = nil
	}
	return t, err
}

// keepsReplays remembers each replay that a rotation got and shows it for ever.
type keepsReplays struct {
	repository.Tokens
	env env
}

func (f keepsReplays) Get(ctx context.Context, d domain.Digest) (domain.Token, error) {
	t, err := f.Tokens.Get(ctx, d)
	if len(t.Replay.Sealed) > 0 {
		f.env.memo.Store(d, t.Replay)
	} else if r, ok := f.env.memo.Load(d); ok && !t.ConsumedAt.IsZero() {
		t.Replay = r.(domain.Replay)
	}
	return t, err
}

func (f keepsReplays) List(ctx context.Context, filter repository.TokenFilter, p repository.Page) ([]domain.Token, error) {
	tokens, err := f.Tokens.List(ctx, filter, p)
	for i, t := range tokens {
		tokens[i], _ = f.Get(ctx, t.Digest)
	}
	return tokens, err
}

// unfenced writes a token under a grant that was live when it looked. The right store refuses it if
// the grant was revoked in between; so it stays in the memo.
type unfenced struct {
	repository.Tokens
	env env
}

func (f unfenced) Create(ctx context.Context, tokens ...domain.Token) error {
	var before error
	if len(tokens) > 0 {
		_, before = f.env.Grants().Get(ctx, tokens[0].GrantID)
	}
	for range 20 {
		runtime.Gosched()
	}
	err := f.Tokens.Create(ctx, tokens...)
	if before != nil || !errors.Is(err, repository.ErrRevoked) {
		return err
	}
	f.env.memo.Store(tokens[0].GrantID, tokens)
	return nil
}

func (f unfenced) List(ctx context.Context, filter repository.TokenFilter, p repository.Page) ([]domain.Token, error) {
	tokens, err := f.Tokens.List(ctx, filter, p)
	if late, ok := f.env.memo.Load(filter.GrantID); ok {
		tokens = append(tokens, late.([]domain.Token)...)
	}
	return tokens, err
}

type anyCursor struct{ repository.Tokens }

func (f anyCursor) List(ctx context.Context, filter repository.TokenFilter, p repository.Page) ([]domain.Token, error) {
	if _, err := p.AfterDigest(); err != nil {
		p.After = ""
	}
	return f.Tokens.List(ctx, filter, p)
}
