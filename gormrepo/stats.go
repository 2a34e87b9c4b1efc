package gormrepo

import (
	"context"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/domain"
	"github.com/oauthstore/oauthstore/repository"
)

// Stats counts what is stored. It reads whole tables: ask now and then, not with each request.
func (s *Store) Stats(ctx context.Context) (stats repository.Stats, err error) {
	defer s.wrap("stats", &err)
	err = s.read(ctx, func(q *session) error {
		if err := q.clients().Count(&stats.Clients).Error; err != nil {
			return err
		}
		kinds := []struct {
			of   *repository.Count
			rows func() *gorm.DB
			live string
		}{
			{&stats.Grants, q.grants, liveGrant},
			{&stats.AuthorizationCodes, q.codes, live},
			{&stats.AccessTokens, q.ofKind(domain.AccessToken), live},
			{&stats.RefreshTokens, q.ofKind(domain.RefreshToken), live},
		}
		for _, k := range kinds {
			counts := k.rows().Select("COUNT(*), COUNT(CASE WHEN "+k.live+" THEN 1 END)", q.now.UnixMicro())
			if err := counts.Row().Scan(&k.of.Total, &k.of.Live); err != nil {
				return err
			}
		}
		return nil
	})
	return stats, err
}

func (q *session) ofKind(kind domain.TokenKind) func() *gorm.DB {
	return func() *gorm.DB { return q.tokens().Where("kind = ?", string(kind)) }
}
