package pages

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/examples/webapp/authserver"
	"github.com/oauthstore/oauthstore/repository"
)

//go:embed templates
var templates embed.FS

//go:embed static
var static embed.FS

// Options sets up Pages. Store, Users and Activity are required.
type Options struct {
	Store    repository.Store
	Users    *Users
	Activity *Activity
	Now      func() time.Time // default: time.Now
	Secure   bool             // cookies for https alone
	SignIns  int              // tries in a minute for one user; from one address, three times as many. Default: 10
	Log      *slog.Logger     // default: slog.Default()
}

// Pages serves the pages. All methods may be called concurrently.
type Pages struct {
	Options
	byName map[string]*template.Template
}

var _ authserver.Pages = (*Pages)(nil)

// New returns Pages. See Prepare.
func New(o Options) *Pages {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SignIns == 0 {
		o.SignIns = 10
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Pages{Options: o, byName: parsed()}
}

// parsed returns each page by its file name, in the layout that all share.
func parsed() map[string]*template.Template {
	layout := template.Must(template.New("layout").Funcs(template.FuncMap{
		"when":  func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"kind":  kindInWords,
	}).ParseFS(templates, "templates/layout.html", "templates/parts.html"))
	all := make(map[string]*template.Template)
	for _, name := range []string{"signin", "consent", "apps", "operator", "delete", "problem"} {
		page := template.Must(layout.Clone())
		all[name] = template.Must(page.ParseFS(templates, "templates/"+name+".html"))
	}
	return all
}

// Prepare makes sure that the client of the site's own sessions exists.
func (p *Pages) Prepare(ctx context.Context) error {
	now := p.Now()
	err := p.Store.Clients().Create(ctx, domain.Client{
		ID: SiteID, Kind: domain.Preregistered, Metadata: domain.ClientMetadata{ClientName: "This website"},
		CreatedAt: now, UpdatedAt: now,
	})
	if errors.Is(err, repository.ErrAlreadyExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pages: the site's own client: %w", err)
	}
	return nil
}

// Routes adds the pages to mux. The caller protects it from forms of other sites (http.CrossOriginProtection).
func (p *Pages) Routes(mux *http.ServeMux) {
	mux.Handle("GET /{$}", http.RedirectHandler("/apps", http.StatusSeeOther))
	mux.HandleFunc("GET /sign-in", p.showSignIn)
	mux.Handle("POST /sign-in", p.limited(http.HandlerFunc(p.signIn)))
	mux.HandleFunc("POST /sign-out", p.signOut)
	mux.HandleFunc("GET /apps", p.apps)
	mux.HandleFunc("POST /apps/disconnect", p.disconnect)
	mux.HandleFunc("GET /operator", p.operator)
	mux.HandleFunc("GET /operator/counts", p.counts)
	mux.HandleFunc("POST /operator/delete", p.deleteClient)
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	for _, name := range []string{"style.css", "live.js", "icon.svg"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Cache-Control", "public, max-age=300")
			http.ServeFileFS(w, r, files, name)
		})
	}
}

// page is what the layout needs; Body is the page's own.
type page struct {
	Title    string
	Path     string
	User     string
	Operator bool
	Live     bool // asks live.js for new counts
	Body     any
}

// policy is the Content-Security-Policy of a page: nothing but the site's own style sheet.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

// show renders a page in the layout.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, name string, page page) {
	page.Path = r.URL.Path
	page.Operator = p.Users.IsOperator(page.User)
	if page.Live {
		w.Header().Set("Content-Security-Policy", policy+"; script-src 'self'; connect-src 'self'")
	}
	p.render(w, r, status, name, "layout", page)
}

// render writes a part of a page. It fails before anything is written, or not at all.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, status int, name, part string, data any) {
	var out bytes.Buffer
	if err := p.byName[name].ExecuteTemplate(&out, part, data); err != nil {
		p.Log.ErrorContext(r.Context(), "page not rendered", "page", name, "cause", err)
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	if w.Header().Get("Content-Security-Policy") == "" {
		w.Header().Set("Content-Security-Policy", policy)
	}
	secured(w.Header())
	w.WriteHeader(status)
	_, _ = out.WriteTo(w) // the browser has gone: nobody is left to tell
}

func secured(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// Problem shows an error.
func (p *Pages) Problem(w http.ResponseWriter, r *http.Request, status int, problem string) {
	user, _ := p.Subject(r) // the page is the same without
	p.showProblem(w, r, status, page{User: user, Body: problem})
}

func (p *Pages) showProblem(w http.ResponseWriter, r *http.Request, status int, page page) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	page.Title = http.StatusText(status)
	p.show(w, r, status, "problem", page)
}

// broken shows that the store could not answer, without asking it who is signed in.
func (p *Pages) broken(w http.ResponseWriter, r *http.Request, err error) {
	p.Log.ErrorContext(r.Context(), "page not shown", "path", r.URL.Path, "cause", err)
	const problem = "The server cannot answer right now. Try again in a moment."
	p.showProblem(w, r, http.StatusServiceUnavailable, page{Body: problem})
}
