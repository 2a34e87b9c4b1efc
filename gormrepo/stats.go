package gormrepo

import (
	"context"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// Stats counts what is stored. It reads whole tables: ask now and then, not with each request.
func (s *Store) Stats(ctx context.Context) (repository.Stats, error) {
	var stats repository.Stats
	err := s.reading(ctx, func(c conn) error {
		if err := c.clients().Count(&stats.Clients).Error; err != nil {
			return err
		}
		kinds := []struct {
			of   *repository.Count
			rows func() *gorm.DB
			live string
		}{
			{&stats.Grants, c.grants, liveGrant},
			{&stats.AuthorizationCodes, c.codes, liveCode},
			{&stats.AccessTokens, c.ofKind(domain.AccessToken), liveToken},
			{&stats.RefreshTokens, c.ofKind(domain.RefreshToken), liveToken},
		}
		for _, k := range kinds {
			var count countRow
			err := k.rows().Select("COUNT(*) AS total, COUNT(CASE WHEN "+k.live+" THEN 1 END) AS live", c.now.UnixMicro()).
				Scan(&count).Error
			if err != nil {
				return err
			}
			*k.of = repository.Count(count)
		}
		return nil
	})
	return stats, s.wrap("stats", err)
}

func (c conn) ofKind(kind domain.TokenKind) func() *gorm.DB {
	return func() *gorm.DB { return c.tokens().Where("kind = ?", string(kind)) }
}
