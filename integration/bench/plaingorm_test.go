package main_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/oauthstore/oauthstore/domain"
)

// The models of plainGORM: GORM as its documentation shows it, on a schema that AutoMigrate makes.
type (
	gormClient struct {
		ID       string `gorm:"primaryKey"`
		Kind     string
		Metadata domain.ClientMetadata `gorm:"serializer:json"`
	}
	gormGrant struct {
		ID         string `gorm:"primaryKey"`
		ClientID   string `gorm:"index"`
		Subject    string `gorm:"index"`
		LastUsedAt *time.Time
		ExpiresAt  *time.Time
		RevokedAt  *time.Time
	}
	gormCode struct {
		Digest              []byte `gorm:"primaryKey"`
		GrantID             string `gorm:"index"`
		ClientID, Subject   string
		RedirectURI         string
		Scopes, Resources   []string `gorm:"serializer:json"`
		CodeChallenge       string
		CodeChallengeMethod string
		CreatedAt           time.Time
		ExpiresAt           time.Time `gorm:"index"`
		ConsumedAt          *time.Time
		RevokedAt           *time.Time
	}
	gormToken struct {
		Digest            []byte `gorm:"primaryKey"`
		Kind              string
		GrantID           string `gorm:"index"`
		ClientID, Subject string
		Scopes, Resources []string `gorm:"serializer:json"`
		CreatedAt         time.Time
		ExpiresAt         time.Time `gorm:"index"`
		ConsumedAt        *time.Time
		RevokedAt         *time.Time
	}
)

func plainGORM(b *testing.B, dir string) (subject, error) {
	dsn := filepath.Join(dir, "plain.db") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	db, err := gorm.Open(sqlite.Open(dsn), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return subject{}, err
	}
	pool, err := db.DB()
	if err != nil {
		return subject{}, err
	}
	pool.SetMaxOpenConns(1) // more of them fail with SQLITE_BUSY_SNAPSHOT
	if err := db.AutoMigrate(&gormClient{}, &gormGrant{}, &gormCode{}, &gormToken{}); err != nil {
		return subject{}, err
	}
	db = db.WithContext(b.Context())
	return subject{
		fill:      func(n int) error { return fillGORM(db, n) },
		getClient: func(int) error { return db.First(&gormClient{}, "id = ?", client.ID).Error },
		getToken:  func(i int) error { return db.First(&gormToken{}, "digest = ?", digest(access(i))).Error },
		createToken: func(i int) error {
			return db.Transaction(func(tx *gorm.DB) error { return issueGORM(tx, created(i)) })
		},
		consumeCode: func(i int) error {
			return db.Transaction(func(tx *gorm.DB) error {
				d, now := code(i).Digest, time.Now()
				done := tx.Model(&gormCode{}).Where("digest = ? AND consumed_at IS NULL AND revoked_at IS NULL AND expires_at > ?", d[:], now).
					Update("consumed_at", now)
				if done.Error != nil || done.RowsAffected != 1 {
					return errors.Join(done.Error, errors.New("not consumed"))
				}
				return tx.First(&gormCode{}, "digest = ?", d[:]).Error
			})
		},
		rotate: func(i int) error {
			return db.Transaction(func(tx *gorm.DB) error {
				now := time.Now()
				done := tx.Model(&gormToken{}).Where("digest = ? AND consumed_at IS NULL AND revoked_at IS NULL AND expires_at > ?", digest(refresh(i)), now).
					Update("consumed_at", now)
				if done.Error != nil || done.RowsAffected != 1 {
					return errors.Join(done.Error, errors.New("not rotated"))
				}
				return issueGORM(tx, next(i))
			})
		},
		close: pool.Close,
	}, nil
}

func issueGORM(tx *gorm.DB, t domain.Token) error {
	now := time.Now()
	used := tx.Model(&gormGrant{}).Where("id = ? AND revoked_at IS NULL", t.GrantID).Update("last_used_at", now)
	if used.Error != nil || used.RowsAffected != 1 {
		return errors.Join(used.Error, errors.New("the grant has ended"))
	}
	return tx.Create(tokenGORM(t)).Error
}

func tokenGORM(t domain.Token) *gormToken {
	return &gormToken{
		Digest: t.Digest[:], Kind: string(t.Kind), GrantID: t.GrantID, ClientID: t.ClientID, Subject: t.Subject,
		Scopes: t.Scopes, Resources: t.Resources, ExpiresAt: t.ExpiresAt,
	}
}

func fillGORM(db *gorm.DB, n int) error {
	return db.Transaction(func(tx *gorm.DB) error {
		err := tx.Create(&gormClient{ID: client.ID, Kind: string(client.Kind), Metadata: client.Metadata}).Error
		for i := 0; i < grantsInStock && err == nil; i++ {
			g := grant(i)
			err = tx.Create(&gormGrant{ID: g.ID, ClientID: g.ClientID, Subject: g.Subject}).Error
		}
		for i := 0; i < n && err == nil; i++ {
			c := code(i)
			err = errors.Join(
				tx.Create(&gormCode{
					Digest: c.Digest[:], GrantID: c.GrantID, ClientID: c.ClientID, Subject: c.Subject, RedirectURI: c.RedirectURI,
					Scopes: c.Scopes, Resources: c.Resources, CodeChallenge: c.CodeChallenge,
					CodeChallengeMethod: c.CodeChallengeMethod, ExpiresAt: c.ExpiresAt,
				}).Error,
				tx.Create(tokenGORM(access(i))).Error,
				tx.Create(tokenGORM(refresh(i))).Error,
			)
		}
		return err
	})
}
