package gormrepo

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

func clientToRow(c domain.Client) (clientRow, error) {
	metadata, err := c.Metadata.MarshalJSON()
	if err != nil {
		return clientRow{}, err
	}
	return clientRow{
		ID: c.ID, Kind: string(c.Kind), Secrets: secretsToText(c.Secrets), Metadata: string(metadata),
	}, nil
}

func clientOf(r clientRow) (domain.Client, error) {
	c := domain.Client{
		ID: r.ID, Kind: domain.ClientKind(r.Kind),
		Version: r.Version, CreatedAt: timeOf(&r.CreatedAt), UpdatedAt: timeOf(&r.UpdatedAt),
	}
	var err error
	if c.Secrets, err = secretsOf(r.Secrets); err != nil {
		return domain.Client{}, err
	}
	if err := json.Unmarshal([]byte(r.Metadata), &c.Metadata); err != nil {
		return domain.Client{}, err
	}
	return c, nil
}

func grantToRow(g domain.Grant) grantRow {
	r := grantRow{
		ID: g.ID, ClientID: g.ClientID, Subject: g.Subject,
		Scopes: listToText(g.Scopes), Resources: listToText(g.Resources), Data: g.Data,
		LastUsedAt: micros(g.LastUsedAt),
		ExpiresAt:  micros(g.ExpiresAt), RevokedAt: micros(g.RevokedAt),
	}
	if g.RevokedReason != "" {
		reason := string(g.RevokedReason)
		r.RevokedReason = &reason
	}
	return r
}

func grantOf(r grantRow) (domain.Grant, error) {
	g := domain.Grant{
		ID: r.ID, ClientID: r.ClientID, Subject: r.Subject, Data: r.Data,
		CreatedAt: timeOf(&r.CreatedAt), LastUsedAt: timeOf(r.LastUsedAt),
		ExpiresAt: timeOf(r.ExpiresAt), RevokedAt: timeOf(r.RevokedAt),
	}
	if r.RevokedReason != nil {
		g.RevokedReason = domain.Reason(*r.RevokedReason)
	}
	err := errors.Join(listOf(r.Scopes, &g.Scopes), listOf(r.Resources, &g.Resources))
	return g, err
}

func codeToRow(c domain.AuthorizationCode) codeRow {
	return codeRow{
		Digest: c.Digest[:], GrantID: c.GrantID, ClientID: c.ClientID, Subject: c.Subject,
		RedirectURI: c.RedirectURI, Scopes: listToText(c.Scopes), Resources: listToText(c.Resources),
		CodeChallenge: c.CodeChallenge, CodeChallengeMethod: c.CodeChallengeMethod,
		Nonce: c.Nonce, Data: c.Data,
		ExpiresAt:  c.ExpiresAt.UnixMicro(),
		ConsumedAt: micros(c.ConsumedAt), RevokedAt: micros(c.RevokedAt),
	}
}

func codeOf(r codeRow) (domain.AuthorizationCode, error) {
	c := domain.AuthorizationCode{
		GrantID: r.GrantID, ClientID: r.ClientID, Subject: r.Subject, RedirectURI: r.RedirectURI,
		CodeChallenge: r.CodeChallenge, CodeChallengeMethod: r.CodeChallengeMethod,
		Nonce: r.Nonce, Data: r.Data,
		CreatedAt: timeOf(&r.CreatedAt), ExpiresAt: timeOf(&r.ExpiresAt),
		ConsumedAt: timeOf(r.ConsumedAt), RevokedAt: timeOf(r.RevokedAt),
	}
	copy(c.Digest[:], r.Digest)
	err := errors.Join(listOf(r.Scopes, &c.Scopes), listOf(r.Resources, &c.Resources))
	return c, err
}

func tokenToRow(t domain.Token) tokenRow {
	return tokenRow{
		Digest: t.Digest[:], Kind: string(t.Kind),
		GrantID: t.GrantID, ClientID: t.ClientID, Subject: t.Subject,
		Scopes: listToText(t.Scopes), Resources: listToText(t.Resources), Data: t.Data,
		ExpiresAt: micros(t.ExpiresAt), ConsumedAt: micros(t.ConsumedAt),
		ReplaySealed: t.Replay.Sealed, ReplayExpiresAt: micros(t.Replay.ExpiresAt), RevokedAt: micros(t.RevokedAt),
	}
}

func tokenOf(r tokenRow) (domain.Token, error) {
	t := domain.Token{
		Kind: domain.TokenKind(r.Kind), GrantID: r.GrantID, ClientID: r.ClientID, Subject: r.Subject, Data: r.Data,
		CreatedAt: timeOf(&r.CreatedAt), ExpiresAt: timeOf(r.ExpiresAt), ConsumedAt: timeOf(r.ConsumedAt),
		Replay:    domain.Replay{Sealed: r.ReplaySealed, ExpiresAt: timeOf(r.ReplayExpiresAt)},
		RevokedAt: timeOf(r.RevokedAt),
	}
	copy(t.Digest[:], r.Digest)
	err := errors.Join(listOf(r.Scopes, &t.Scopes), listOf(r.Resources, &t.Resources))
	return t, err
}

// micros returns t in microseconds since the Unix epoch, nil for the zero time.
func micros(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	us := t.UnixMicro()
	return &us
}

func timeOf(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return time.UnixMicro(*us).UTC()
}

// listToText returns list as JSON, nil for nil.
func listToText(list []string) *string {
	if list == nil {
		return nil
	}
	text, _ := json.Marshal(list) // strings in a slice always encode
	s := string(text)
	return &s
}

func listOf(text *string, list *[]string) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal([]byte(*text), list)
}

// secretText is a domain.Secret as JSON.
type secretText struct {
	Digest    []byte `json:"digest"`
	ExpiresAt *int64 `json:"expires_at,omitempty"`
}

func secretsToText(secrets []domain.Secret) *string {
	if secrets == nil {
		return nil
	}
	texts := make([]secretText, len(secrets))
	for i, s := range secrets {
		texts[i] = secretText{s.Digest[:], micros(s.ExpiresAt)}
	}
	text, _ := json.Marshal(texts) // bytes and integers always encode
	out := string(text)
	return &out
}

func secretsOf(text *string) ([]domain.Secret, error) {
	if text == nil {
		return nil, nil
	}
	var texts []secretText
	if err := json.Unmarshal([]byte(*text), &texts); err != nil {
		return nil, err
	}
	secrets := make([]domain.Secret, len(texts))
	for i, s := range texts {
		copy(secrets[i].Digest[:], s.Digest)
		secrets[i].ExpiresAt = timeOf(s.ExpiresAt)
	}
	return secrets, nil
}

// blob tells NULL (nil) from an empty value, which drivers confuse.
type blob []byte

// Value implements driver.Valuer.
func (b blob) Value() (driver.Value, error) {
	if b == nil {
		return nil, nil
	}
	return []byte(b), nil
}

// Scan implements sql.Scanner.
func (b *blob) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*b = nil
	case []byte:
		*b = append(blob{}, v...)
	case string:
		*b = blob(v)
	default:
		return fmt.Errorf("a blob column holds %T", v)
	}
	return nil
}
