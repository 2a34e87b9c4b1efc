// Package gormrepo is a repository.Store over GORM. It links no database driver: take a Store from
// one of the packages below it (sqlite, sqlitecgo, postgres, mysql), which set a database up well,
// or give New a *gorm.DB that the application has already.
//
// A code or a refresh token is consumed by a conditional Updates whose RowsAffected decides who has
// won; the reason is read only when no row was affected. Whatever adds a code or a token to a grant
// first updates the row of that grant, on the condition that it is live. Digests are stored as 32
// bytes, times as microseconds since the Unix epoch, lists and metadata as JSON.
//
// The files clients.go, grants.go, codes.go and tokens.go have the verbs of the contract. What
// every request runs is written as GORM chains in statements.go; their texts are made once per
// Store, and stand in testdata. What is special about a database stands in sqlite.go, postgres.go
// or mysql.go, behind the interface of database.go; no other file asks which database it is.
package gormrepo
