package pages

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/oauthstore/oauthstore/domain"
)

// maxForm is the longest form that is read, in bytes.
const maxForm = 64 << 10

// parsedForm reads the form of a request, or answers that it cannot be read.
func (p *Pages) parsedForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.Problem(w, r, http.StatusBadRequest, "The form cannot be read, or is too long.")
		return false
	}
	return true
}

// textOf returns a value of a form, or "" for one that no ID can be: databases refuse to compare with that.
func textOf(form url.Values, name string) string {
	value := form.Get(name)
	if !domain.ValidText(value) {
		return ""
	}
	return value
}

// home is where a sign-in leads to by itself.
const home = "/apps"

// localPath returns next if it is a path of this site, else home: nothing that a browser could take for another one.
func localPath(next string) string {
	u, err := url.Parse(next)
	switch {
	case err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "":
		return home
	case !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`):
		return home
	case strings.IndexFunc(next, unicode.IsControl) >= 0 || strings.HasPrefix(u.Path, "//"):
		return home
	}
	return next
}
