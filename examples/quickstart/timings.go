package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

const runs = 200 // of each operation

// measure times each operation, one after the other.
func (t *tour) measure(ctx context.Context) error {
	g, _, err := t.approve(ctx, "eve")
	if err != nil {
		return err
	}
	t.say("timings", "%-28s %10s %10s", fmt.Sprintf("%d runs of each, in a row", runs), "p50", "p99")
	for _, op := range t.operations(ctx, g) {
		took := make([]time.Duration, runs)
		for i := range runs {
			begun := time.Now()
			if err := op.call(i); err != nil {
				return err
			}
			took[i] = time.Since(begun)
		}
		slices.Sort(took)
		t.say("", "%-28s %10s %10s", op.name, short(took[runs/2]), short(took[runs*99/100]))
	}
	return nil
}

type operation struct {
	name string
	call func(i int) error
}

// operations build on each other: a code is created before it is consumed.
func (t *tour) operations(ctx context.Context, g domain.Grant) []operation {
	return slices.Concat(t.ofClients(ctx), t.ofGrants(ctx), t.ofCodes(ctx, g), t.ofTokens(ctx, g))
}

func (t *tour) ofClients(ctx context.Context) []operation {
	ids := ids()
	return []operation{
		{"create client", func(i int) error {
			t.clients = append(t.clients, ids[i])
			return t.store.Clients().Create(ctx, domain.Client{ID: ids[i], Kind: domain.Dynamic, Metadata: t.client.Metadata})
		}},
		{"get client", func(i int) error {
			_, err := t.store.Clients().Get(ctx, ids[i])
			return err
		}},
		{"delete client", func(i int) error { return t.store.Clients().Delete(ctx, ids[i]) }},
	}
}

func (t *tour) ofGrants(ctx context.Context) []operation {
	ids := ids()
	return []operation{
		{"create grant", func(i int) error {
			return t.store.Grants().Create(ctx, domain.Grant{ID: ids[i], ClientID: t.client.ID, Subject: "eve"})
		}},
		{"list ten grants", func(int) error {
			_, err := t.store.Grants().List(ctx, repository.GrantFilter{ClientID: t.client.ID}, repository.Page{Limit: 10})
			return err
		}},
		{"revoke grant", func(i int) error {
			_, err := t.store.Grants().Revoke(ctx, repository.GrantFilter{ID: ids[i]}, domain.ByOperator)
			return err
		}},
	}
}

func (t *tour) ofCodes(ctx context.Context, g domain.Grant) []operation {
	codes := t.values()
	return []operation{
		{"create authorization code", func(i int) error {
			return t.store.AuthorizationCodes().Create(ctx, domain.AuthorizationCode{
				Digest: codes[i], GrantID: g.ID, ClientID: g.ClientID, Subject: g.Subject,
				ExpiresAt: time.Now().Add(t.cfg.AuthorizationCodeTTL),
			})
		}},
		{"consume authorization code", func(i int) error {
			_, err := t.store.AuthorizationCodes().Consume(ctx, codes[i])
			return err
		}},
	}
}

func (t *tour) ofTokens(ctx context.Context, g domain.Grant) []operation {
	access, refresh, next := t.values(), t.values(), t.values()
	token := func(d domain.Digest, kind domain.TokenKind) domain.Token {
		return domain.Token{
			Digest: d, Kind: kind, GrantID: g.ID, ClientID: g.ClientID, Subject: g.Subject,
			Scopes: g.Scopes, ExpiresAt: time.Now().Add(time.Hour),
		}
	}
	return []operation{
		{"create two tokens", func(i int) error {
			return t.store.Tokens().Create(ctx, token(access[i], domain.AccessToken), token(refresh[i], domain.RefreshToken))
		}},
		{"get token", func(i int) error {
			_, err := t.store.Tokens().Get(ctx, access[i])
			return err
		}},
		{"rotate refresh token", func(i int) error {
			_, err := t.store.Tokens().Rotate(ctx, refresh[i], domain.Replay{}, token(next[i], domain.RefreshToken))
			return err
		}},
		{"revoke token", func(i int) error { return t.store.Tokens().Revoke(ctx, next[i]) }},
	}
}

// ids are of clients or grants. They are no secrets: the search does not look for them.
func ids() []string {
	ids := make([]string, runs)
	for i := range ids {
		ids[i] = domain.NewID()
	}
	return ids
}

// values mints what one operation needs.
func (t *tour) values() []domain.Digest {
	digests := make([]domain.Digest, runs)
	for i := range digests {
		digests[i] = domain.DigestOf(t.mint())
	}
	return digests
}

// short rounds d to three digits or so.
func short(d time.Duration) time.Duration {
	switch {
	case d < 100*time.Microsecond:
		return d.Round(100 * time.Nanosecond)
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
