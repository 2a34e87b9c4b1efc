package pages

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// shownGrants is how many grants are in one list of a page.
const shownGrants = 20

type appsPage struct {
	Live, Ended grantList
	Done        bool
}

// grantList is a page of grants, and where the next one is.
type grantList struct {
	Grants []connected
	Next   string
}

// connected is a grant, as its user sees it.
type connected struct {
	GrantID   string
	Name      string
	Scopes    []string
	Resources []string
	Made      time.Time
	Refreshed time.Time
	Ended     time.Time
	Why       string
	Alarm     bool // the reason is a sign of theft
}

// apps shows the grants of the user, the live ones first. Each list has its own cursor.
func (p *Pages) apps(w http.ResponseWriter, r *http.Request) {
	user, ok := p.signedIn(w, r)
	if !ok {
		return
	}
	query := r.URL.Query()
	body := appsPage{Done: query.Has("done")}
	live := repository.GrantFilter{Subject: user, State: repository.Live}
	ended := repository.GrantFilter{Subject: user, State: repository.Ended}
	var err error
	if body.Live, err = p.list(r.Context(), live, "live", textOf(query, "live")); err == nil {
		body.Ended, err = p.list(r.Context(), ended, "ended", textOf(query, "ended"))
	}
	switch {
	case errors.Is(err, repository.ErrInvalid):
		p.Problem(w, r, http.StatusBadRequest, "There is no such page of the list.")
	case err != nil:
		p.broken(w, r, err)
	default:
		p.show(w, r, http.StatusOK, "apps", page{Title: "Connected apps", User: user, Body: body})
	}
}

// list returns a page of the grants that f selects, after that one. cursor is the parameter that asks for the next page.
func (p *Pages) list(ctx context.Context, f repository.GrantFilter, cursor, after string) (out grantList, err error) {
	grants, err := p.ofApps(ctx, f, after)
	if err != nil {
		return out, err
	}
	if len(grants) > shownGrants {
		grants = grants[:shownGrants]
		out.Next = "/apps?" + url.Values{cursor: {grants[shownGrants-1].ID}}.Encode()
	}
	names := make(map[string]string)
	for _, grant := range grants {
		one, err := p.connected(ctx, grant, f.State, names)
		if err != nil {
			return out, err
		}
		out.Grants = append(out.Grants, one)
	}
	return out, nil
}

// ofApps returns the grants after that one without the site's own sessions, which a filter cannot leave out: at least
// one more than a page shows, if there are so many.
func (p *Pages) ofApps(ctx context.Context, f repository.GrantFilter, after string) (found []domain.Grant, err error) {
	for {
		grants, err := p.Store.Grants().List(ctx, f, repository.Page{After: after, Limit: repository.DefaultPageLimit})
		if err != nil {
			return nil, err
		}
		for _, grant := range grants {
			if after = grant.ID; grant.ClientID != SiteID {
				found = append(found, grant)
			}
		}
		if len(found) > shownGrants || len(grants) == 0 {
			return found, nil
		}
	}
}

// connected looks the client's name up, once for each. The state is the store's answer, by its own clock.
func (p *Pages) connected(ctx context.Context, g domain.Grant, state repository.State, names map[string]string) (connected, error) {
	if _, known := names[g.ClientID]; !known {
		client, err := p.Store.Clients().Get(ctx, g.ClientID)
		if err != nil && !errors.Is(err, repository.ErrNotFound) { // deleted since
			return connected{}, err
		}
		names[g.ClientID] = cmp.Or(client.Metadata.ClientName, g.ClientID)
	}
	one := connected{
		GrantID: g.ID, Name: names[g.ClientID], Scopes: inWords(g.Scopes), Resources: g.Resources,
		Made: g.CreatedAt, Refreshed: g.LastUsedAt,
	}
	switch {
	case !g.RevokedAt.IsZero():
		one.Ended, one.Why = g.RevokedAt, whyEnded(g.RevokedReason)
		one.Alarm = g.RevokedReason == domain.CodeReplayed || g.RevokedReason == domain.RefreshTokenReused
	case state == repository.Ended:
		one.Ended, one.Why = g.ExpiresAt, "it expired"
	}
	return one, nil
}

func whyEnded(reason domain.Reason) string {
	switch reason {
	case domain.ByUser:
		return "you disconnected it"
	case domain.ByClient:
		return "the app signed out"
	case domain.CodeReplayed:
		return "its authorization code was used twice: a sign of theft"
	case domain.RefreshTokenReused:
		return "an old refresh token was used again: a sign of theft"
	case domain.ByOperator:
	}
	return "an operator ended it"
}

// disconnect ends one of the user's own grants.
func (p *Pages) disconnect(w http.ResponseWriter, r *http.Request) {
	user, ok := p.signedIn(w, r)
	if !ok {
		return
	}
	if !p.parsedForm(w, r) {
		return
	}
	filter := repository.GrantFilter{ID: textOf(r.PostForm, "grant"), Subject: user}
	mine, err := p.isApp(r.Context(), filter)
	switch {
	case errors.Is(err, repository.ErrInvalid) || err == nil && !mine:
		p.Problem(w, r, http.StatusNotFound, "You have no such app.")
		return
	case err == nil: // what has ended already stays as it is
		_, err = p.Store.Grants().Revoke(r.Context(), filter, domain.ByUser)
	}
	if err != nil {
		p.broken(w, r, err)
		return
	}
	http.Redirect(w, r, "/apps?done", http.StatusSeeOther)
}

// isApp reports whether f, with an ID and a subject, selects a grant that is not a session of the site.
func (p *Pages) isApp(ctx context.Context, f repository.GrantFilter) (bool, error) {
	if f.ID == "" {
		return false, nil
	}
	grants, err := p.Store.Grants().List(ctx, f, repository.Page{Limit: 1})
	return len(grants) == 1 && grants[0].ClientID != SiteID, err
}
