package pages

import (
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/httprate"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

type signInForm struct {
	User, Next, Problem string
}

func (p *Pages) showSignIn(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"))
	user, err := p.Subject(r)
	if err != nil {
		p.broken(w, r, err)
		return
	}
	if user != "" {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // see localPath
		return
	}
	p.showForm(w, r, http.StatusOK, signInForm{Next: next})
}

func (p *Pages) showForm(w http.ResponseWriter, r *http.Request, status int, form signInForm) {
	p.show(w, r, status, "signin", page{Title: "Sign in", Body: form})
}

// ByPeer limits by the address that a connection comes from. Behind a proxy that is the proxy's: there, take the address
// that your proxy vouches for.
func ByPeer(r *http.Request) (string, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return httprate.CanonicalizeIP(host), err
}

// limited bounds the tries of one address and for one user: against guessing, the bound that matters is the second.
func (p *Pages) limited(next http.Handler) http.Handler {
	tooMany := httprate.WithLimitHandler(func(w http.ResponseWriter, r *http.Request) {
		p.showForm(w, r, http.StatusTooManyRequests, signInForm{
			User: r.PostFormValue("username"), Next: localPath(r.PostFormValue("next")),
			Problem: "Too many tries. Wait a minute, then try again.",
		})
	})
	byUser := func(r *http.Request) (string, error) { return strings.ToLower(r.PostFormValue("username")), nil }
	limits := httprate.LimitBy(3*p.SignIns, time.Minute, ByPeer, tooMany)(
		httprate.LimitBy(p.SignIns, time.Minute, byUser, tooMany)(next))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.parsedForm(w, r) {
			limits.ServeHTTP(w, r)
		}
	})
}

// signIn checks a password. That it does not say whether the name or the password was wrong is on purpose.
func (p *Pages) signIn(w http.ResponseWriter, r *http.Request) {
	user, next := r.PostFormValue("username"), localPath(r.PostFormValue("next"))
	if !p.Users.Check(user, r.PostFormValue("password")) {
		p.Log.InfoContext(r.Context(), "sign-in refused", "from", r.RemoteAddr) // the name may be a password in the wrong field
		p.showForm(w, r, http.StatusUnauthorized, signInForm{user, next, "That name and password do not go together."})
		return
	}
	cookie, err := p.begin(r.Context(), user)
	if err != nil {
		p.broken(w, r, err)
		return
	}
	p.Log.InfoContext(r.Context(), "signed in", "user", user)
	http.SetCookie(w, cookie)
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // see localPath
}

// signOut ends the session, in the store and in the browser.
func (p *Pages) signOut(w http.ResponseWriter, r *http.Request) {
	token, err := p.session(r)
	if err == nil && token.GrantID != "" {
		_, err = p.Store.Grants().Revoke(r.Context(), repository.GrantFilter{ID: token.GrantID}, domain.ByUser)
	}
	if err != nil {
		p.broken(w, r, err)
		return
	}
	http.SetCookie(w, p.cookie("", -time.Second))
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}
