// Package authserver is an OAuth 2.1 authorization server for MCP clients, on a repository.Store.
//
// It has the endpoints that the MCP authorization specification asks of one: metadata (RFC 8414), dynamic client
// registration (RFC 7591), client ID metadata documents, authorization with PKCE (RFC 7636), resource indicators
// (RFC 8707) and iss (RFC 9207), token, revocation (RFC 7009) and introspection (RFC 7662). Every step that must be
// atomic is one of repository/flow, so any number of processes may serve one store. Nothing is kept in memory
// between two requests.
//
// Who the user is, and how one is asked, is another's part: see Pages.
package authserver
