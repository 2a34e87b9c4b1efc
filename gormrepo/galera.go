package gormrepo

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"gorm.io/gorm"

	"github.com/oauthstore/oauthstore/repository"
)

// fitForCluster returns ErrInvalid if an application's handle is one to a Galera cluster, and its sessions are not set
// up for that:
//
// A read must wait for what other nodes have acknowledged.
//
// Statements must not be prepared by the server. While it closes a prepared one, which has no answer, another node's
// transaction may undo the one under way, and MariaDB 10.11 was seen to let what followed run on its own, without an
// error (MDEV-24255 is about the same).
func (s *Store) fitForCluster(ctx context.Context) error {
	if s.write.Name() != "mysql" {
		return nil
	}
	const causal = 7 // reads, updates and deletions, insertions
	var node, waits bool
	var before, after int
	err := s.again(ctx, func() error {
		return s.write.WithContext(ctx).Connection(func(db *gorm.DB) error {
			c := conn{db: db.Session(&gorm.Session{NewDB: true, Context: ctx})}
			if err := c.one([]any{&node}, "SELECT @@wsrep_on"); err != nil || !node {
				return err
			}
			var name string
			const prepared = "SHOW SESSION STATUS LIKE 'Com_stmt_prepare'"
			if err := c.one([]any{&name, &before}, prepared); err != nil {
				return err
			}
			if err := c.one([]any{&waits}, "SELECT @@wsrep_sync_wait & ? = ?", causal, causal); err != nil {
				return err
			}
			return c.one([]any{&name, &after}, prepared)
		})
	})
	switch {
	case mysqlNumber(err) == unknownVariable:
		return nil // this is no such cluster
	case err != nil:
		return err
	case node && (!waits || after > before):
		return fmt.Errorf("%w: on a Galera cluster, the DSN must set wsrep_sync_wait=%d and interpolateParams=true", repository.ErrInvalid, causal)
	}
	return nil
}

const unknownVariable = 1193

// unready reports whether a node of a Galera cluster has said that it takes no statements: it joins, or it is cut off.
func unready(err error) bool { return mysqlNumber(err) == 1047 }

// discard closes the connection of db instead of giving it back, so that the next call gets one to another node. That
// also ends a transaction whose COMMIT was refused.
func discard(db *gorm.DB) {
	if c, ok := db.Statement.ConnPool.(*sql.Conn); ok {
		_ = c.Raw(func(any) error { return driver.ErrBadConn })
	}
}
