package mysql

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/oauthstore/oauthstore/gormrepo/internal/serverdb"
	"github.com/oauthstore/oauthstore/repository"
)

var (
	errNoDatabase = fmt.Errorf("%w: the address names no database", repository.ErrInvalid)
	errDSN        = fmt.Errorf("%w: without mysql:// it must be user:password@tcp(host:port)/database?parameter=value", serverdb.ErrURL)
	errCharset    = fmt.Errorf("%w: charset must be utf8mb4, and collation one of utf8mb4", repository.ErrInvalid)
)

// parameters are those of the driver, and have values that it may refuse.
var parameters = []string{
	"tls", "timeout", "readTimeout", "writeTimeout", "loc", "maxAllowedPacket", "parseTime", "allowAllFiles", "allowCleartextPasswords",
	"allowFallbackToPlaintext", "allowNativePasswords", "allowOldPasswords", "checkConnLiveness", "clientFoundRows", "columnsWithAlias",
	"compress", "interpolateParams", "multiStatements", "rejectReadOnly", "serverPubKey", "connectionAttributes", "timeTruncate",
}

// parse reads both forms of an address. An error does not repeat it.
func parse(address string) (*mysql.Config, error) {
	if !strings.HasPrefix(address, "mysql://") {
		return parseDSN(address)
	}
	return serverdb.ReadURL(address, parameters, parseURL)
}

func parseURL(address string) (*mysql.Config, error) {
	u, err := url.Parse(address)
	if err != nil || strings.ContainsAny(u.Host, "()") {
		return nil, serverdb.ErrURL
	}
	host := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "3306"))
	database := url.PathEscape(strings.TrimPrefix(u.Path, "/"))
	own, query, err := cutParameters(u.RawQuery, "socket", "ssl-ca")
	if err != nil {
		return nil, err
	}
	query = strings.ReplaceAll(query, "/", "%2F") // the database of a DSN begins after its last slash
	config, err := readDSN(fmt.Sprintf("tcp(%s)/%s?%s", host, database, query))
	if err != nil {
		return nil, err
	}
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	if path := own["socket"]; path != "" {
		config.Net, config.Addr = "unix", path
	}
	if file := own["ssl-ca"]; file != "" {
		err = trust(config, file, u.Hostname())
	}
	return config, err
}

// cutParameters takes the named parameters, those of the mysql client that the driver does not have,
// out of a query.
func cutParameters(query string, names ...string) (values map[string]string, rest string, err error) {
	values = make(map[string]string)
	var others []string
	for parameter := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		if !slices.Contains(names, name) {
			others = append(others, parameter)
			continue
		}
		path, err := url.QueryUnescape(value)
		if err != nil || !filepath.IsAbs(path) {
			return nil, "", fmt.Errorf("%w: its parameter %s is not an absolute path", serverdb.ErrURL, name)
		}
		values[name] = path
	}
	return values, strings.Join(others, "&"), nil
}

// trust lets config accept only a certificate that one in the file has signed, for the host.
func trust(config *mysql.Config, file, host string) error {
	if config.TLSConfig != "" && config.TLSConfig != "true" {
		return fmt.Errorf("%w: ssl-ca goes with tls=true or no tls, not with tls=%s", serverdb.ErrURL, config.TLSConfig)
	}
	text, err := os.ReadFile(file) //nolint:gosec // the address names it
	if err != nil {
		return fmt.Errorf("%w: ssl-ca: %w", serverdb.ErrURL, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("%w: ssl-ca: %s has no certificate in PEM", serverdb.ErrURL, file)
	}
	config.TLS = &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
	return nil
}

// parseDSN reads the form of the driver.
func parseDSN(dsn string) (*mysql.Config, error) {
	config, err := readDSN(dsn)
	if err == serverdb.ErrURL { //nolint:errorlint // one that says why is left as it is
		err = errDSN
	}
	return config, err
}

func readDSN(dsn string) (*mysql.Config, error) {
	_, query, _ := strings.Cut(dsn[strings.LastIndex(dsn, "/")+1:], "?")
	if err := checkParameters(query); err != nil {
		return nil, err
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil || strings.Contains(config.Net, ":") { // without an @, a password ends up in the network
		return nil, serverdb.ErrURL
	}
	if config.DBName == "" {
		return nil, errNoDatabase
	}
	return config, nil
}

// checkParameters refuses charsets other than utf8mb4: in some of them a quote within a value ends it, where values are
// interpolated, and others have not all characters.
func checkParameters(query string) error {
	for parameter := range strings.SplitSeq(query, "&") {
		name, value, found := strings.Cut(parameter, "=")
		if !found {
			continue
		}
		switch name = strings.ToLower(name); {
		case name == "strict", // the driver panics
			name == "password", name == "passwd", name == "pwd": // would be part of a statement, and of its error
			return fmt.Errorf("%w: %s is no parameter", serverdb.ErrURL, name)
		case name == "charset", strings.Contains(name, "character_set_"):
			if !strings.EqualFold(value, "utf8mb4") {
				return errCharset
			}
		case name == "collation", strings.Contains(name, "collation_"):
			if value != "" && !strings.HasPrefix(value, "utf8mb4_") {
				return errCharset
			}
		}
	}
	return nil
}
