package mysql

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore/gormrepo/internal/serverdb"
	"github.com/oauthstore/oauthstore/repository"
)

func TestBothFormsOfAnAddressAreReadAlike(t *testing.T) {
	for address, dsn := range map[string]string{
		"mysql://ada@127.0.0.1/db":                        "ada@tcp(127.0.0.1:3306)/db",
		"mysql://ada@127.0.0.1:/db":                       "ada@tcp(127.0.0.1)/db",
		"mysql://127.0.0.1/db":                            "tcp(127.0.0.1:3306)/db",
		"mysql://ada:a%2Fb%40c%3F@127.0.0.1:3307/db":      "ada:a/b@c?@tcp(127.0.0.1:3307)/db",
		"mysql://ada@[::1]/db":                            "ada@tcp([::1]:3306)/db",
		"mysql://ada@127.0.0.1/a%2Fb%3Fc%2525":            "ada@tcp(127.0.0.1)/a%2Fb%3Fc%2525",
		"mysql://ada@127.0.0.1/a/b":                       "ada@tcp(127.0.0.1)/a%2Fb",
		"mysql://ada@127.0.0.1/db?loc=Europe/Berlin":      "ada@tcp(127.0.0.1)/db?loc=Europe%2FBerlin",
		"mysql://ada@127.0.0.1/db?loc=Europe%2FBerlin":    "ada@tcp(127.0.0.1)/db?loc=Europe%2FBerlin",
		"mysql://ada@127.0.0.1/db?x=%27a/b%27&y=@c(d)/?e": "ada@tcp(127.0.0.1)/db?x=%27a%2Fb%27&y=@c(d)%2F?e",
		"mysql://ada@127.0.0.1/db?charset=utf8mb4":        "ada@tcp(127.0.0.1)/db?charset=utf8mb4",
		"mysql://ada@localhost/db?socket=/run/my.sock":    "ada@unix(/run/my.sock)/db",
		"mysql://ada@x/db?socket=%2Frun%2Fm%3F&tls=false": "ada@unix(/run/m?)/db?tls=false",
	} {
		ofURL, errURL := parse(address)
		ofDSN, errDSN := parse(dsn)
		if errURL != nil || errDSN != nil || !reflect.DeepEqual(ofURL, ofDSN) {
			t.Errorf("%s: %+v, %v\n%s: %+v, %v", address, ofURL, errURL, dsn, ofDSN, errDSN)
		}
	}
}

func TestACertificateIsThatOfTheHost(t *testing.T) {
	for address, want := range map[string]string{
		"mysql://ada@db.example.com/db?tls=true":           "db.example.com",
		"mysql://ada@db.example.com:3307/db?tls=true":      "db.example.com",
		"mysql://ada@[2001:db8::1]/db?tls=true":            "2001:db8::1",
		"mysql://ada@[2001:db8::1]:3307/db?tls=true":       "2001:db8::1",
		"ada@tcp(db.example.com)/db?tls=true":              "db.example.com",
		"ada@tcp(db.example.com:3307)/db?tls=true":         "db.example.com",
		"ada@tcp([2001:db8::1]:3307)/db?tls=true":          "2001:db8::1",
		"mysql://ada@db.example.com/db?x=/127.0.0.1&tls=1": "db.example.com",
	} {
		config, err := parse(address)
		if err != nil || config.TLS == nil || config.TLS.ServerName != want || config.TLS.InsecureSkipVerify {
			t.Errorf("%s: %+v, %v", address, config, err)
		}
	}
}

func TestAnAddressThatTheDriverWouldMisreadIsRefused(t *testing.T) {
	for name, address := range map[string]string{
		"strict":                   "mysql://ada@127.0.0.1:1/db?strict=true",
		"strict, native":           "ada@tcp(127.0.0.1:1)/db?strict=true",
		"strict, last":             "mysql://ada@127.0.0.1:1/db?parseTime=true&strict=",
		"socket in a URL":          "mysql://ada@unix(/run/mysqld/mysqld.sock)/db",
		"network in a URL":         "mysql://ada@tcp(127.0.0.1)/db",
		"parenthesis":              "mysql://ada@127.0.0.1)/db",
		"no slash":                 "ada@tcp(127.0.0.1:1)",
		"a slash in a native loc":  "ada@tcp(127.0.0.1:1)/db?loc=Europe/Berlin",
		"password of its own name": "mysql://ada@127.0.0.1:1/db?password=x",
	} {
		if _, err := Open(t.Context(), address, nil); !errors.Is(err, serverdb.ErrURL) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	config, err := parse("ada@unix(/run/mysqld/mysqld.sock)/db")
	if err != nil || config.Net != "unix" || config.Addr != "/run/mysqld/mysqld.sock" {
		t.Errorf("a socket in the native form: %+v, %v", config, err)
	}
}

func TestAnAddressNamesADatabase(t *testing.T) {
	for _, address := range []string{
		"mysql://ada@127.0.0.1:1", "mysql://ada@127.0.0.1:1/", "mysql://ada@127.0.0.1:1/?parseTime=true", "mysql://ada@127.0.0.1:1?parseTime=true",
		"ada@tcp(127.0.0.1:1)/", "ada@tcp(127.0.0.1:1)/?parseTime=true", "ada@unix(/run/mysqld/mysqld.sock)/", "",
	} {
		_, err := Open(t.Context(), address, nil)
		if !errors.Is(err, errNoDatabase) || !errors.Is(err, repository.ErrInvalid) {
			t.Errorf("%q: got %v", address, err)
		}
	}
}

// TestACharsetIsUTF8MB4 also opens what is accepted, at a port where nothing listens.
func TestACharsetIsUTF8MB4(t *testing.T) {
	for parameters, refused := range map[string]bool{
		"":                      false,
		"charset=utf8mb4":       false,
		"charset=UTF8MB4":       false,
		"collation=utf8mb4_bin": false,
		"collation=":            false,
		"charset=utf8mb4&collation=utf8mb4_unicode_ci": false,
		"character_set_results=utf8mb4":                false,

		"charset=gbk":                       true,
		"charset=utf8":                      true,
		"charset=":                          true,
		"charset=utf8mb4,utf8":              true,
		"charset=utf8mb4%2Cgbk":             true,
		"charset=gbk&charset=utf8mb4":       true,
		"charset=utf8mb4&charset=gbk":       true,
		"collation=gbk_chinese_ci":          true,
		"collation=utf8_general_ci":         true,
		"collation=binary":                  true,
		"character_set_client=gbk":          true,
		"session Character_Set_Client=gbk":  true,
		"collation_connection=gbk_bin":      true,
		"charset=utf8mb4&collation=gbk_bin": true,
	} {
		for _, address := range []string{"mysql://ada@127.0.0.1:1/db?", "ada@tcp(127.0.0.1:1)/db?"} {
			_, err := Open(t.Context(), address+parameters, nil)
			if errors.Is(err, errCharset) != refused || errors.Is(err, repository.ErrInvalid) != refused || err == nil {
				t.Errorf("%s: got %v", address+parameters, err)
			}
		}
	}
}

func TestAnErrorSaysWhatIsWrongWithTheAddress(t *testing.T) {
	const form, native = "scheme://user:password@host:port/database", "user:password@tcp(host:port)/database"
	for address, reason := range map[string]string{
		"mysql://ada:a/b@127.0.0.1/db":                            form,
		"mysql://ada:a%zz@127.0.0.1/db":                           form,
		"mysql://ada@127.0.0.1:port/db":                           form,
		"mysql://ada@127.0.0.1/db?tls=nonsense":                   "parameter tls ",
		"mysql://ada@127.0.0.1/db?parseTime=true&timeout=2&tls=1": "parameter timeout ",
		"mysql://ada@127.0.0.1/db?strict=true":                    "strict is no parameter",
		"mysql://ada@127.0.0.1/db?charset=gbk":                    "charset must be utf8mb4",
		"mysql://ada@127.0.0.1/db?socket=my.sock":                 "parameter socket ",
		"mysql://ada@127.0.0.1/db?ssl-ca=":                        "parameter ssl-ca ",
		"mysql://ada@127.0.0.1/db?ssl-ca=/no/such/file":           "ssl-ca: open /no/such/file",
		"mysql://ada@127.0.0.1/db?ssl-ca=/dev/null":               "/dev/null has no certificate",
		"mysql://ada@127.0.0.1/db?ssl-ca=/x&tls=skip-verify":      "not with tls=skip-verify",
		"ada@127.0.0.1:3306/db":                                   native,
	} {
		if _, err := Open(t.Context(), address, nil); !errors.Is(err, repository.ErrInvalid) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v", address, err)
		}
	}
}
