package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

const (
	shownClients  = 20    // on a page
	lookedThrough = 5_000 // for one search: names have no index
)

type operatorPage struct {
	Stats   repository.Stats
	Chart   chart
	Query   string
	Clients []listed
	Next    string
	Looked  bool // the search stopped before the end
	Deleted bool
}

type listed struct {
	domain.Client
	Name string
	Own  bool // the site itself
}

// operating returns the operator of a request, or answers it.
func (p *Pages) operating(w http.ResponseWriter, r *http.Request) (user string, ok bool) {
	if user, ok = p.signedIn(w, r); !ok {
		return "", false
	}
	if !p.Users.IsOperator(user) {
		p.Problem(w, r, http.StatusForbidden, "This page is for operators.")
		return "", false
	}
	return user, true
}

func (p *Pages) operator(w http.ResponseWriter, r *http.Request) {
	user, ok := p.operating(w, r)
	if !ok {
		return
	}
	query := r.URL.Query()
	body := operatorPage{Chart: chartOf(p.Activity.Hour()), Query: strings.TrimSpace(query.Get("q")), Deleted: query.Has("deleted")}
	var err error
	if body.Stats, err = p.Store.Stats(r.Context()); err == nil {
		err = p.find(r.Context(), &body, textOf(query, "after"))
	}
	switch {
	case errors.Is(err, repository.ErrInvalid):
		p.Problem(w, r, http.StatusBadRequest, "There is no such page of the list.")
	case err != nil:
		p.broken(w, r, err)
	default:
		p.show(w, r, http.StatusOK, "operator", page{Title: "Operator", User: user, Live: true, Body: body})
	}
}

// find lists clients after that one, those whose name or ID has the query in it, whatever the case. The store cannot
// search in names, so all are read, a page at a time, and only so many.
func (p *Pages) find(ctx context.Context, body *operatorPage, after string) error {
	size := shownClients + 1 // one more tells whether there is more
	if body.Query != "" {
		size = repository.MaxPageLimit
	}
	for looked := 0; ; {
		clients, err := p.Store.Clients().List(ctx, repository.Page{After: after, Limit: size})
		if err != nil {
			return err
		}
		for _, client := range clients {
			if !matches(client, body.Query) {
				continue
			}
			if len(body.Clients) == shownClients {
				body.Next = nextPage(body.Query, body.Clients[shownClients-1].ID)
				return nil
			}
			body.Clients = append(body.Clients, listed{client, nameOf(client), client.ID == SiteID})
		}
		if len(clients) == 0 {
			return nil
		}
		after = clients[len(clients)-1].ID
		if looked += len(clients); looked >= lookedThrough {
			body.Next, body.Looked = nextPage(body.Query, after), true
			return nil
		}
	}
}

func matches(c domain.Client, query string) bool {
	query = strings.ToLower(query)
	return strings.Contains(strings.ToLower(c.ID), query) || strings.Contains(strings.ToLower(c.Metadata.ClientName), query)
}

func nextPage(query, after string) string {
	values := url.Values{"after": {after}}
	if query != "" {
		values.Set("q", query)
	}
	return "/operator?" + values.Encode()
}

// counts is the part of the operator's page that live.js asks for again.
func (p *Pages) counts(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.operating(w, r); !ok {
		return
	}
	stats, err := p.Store.Stats(r.Context())
	if err != nil {
		p.broken(w, r, err)
		return
	}
	body := operatorPage{Stats: stats, Chart: chartOf(p.Activity.Hour())}
	p.render(w, r, http.StatusOK, "operator", "counts", body)
}

func kindInWords(k domain.ClientKind) string {
	switch k {
	case domain.Preregistered:
		return "Registered by an operator"
	case domain.Dynamic:
		return "Registered itself"
	case domain.MetadataDocument:
		return "Metadata document"
	}
	return string(k)
}

// deleteClient asks first; the answer is the same form with sure=yes.
func (p *Pages) deleteClient(w http.ResponseWriter, r *http.Request) {
	user, ok := p.operating(w, r)
	if !ok {
		return
	}
	if !p.parsedForm(w, r) {
		return
	}
	client, err := p.Store.Clients().Get(r.Context(), textOf(r.PostForm, "client"))
	switch {
	case errors.Is(err, repository.ErrNotFound) || errors.Is(err, repository.ErrInvalid):
		p.Problem(w, r, http.StatusNotFound, "There is no such client.")
		return
	case err == nil && client.ID == SiteID:
		p.Problem(w, r, http.StatusForbidden, "This client is the site itself.")
		return
	case err == nil && r.PostFormValue("sure") != "yes":
		p.show(w, r, http.StatusOK, "delete", page{Title: "Delete a client", User: user, Body: listed{Client: client, Name: nameOf(client)}})
		return
	case err == nil:
		err = p.Store.Clients().Delete(r.Context(), client.ID)
	}
	if err != nil && !errors.Is(err, repository.ErrNotFound) { // somebody was faster
		p.broken(w, r, err)
		return
	}
	p.Log.InfoContext(r.Context(), "client deleted", "client", client.ID, "by", user)
	http.Redirect(w, r, "/operator?deleted", http.StatusSeeOther)
}
