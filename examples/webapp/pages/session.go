package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

const (
	// SiteID is the client whose tokens are the site's own sessions.
	SiteID = "website"

	sessionTime = 12 * time.Hour
)

// cookieName has the prefix that keeps other hosts and paths from setting it, where https allows that.
func (p *Pages) cookieName() string {
	if p.Secure {
		return "__Host-session"
	}
	return "session"
}

func (p *Pages) cookie(value string, lifetime time.Duration) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever the site has https
		Name: p.cookieName(), Value: value, Path: "/", MaxAge: int(lifetime.Seconds()),
		Secure: p.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// session returns the token behind the request's cookie, or a zero one where there is no live session.
func (p *Pages) session(r *http.Request) (domain.Token, error) {
	cookie, err := r.Cookie(p.cookieName())
	if errors.Is(err, http.ErrNoCookie) || cookie.Value == "" {
		return domain.Token{}, nil
	}
	token, err := p.Store.Tokens().Get(r.Context(), domain.DigestOf(cookie.Value))
	if repository.IsInactive(err) {
		return domain.Token{}, nil
	}
	if err != nil {
		return domain.Token{}, err
	}
	own := token.ClientID == SiteID && token.Kind == domain.AccessToken // another client's token is no session
	if !own || !p.Users.known(token.Subject) {
		return domain.Token{}, nil
	}
	return token, nil
}

// Subject returns who is signed in, or "".
func (p *Pages) Subject(r *http.Request) (string, error) {
	token, err := p.session(r)
	return token.Subject, err
}

// begin stores a new session of user, and returns what the cookie has to be.
func (p *Pages) begin(ctx context.Context, user string) (*http.Cookie, error) {
	raw, now := domain.NewSecret(), p.Now()
	grant := domain.Grant{
		ID: domain.NewID(), ClientID: SiteID, Subject: user, Scopes: []string{"session"},
		CreatedAt: now, ExpiresAt: now.Add(sessionTime),
	}
	err := p.Store.InTx(ctx, func(tx repository.Repositories) error {
		if err := tx.Grants().Create(ctx, grant); err != nil {
			return err
		}
		return tx.Tokens().Create(ctx, domain.Token{
			Digest: domain.DigestOf(raw), Kind: domain.AccessToken, GrantID: grant.ID, ClientID: SiteID, Subject: user,
			Scopes: grant.Scopes, CreatedAt: now, ExpiresAt: grant.ExpiresAt,
		})
	})
	return p.cookie(raw, sessionTime), err
}

// signedIn returns the user of a request, or, where there is none, answers it.
func (p *Pages) signedIn(w http.ResponseWriter, r *http.Request) (user string, ok bool) {
	user, err := p.Subject(r)
	switch {
	case err != nil:
		p.broken(w, r, err)
	case user == "" && r.Method == http.MethodGet:
		p.SignIn(w, r)
	case user == "":
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	default:
		return user, true
	}
	return "", false
}

// SignIn sends the browser to the sign-in page, which leads back to the URL of r.
func (*Pages) SignIn(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/sign-in?"+url.Values{"next": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
}
