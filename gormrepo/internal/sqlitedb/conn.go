package sqlitedb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
)

// pragma is a setting of a connection, and how SQLite reads it back.
type pragma struct{ name, value, readBack string }

// connector opens connections and settles each with PRAGMA statements, which mean the same to every
// driver, where their DSN grammars do not: each driver silently ignores the other's.
type connector struct {
	driver  driver.Driver
	path    string // for errors
	dsn     string
	pragmas []pragma
}

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return c.driver }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, explained(c.path, err)
	}
	for _, p := range c.pragmas {
		if err := apply(ctx, conn, p); err != nil {
			_ = conn.Close()
			return nil, explained(c.path, err)
		}
	}
	return conn, nil
}

// apply sets p and reads it back.
func apply(ctx context.Context, conn driver.Conn, p pragma) error {
	ctx = context.WithoutCancel(ctx)
	if _, err := queryOne(ctx, conn, "PRAGMA "+p.name+" = "+p.value); err != nil {
		return fmt.Errorf("setting %s: %w", p.name, err)
	}
	got, err := queryOne(ctx, conn, "PRAGMA "+p.name)
	if err != nil {
		return fmt.Errorf("reading %s back: %w", p.name, err)
	}
	if !strings.EqualFold(got, p.readBack) {
		return fmt.Errorf("the driver leaves %s at %q, not %q", p.name, got, p.readBack)
	}
	return nil
}

// queryOne returns the first column of the first row as text, empty if there is no row.
func queryOne(ctx context.Context, conn driver.Conn, query string) (string, error) {
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return "", errors.New("the driver has no QueryContext")
	}
	rows, err := queryer.QueryContext(ctx, query, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close() //nolint:errcheck // read whole, or failed already
	if len(rows.Columns()) == 0 {
		return "", nil
	}
	values := make([]driver.Value, len(rows.Columns()))
	switch err := rows.Next(values); {
	case errors.Is(err, io.EOF):
		return "", nil
	case err != nil:
		return "", err
	}
	if text, ok := values[0].([]byte); ok {
		return string(text), nil
	}
	return fmt.Sprint(values[0]), nil
}

// dsnOf returns path as a URI that opens an existing file only, whatever characters path has.
func dsnOf(path string) (string, error) {
	if path == Memory {
		return Memory, nil
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	escaped := (&url.URL{Path: filepath.ToSlash(absolute)}).EscapedPath()
	if !strings.HasPrefix(escaped, "/") {
		escaped = "/" + escaped
	}
	return "file://" + escaped + "?mode=rw", nil
}
