package flow

import (
	"context"
	"slices"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// Authorize stores grant and its first code, both or neither. GrantID, ClientID and Subject of the code
// may be left empty: they are the grant's. A code with more scopes or resources than the grant is
// repository.ErrInvalid; otherwise the errors are those of Grants.Create and AuthorizationCodes.Create. After
// ErrUnknownOutcome, a new grant and code are safe: nobody has seen these.
func (f *Flow) Authorize(ctx context.Context, grant domain.Grant, code domain.AuthorizationCode) error {
	adopt(grant, &code.GrantID, &code.ClientID, &code.Subject)
	if err := withinGrant(grant, code.Scopes, code.Resources); err != nil {
		return failed("authorize", err)
	}
	return failed("authorize", f.store.InTx(ctx, func(tx repository.Repositories) error {
		if err := tx.Grants().Create(ctx, grant); err != nil {
			return err
		}
		return tx.AuthorizationCodes().Create(ctx, code)
	}))
}

// adopt fills in what an entity under grant left empty.
func adopt(grant domain.Grant, grantID, clientID, subject *string) {
	if *grantID == "" {
		*grantID = grant.ID
	}
	if *clientID == "" {
		*clientID = grant.ClientID
	}
	if *subject == "" {
		*subject = grant.Subject
	}
}

// withinGrant returns ErrInvalid for what was not approved.
func withinGrant(grant domain.Grant, scopes, resources []string) error {
	if !domain.ContainsAll(grant.Scopes, scopes) {
		return invalid("scopes exceed the grant's")
	}
	for _, wanted := range resources {
		if !slices.ContainsFunc(grant.Resources, func(r string) bool { return domain.SameResource(r, wanted) }) {
			return invalid("resources exceed the grant's")
		}
	}
	return nil
}
