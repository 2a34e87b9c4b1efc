package repotest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func clientFaults() []fault {
	on := func(name string, hook func(env env, c repository.Clients) repository.Clients) fault {
		return fault{name: name, clients: hook}
	}
	return []fault{
		on("client IDs ignore case", func(_ env, c repository.Clients) repository.Clients { return foldedIDs{c} }),
		on("not found is not wrapped", func(_ env, c repository.Clients) repository.Clients { return bareNotFound{c} }),
		on("an ID that is no text is an error of its own", func(_ env, c repository.Clients) repository.Clients { return textsOnly{c} }),
		on("Update does not look at the version", func(_ env, c repository.Clients) repository.Clients { return lastWins{c} }),
		on("unknown metadata is dropped", func(_ env, c repository.Clients) repository.Clients { return knownOnly{c} }),
		on("a page of clients loses its last row", func(_ env, c repository.Clients) repository.Clients { return lossyPages{c} }),
		on("empty secrets become nil", func(_ env, c repository.Clients) repository.Clients { return nilSecrets{c} }),
		on("Delete leaves the client's grants", func(e env, c repository.Clients) repository.Clients { return orphaning{c, e} }),
		on("a client's times are cut to seconds", func(_ env, c repository.Clients) repository.Clients { return wholeSeconds{c} }),
		on("what Create took is kept without a copy", func(e env, c repository.Clients) repository.Clients { return sharesIn{c, e} }),
		on("the clock runs inside a transaction", func(e env, c repository.Clients) repository.Clients { return runningClock{c, e} }),
		on("an error repeats the ID", func(_ env, c repository.Clients) repository.Clients { return talkative{c} }),
	}
}

type foldedIDs struct{ repository.Clients }

func (f foldedIDs) Create(ctx context.Context, c domain.Client) error {
	c.ID = strings.ToLower(c.ID)
	return f.Clients.Create(ctx, c)
}

func (f foldedIDs) Get(ctx context.Context, id string) (domain.Client, error) {
	return f.Clients.Get(ctx, strings.ToLower(id))
}

type textsOnly struct{ repository.Clients }

func (f textsOnly) Get(ctx context.Context, id string) (domain.Client, error) {
	if !domain.ValidText(id) {
		return domain.Client{}, fmt.Errorf("faulty: get client: %w", repository.ErrInvalid)
	}
	return f.Clients.Get(ctx, id)
}

type bareNotFound struct{ repository.Clients }

func (f bareNotFound) Get(ctx context.Context, id string) (domain.Client, error) {
	c, err := f.Clients.Get(ctx, id)
	if errors.Is(err, repository.ErrNotFound) {
		err = repository.ErrNotFound
	}
	return c, err
}

type lastWins struct{ repository.Clients }

func (f lastWins) Update(ctx context.Context, c domain.Client) (domain.Client, error) {
	if now, err := f.Clients.Get(ctx, c.ID); err == nil {
		c.Version = now.Version
	}
	return f.Clients.Update(ctx, c)
}

type knownOnly struct{ repository.Clients }

func (f knownOnly) Create(ctx context.Context, c domain.Client) error {
	if c.Validate() == nil {
		c.Metadata.Extra = nil
	}
	return f.Clients.Create(ctx, c)
}

type lossyPages struct{ repository.Clients }

func (f lossyPages) List(ctx context.Context, page repository.Page) ([]domain.Client, error) {
	got, err := f.Clients.List(ctx, page)
	if page.After != "" && len(got) > 1 {
		got = got[1:]
	}
	return got, err
}

type nilSecrets struct{ repository.Clients }

func (f nilSecrets) Create(ctx context.Context, c domain.Client) error {
	if len(c.Secrets) == 0 {
		c.Secrets = nil
	}
	return f.Clients.Create(ctx, c)
}

// orphaning puts the grants of a deleted client under one that takes its place.
type orphaning struct {
	repository.Clients
	env env
}

func (f orphaning) Delete(ctx context.Context, id string) error {
	grants, err := f.env.Grants().List(ctx, repository.GrantFilter{ClientID: id}, repository.Page{})
	if err != nil {
		return err
	}
	if err := f.Clients.Delete(ctx, id); err != nil {
		return err
	}
	for _, g := range grants {
		g.ClientID = id + "-heir"
		_ = f.Clients.Create(ctx, domain.Client{ID: g.ClientID, Kind: domain.Dynamic})
		if err := f.env.Grants().Create(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

type wholeSeconds struct{ repository.Clients }

func (f wholeSeconds) Get(ctx context.Context, id string) (domain.Client, error) {
	c, err := f.Clients.Get(ctx, id)
	c.CreatedAt = c.CreatedAt.Truncate(time.Second)
	return c, err
}

type talkative struct{ repository.Clients }

type wordyError struct {
	error
	words string
}

func (e wordyError) Error() string { return e.error.Error() + ": " + e.words }
func (e wordyError) Unwrap() error { return e.error }

func (f talkative) Delete(ctx context.Context, id string) error {
	if err := f.Clients.Delete(ctx, id); err != nil {
		return wordyError{err, id}
	}
	return nil
}

type sharesIn struct {
	repository.Clients
	env env
}

func (f sharesIn) Create(ctx context.Context, c domain.Client) error {
	err := f.Clients.Create(ctx, c)
	if err == nil && c.Secrets != nil {
		f.env.memo.Store(c.ID, c.Secrets)
	}
	return err
}

func (f sharesIn) Update(ctx context.Context, c domain.Client) (domain.Client, error) {
	f.env.memo.Delete(c.ID)
	return f.Clients.Update(ctx, c)
}

func (f sharesIn) Get(ctx context.Context, id string) (domain.Client, error) {
	c, err := f.Clients.Get(ctx, id)
	if shared, ok := f.env.memo.Load(id); ok && err == nil {
		for i, s := range shared.([]domain.Secret) {
			c.Secrets[i].Digest = s.Digest
		}
	}
	return c, err
}

type runningClock struct {
	repository.Clients
	env env
}

func (f runningClock) Create(ctx context.Context, c domain.Client) error {
	if c.CreatedAt.IsZero() {
		c.CreatedAt = f.env.now()
	}
	return f.Clients.Create(ctx, c)
}
