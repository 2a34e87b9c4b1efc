// Package pages is what people see of the example: sign in, consent, connected apps, and the operator's page. They are
// rendered on the server, from templates and one style sheet, and work without a script.
//
// A session is a token like any other, in the same store, of a client that is the site itself: so it survives a
// restart, every process knows it, and signing out is a revocation.
package pages
