package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// ClientMetadata is what a client says of itself: RFC 7591 §2, under the names given there. As JSON,
// a nil slice and an empty string are left out, and members without a field here are kept in Extra.
type ClientMetadata struct {
	RedirectURIs            []string        `json:"redirect_uris,omitzero"`
	TokenEndpointAuthMethod string          `json:"token_endpoint_auth_method,omitzero"`
	GrantTypes              []string        `json:"grant_types,omitzero"`
	ResponseTypes           []string        `json:"response_types,omitzero"`
	ClientName              string          `json:"client_name,omitzero"`
	ClientURI               string          `json:"client_uri,omitzero"`
	LogoURI                 string          `json:"logo_uri,omitzero"`
	Scope                   string          `json:"scope,omitzero"` // space-separated: see ParseScope
	Contacts                []string        `json:"contacts,omitzero"`
	TosURI                  string          `json:"tos_uri,omitzero"`
	PolicyURI               string          `json:"policy_uri,omitzero"`
	JWKSURI                 string          `json:"jwks_uri,omitzero"`
	JWKS                    json.RawMessage `json:"jwks,omitzero"`
	SoftwareID              string          `json:"software_id,omitzero"`
	SoftwareVersion         string          `json:"software_version,omitzero"`

	// Extra holds the other members, as compact JSON: client_name#ja, application_type, ...
	Extra map[string]json.RawMessage `json:"-"`
}

// members lists each field under its RFC 7591 name.
func (m *ClientMetadata) members() []member {
	return []member{
		{"redirect_uris", &m.RedirectURIs},
		{"token_endpoint_auth_method", &m.TokenEndpointAuthMethod},
		{"grant_types", &m.GrantTypes},
		{"response_types", &m.ResponseTypes},
		{"client_name", &m.ClientName},
		{"client_uri", &m.ClientURI},
		{"logo_uri", &m.LogoURI},
		{"scope", &m.Scope},
		{"contacts", &m.Contacts},
		{"tos_uri", &m.TosURI},
		{"policy_uri", &m.PolicyURI},
		{"jwks_uri", &m.JWKSURI},
		{"jwks", &m.JWKS},
		{"software_id", &m.SoftwareID},
		{"software_version", &m.SoftwareVersion},
	}
}

type member struct {
	name  string
	field any // *string, *[]string or *json.RawMessage
}

// MarshalJSON writes one object: the fields that are set, then Extra in the order of its names.
func (m ClientMetadata) MarshalJSON() ([]byte, error) {
	type fields ClientMetadata // without this method
	known, err := marshalPlain(fields(m))
	if err != nil || len(m.Extra) == 0 {
		return known, err
	}
	out := bytes.NewBuffer(known[:len(known)-1])
	for _, name := range slices.Sorted(maps.Keys(m.Extra)) {
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		key, err := marshalPlain(name)
		if err != nil {
			return nil, err
		}
		out.Write(key)
		out.WriteByte(':')
		if err := json.Compact(out, m.Extra[name]); err != nil {
			return nil, fmt.Errorf("domain: client metadata: member %q is not JSON: %w", name, err)
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// marshalPlain is json.Marshal without its escaping of <, > and &, which would change Extra.
func marshalPlain(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("domain: client metadata: %w", err)
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// UnmarshalJSON reads one object. Names are matched exactly; null counts as absent; a member of the
// wrong JSON type is an error that names it.
func (m *ClientMetadata) UnmarshalJSON(data []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("domain: client metadata is not a JSON object: %w", err)
	}
	var read ClientMetadata
	for _, known := range read.members() {
		raw, ok := all[known.name]
		delete(all, known.name)
		if !ok || string(raw) == "null" {
			continue
		}
		if text, ok := known.field.(*string); ok && isPlain(raw) {
			*text = string(raw[1 : len(raw)-1])
			continue
		}
		if err := json.Unmarshal(raw, known.field); err != nil {
			return fmt.Errorf("domain: client metadata: member %q: %w", known.name, err)
		}
	}
	read.Extra = all
	*m = read.Clone()
	return nil
}

// isPlain reports whether raw, which is JSON, is a string that means what it says: the common case, which needs no
// decoder of its own.
func isPlain(raw json.RawMessage) bool {
	return len(raw) >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw)
}

// Validate returns nil, or a *FieldError that names the first member that breaks a limit.
func (m ClientMetadata) Validate() error {
	for _, known := range m.members() {
		if err := checkMember(known); err != nil {
			return err
		}
	}
	for _, uri := range m.RedirectURIs {
		if err := checkRedirect("redirect_uris", uri); err != nil {
			return err
		}
	}
	if err := checkExtra(m.Extra, m.members()); err != nil {
		return err
	}
	text, err := m.MarshalJSON()
	if err != nil {
		return &FieldError{"Extra", "is not JSON"}
	}
	if !json.Valid(text) { // with what is around it
		return &FieldError{"Extra", "is nested too deep to be read again"}
	}
	if len(text) > MaxMetadata {
		return tooLong("", len(text), MaxMetadata)
	}
	return nil
}

func checkMember(m member) error {
	switch field := m.field.(type) {
	case *string:
		return checkText(m.name, *field, 0, MaxMetadata)
	case *[]string:
		return checkTexts(m.name, *field, MaxURI)
	case *json.RawMessage:
		return checkJSON(m.name, *field)
	}
	return nil
}

func checkExtra(extra map[string]json.RawMessage, known []member) error {
	for name, value := range extra {
		if err := checkText("Extra", name, 1, MaxMetadata); err != nil {
			return err
		}
		if slices.ContainsFunc(known, func(m member) bool { return m.name == name }) {
			return &FieldError{"Extra", "holds " + name + ", which has a field of its own"}
		}
		if len(value) == 0 {
			return &FieldError{"Extra", "holds a member without a value"}
		}
		if err := checkJSON("Extra", value); err != nil {
			return err
		}
	}
	return nil
}

func checkJSON(field string, value json.RawMessage) error {
	if value != nil && (!json.Valid(value) || !utf8.Valid(value)) {
		return &FieldError{field, "is not JSON in UTF-8"}
	}
	return nil
}

// Clone returns a deep copy as a store keeps it: JSON compact, an empty Extra and a JWKS of null nil.
func (m ClientMetadata) Clone() ClientMetadata {
	m.RedirectURIs = slices.Clone(m.RedirectURIs)
	m.GrantTypes = slices.Clone(m.GrantTypes)
	m.ResponseTypes = slices.Clone(m.ResponseTypes)
	m.Contacts = slices.Clone(m.Contacts)
	if m.JWKS = compact(m.JWKS); string(m.JWKS) == "null" {
		m.JWKS = nil // as an absent one reads
	}
	if len(m.Extra) == 0 {
		m.Extra = nil
		return m
	}
	extra := make(map[string]json.RawMessage, len(m.Extra))
	for name, value := range m.Extra {
		extra[name] = compact(value)
	}
	m.Extra = extra
	return m
}

// compact returns a copy of value without insignificant white space; what is not JSON is copied as it is.
func compact(value json.RawMessage) json.RawMessage {
	if value == nil {
		return nil
	}
	var out bytes.Buffer
	if err := json.Compact(&out, value); err != nil {
		return slices.Clone(value)
	}
	return out.Bytes()
}
