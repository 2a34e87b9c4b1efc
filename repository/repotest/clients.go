package repotest

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

func clientChecks() []check {
	return []check{
		{"Create stores a client with version 1 and the time of the store", clientCreate},
		{"an ID is taken once, and the first client stays", clientTaken},
		{"IDs compare byte for byte", clientBytes},
		{"Update replaces kind, secrets and metadata and counts the version", clientUpdate},
		{"Update refuses a version that is not the stored one", clientConflict},
		{"Update of an unknown client is not found and creates none", clientUpdateUnknown},
		{"Delete takes grants, codes and tokens along, and no others", clientDelete},
		{"Delete of an unknown client is not found", clientDeleteUnknown},
		{"an unknown client is not found and zero", clientUnknown},
	}
}

func clientCreate(t *testing.T, f *fixture) {
	c := aClient("-new")
	c.Version = 7
	must(t, f.Clients().Create(f.ctx, c))
	f.want(t, stored(c))
}

func clientTaken(t *testing.T, f *fixture) {
	first := aClient("-taken")
	f.put(t, first)
	second := aClient("-taken")
	second.Kind = domain.Dynamic
	wantError(t, f.Clients().Create(f.ctx, second), repository.ErrAlreadyExists)
	f.want(t, stored(first))
}

// likeIDs differ from each other in bytes alone.
func likeIDs() []string {
	return []string{
		canary + "App", canary + "app", canary + "APP", canary + "app ", " " + canary + "app", canary + "app\t",
		canary + "caf\u00e9", canary + "cafe\u0301", canary + "cafe", canary + "CAF\u00c9",
		canary + "stra\u00dfe", canary + "strasse", canary + "\ufb01", canary + "fi",
		canary + "\u212a", canary + "k", canary + "K", canary + "\u200b", canary,
		canary + "%", canary + "_", canary + "'", canary + "\\", canary + "1", canary + "01", canary + "1.0",
	}
}

func clientBytes(t *testing.T, f *fixture) {
	for i, id := range likeIDs() {
		_, err := f.Clients().Get(f.ctx, id)
		wantError(t, err, repository.ErrNotFound)
		c := domain.Client{ID: id, Kind: domain.Dynamic}
		c.Metadata.SoftwareVersion = string(rune('a' + i))
		f.put(t, c)
		f.want(t, stored(c))
	}
	all, err := f.Clients().List(f.ctx, repository.Page{})
	wantCount(t, len(all), err, len(likeIDs()))
	wantError(t, f.Grants().Create(f.ctx, aGrant("-g", aClient("aPP"))), repository.ErrNotFound)
	must(t, f.Clients().Delete(f.ctx, canary+"app"))
	_, err = f.Clients().Get(f.ctx, canary+"APP")
	must(t, err)
}

func clientUpdate(t *testing.T, f *fixture) {
	f.put(t, fullClient(), aClient("-other"))
	f.clock.Advance(time.Minute)
	c := stored(fullClient())
	c.Kind = domain.MetadataDocument
	c.Secrets = []domain.Secret{{Digest: domain.DigestOf("third")}}
	c.Metadata = domain.ClientMetadata{ClientName: canary + " renamed"}
	asked := c
	asked.CreatedAt, asked.UpdatedAt = start.Add(time.Hour), start.Add(time.Hour)
	got, err := f.Clients().Update(f.ctx, asked)
	must(t, err)
	c.Version, c.UpdatedAt = 2, start.Add(time.Minute)
	want(t, got, c)
	f.want(t, c, stored(aClient("-other")))

	f.clock.Advance(time.Minute)
	c.Secrets, c.Metadata = nil, domain.ClientMetadata{}
	got, err = f.Clients().Update(f.ctx, c)
	must(t, err)
	c.Version, c.UpdatedAt = 3, start.Add(2*time.Minute)
	want(t, got, c)
	f.want(t, c)
}

func clientConflict(t *testing.T, f *fixture) {
	f.put(t, aClient("-raced"))
	c := stored(aClient("-raced"))
	c.Metadata.ClientName = canary + " first"
	c, err := f.Clients().Update(f.ctx, c)
	must(t, err)
	for _, version := range []int64{1, 3, 0, -1} {
		late := c
		late.Version = version
		late.Metadata.ClientName = canary + " late"
		_, err := f.Clients().Update(f.ctx, late)
		wantError(t, err, repository.ErrConflict)
	}
	f.want(t, c)
}

func clientUpdateUnknown(t *testing.T, f *fixture) {
	c := aClient("-nobody")
	c.Version = 1
	_, err := f.Clients().Update(f.ctx, c)
	wantError(t, err, repository.ErrNotFound)
	f.wantGone(t, c)
}

func clientDelete(t *testing.T, f *fixture) {
	gone, goneGrant := f.family(t)
	kept := aClient("-kept")
	keptGrant := aGrant("-kept", kept)
	f.put(t, kept, keptGrant)
	goes := []any{aCode("gone", goneGrant), anAccess("gone a", goneGrant), aRefresh("gone r", goneGrant)}
	stays := []any{aCode("kept", keptGrant), anAccess("kept a", keptGrant), aRefresh("kept r", keptGrant)}
	f.put(t, goes...)
	f.put(t, stays...)
	must(t, f.Clients().Delete(f.ctx, gone.ID))
	f.wantGone(t, append(goes, gone, goneGrant)...)
	f.wantIs(t, nil, append(stays, kept, keptGrant)...)

	f.put(t, gone)
	f.wantGone(t, goneGrant)
	f.put(t, goneGrant)
	f.put(t, goes...)
}

func clientDeleteUnknown(t *testing.T, f *fixture) {
	f.put(t, aClient("-kept"))
	wantError(t, f.Clients().Delete(f.ctx, canary+"-nobody"), repository.ErrNotFound)
	f.want(t, stored(aClient("-kept")))
	must(t, f.Clients().Delete(f.ctx, canary+"-kept"))
	wantError(t, f.Clients().Delete(f.ctx, canary+"-kept"), repository.ErrNotFound)
}

func clientUnknown(t *testing.T, f *fixture) {
	f.wantGone(t, aClient("-nobody"))
	f.put(t, aClient("-somebody"))
	f.wantGone(t, aClient("-nobody"), aClient("-some"), aClient("-somebody2"))
}
