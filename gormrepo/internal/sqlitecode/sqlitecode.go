// Package sqlitecode reads the result codes of SQLite (sqlite.org/rescode.html) in the errors of
// its drivers, whose texts differ.
package sqlitecode

import (
	"errors"
	"reflect"
)

// Of returns the extended result code of a SQLite driver's error, 0 for any other error.
// github.com/glebarez/go-sqlite and modernc.org/sqlite have a method, github.com/mattn/go-sqlite3
// has a field; this package links neither.
func Of(err error) int {
	for ; err != nil; err = errors.Unwrap(err) {
		if coded, ok := err.(interface{ Code() int }); ok {
			return coded.Code()
		}
		v := reflect.ValueOf(err)
		if v.Kind() != reflect.Struct {
			continue
		}
		code, extended := v.FieldByName("Code"), v.FieldByName("ExtendedCode")
		if code.IsValid() && extended.IsValid() && code.CanInt() && extended.CanInt() {
			return int(max(code.Int(), extended.Int()))
		}
	}
	return 0
}
