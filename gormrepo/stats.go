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
			{&stats.Grants, q.grants, sqlLiveGrant},
			{&stats.AuthorizationCodes, q.codes, sqlLive},
			{&stats.AccessTokens, q.ofKind(domain.AccessToken), sqlLive},
			{&stats.RefreshTokens, q.ofKind(domain.RefreshToken), sqlLive},
		}
		for _, k := range kinds {
			var count countRow // by Scan: Row panics after an error of a callback
			err := k.rows().Select("COUNT(*) AS total, COUNT(CASE WHEN "+k.live+" THEN 1 END) AS live", q.now.UnixMicro()).
				Scan(&count).Error
			if err != nil {
				return err
			}
			*k.of = repository.Count(count)
		}
		return nil
	})
	return stats, err
}

func (q *session) ofKind(kind domain.TokenKind) func() *gorm.DB {
	return func() *gorm.DB { return q.tokens().Where("kind = ?", string(kind)) }
}

// countRow is a repository.Count. Its columns have these names whatever the NamingStrategy of the
// handle.
type countRow struct {
	Total int64 `gorm:"column:total"`
	Live  int64 `gorm:"column:live"`
}
