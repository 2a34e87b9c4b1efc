package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// The limits of fetching a client ID metadata document.
const (
	maxDocument  = 10 << 10 // bytes
	documentTime = 5 * time.Second
	leastFresh   = 5 * time.Minute // however the document is served
	mostFresh    = 24 * time.Hour
)

// freshUntil is the member under which a document's client remembers when to fetch it again, in seconds since 1970.
const freshUntil = "oauthstore_fresh_until"

// NewDocumentClient returns an http.Client that only connects to public addresses, whatever a name resolves to, and
// that follows no redirect, so that a client_id cannot make this server ask its neighbours.
func NewDocumentClient() *http.Client {
	dialer := &net.Dialer{Timeout: documentTime, Control: onlyPublic}
	return &http.Client{
		Timeout: documentTime,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: documentTime,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxDocument,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// onlyPublic refuses an address that is not of the public internet. It is asked after the name was resolved.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	host, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("authserver: %w", err)
	}
	if !isPublic(host.Addr().Unmap()) {
		return errors.New("authserver: the address is not public")
	}
	return nil
}

// reserved are the blocks that netip has no method for (the special-purpose registries of IANA).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}

func isPublic(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return false
	}
	for _, block := range reserved {
		if block.Contains(a) {
			return false
		}
	}
	return true
}

// known returns the client of an authorization request. A client_id that is a URL names a document, which is
// fetched when the store has none that is fresh.
func (s *Server) known(ctx context.Context, id string) (domain.Client, error) {
	if id == "" {
		return domain.Client{}, invalidRequest("client_id is missing")
	}
	client, err := s.Store.Clients().Get(ctx, id)
	missing := errors.Is(err, repository.ErrNotFound)
	switch {
	case err != nil && !missing:
		return domain.Client{}, err
	case !missing && (client.Kind != domain.MetadataDocument || s.fresh(client)):
		return client, nil
	case missing && !isDocumentID(id):
		return domain.Client{}, unknownClient()
	}
	metadata, err := s.fetch(ctx, id)
	if err != nil {
		return domain.Client{}, &oauthError{
			status: http.StatusBadRequest, Code: "invalid_client",
			Description: "the metadata document at client_id cannot be used: " + err.Error(),
		}
	}
	return s.keep(ctx, client, id, metadata)
}

func (s *Server) fresh(client domain.Client) bool {
	until, err := strconv.ParseInt(string(client.Metadata.Extra[freshUntil]), 10, 64)
	return err == nil && s.Store.Now().Unix() < until
}

// keep stores a document as a client. Of two that do it at once, one is enough.
func (s *Server) keep(ctx context.Context, client domain.Client, id string, metadata domain.ClientMetadata) (domain.Client, error) {
	now := s.Store.Now()
	var err error
	if client.ID == "" {
		client = domain.Client{ID: id, Kind: domain.MetadataDocument, Metadata: metadata, CreatedAt: now, UpdatedAt: now}
		err = s.Store.Clients().Create(ctx, client)
	} else {
		client.Metadata, client.UpdatedAt = metadata, now
		_, err = s.Store.Clients().Update(ctx, client)
	}
	if err != nil && !errors.Is(err, repository.ErrAlreadyExists) && !errors.Is(err, repository.ErrConflict) {
		return domain.Client{}, err
	}
	return s.Store.Clients().Get(ctx, id)
}

// isDocumentID reports whether id may name a document: https, a host, a path without dot segments, and neither user,
// fragment nor query.
func isDocumentID(id string) bool {
	u, err := url.Parse(id)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery {
		return false
	}
	if strings.Contains(id, "#") || len(u.Path) < 2 || u.String() != id || !isVisible(id) {
		return false
	}
	for _, segment := range strings.Split(u.Path, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// fetch gets a document and checks it. Its errors may be shown to anybody.
func (s *Server) fetch(ctx context.Context, id string) (metadata domain.ClientMetadata, err error) {
	ctx, cancel := context.WithTimeout(ctx, documentTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, id, http.NoBody) //nolint:gosec // the guards are in Documents
	if err != nil {
		return metadata, errors.New("it is not a URL")
	}
	request.Header.Set("Accept", "application/json")
	answer, err := s.Documents.Do(request) //nolint:gosec // see above
	if err != nil {
		s.Log.InfoContext(ctx, "metadata document not fetched", "client", id, "cause", err)
		return metadata, errors.New("it cannot be fetched")
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK || !isJSON(answer.Header.Get("Content-Type")) {
		return metadata, errors.New("it is not served as 200 with a JSON type")
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	if err != nil || len(body) > maxDocument {
		return metadata, errors.New("it cannot be read, or has more than 10 kB")
	}
	if metadata, err = s.document(id, body); err != nil {
		return metadata, err
	}
	until := s.Store.Now().Add(freshness(answer.Header.Get("Cache-Control"))).Unix()
	metadata.Extra[freshUntil] = json.RawMessage(strconv.FormatInt(until, 10))
	return metadata, nil
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || (strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")))
}

// document checks what the document says: of the URL that it stands at, and without a secret, which all could read.
func (s *Server) document(id string, body []byte) (metadata domain.ClientMetadata, err error) {
	if err := json.Unmarshal(body, &metadata); err != nil {
		return metadata, errors.New("it is not a JSON object of client metadata")
	}
	var said string
	if err := json.Unmarshal(metadata.Extra["client_id"], &said); err != nil || said != id {
		return metadata, errors.New("its client_id is not its URL")
	}
	for _, secret := range []string{"client_secret", "client_secret_expires_at"} {
		if _, ok := metadata.Extra[secret]; ok {
			return metadata, errors.New("it has a secret")
		}
	}
	if metadata.TokenEndpointAuthMethod == "" {
		metadata.TokenEndpointAuthMethod = authNone
	}
	if metadata.TokenEndpointAuthMethod != authNone {
		return metadata, errors.New("its token_endpoint_auth_method is not none")
	}
	if metadata.ClientName == "" {
		return metadata, errors.New("it has no client_name")
	}
	if err := s.settle(&metadata); err != nil {
		return metadata, err
	}
	return metadata, nil
}

// freshness returns how long a document may be used without being fetched again (RFC 9111 §5.2.2).
func freshness(cacheControl string) time.Duration {
	for _, directive := range strings.Split(cacheControl, ",") {
		if seconds, ok := strings.CutPrefix(strings.TrimSpace(directive), "max-age="); ok {
			if n, err := strconv.ParseInt(seconds, 10, 32); err == nil {
				return min(max(time.Duration(n)*time.Second, leastFresh), mostFresh)
			}
		}
	}
	return leastFresh
}
