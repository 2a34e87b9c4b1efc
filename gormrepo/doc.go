// Package gormrepo is a repository.Store over GORM. It links no database driver: take a Store from one
// of the packages below it (sqlite, sqlitecgo, postgres, mysql), which set a database up well, or give New a *gorm.DB
// that the application has already.
//
// One-time consumption is a conditional update whose RowsAffected decides; the reason is read only
// when nothing was affected. Digests are stored as 32 bytes, times as microseconds since the Unix
// epoch, lists and metadata as JSON.
package gormrepo
