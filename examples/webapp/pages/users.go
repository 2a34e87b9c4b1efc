package pages

import (
	"bufio"
	_ "embed" // for the users for trying things out
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/oauthstore/oauthstore/domain"
)

// maxPassword is the longest that bcrypt takes, in bytes.
const maxPassword = 72

// Users are those who may sign in.
type Users struct {
	hashes    map[string][]byte
	operators map[string]bool
	nobody    []byte // a hash to compare with where there is no such user
}

// ReadUsers reads users, a line each: name:hash or name:hash:operator, with a bcrypt hash as htpasswd -B writes it.
// Empty lines and those that begin with # do not count. An error names the line and what is wrong with it, never
// the hash.
func ReadUsers(r io.Reader) (*Users, error) {
	u := &Users{hashes: make(map[string][]byte), operators: make(map[string]bool)}
	lines := bufio.NewScanner(r)
	number := 1
	for ; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := u.add(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("after line %d: %w", number-1, err)
	}
	if len(u.hashes) == 0 {
		return nil, errors.New("there is no user: a line is name:bcrypt hash")
	}
	return u, nil
}

func (u *Users) add(line string) error {
	name, rest, _ := strings.Cut(line, ":")
	hash, role, _ := strings.Cut(rest, ":")
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case name == "" || len(name) > domain.MaxSubject || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name is not 1 to %d bytes of UTF-8 without control characters", domain.MaxSubject)
	case u.hashes[name] != nil:
		return errors.New("the user is there twice: each name goes on one line")
	case err != nil || len(hash) != 60:
		return errors.New("after the name and a colon there is no bcrypt hash, as htpasswd -B writes it")
	case role != "" && role != "operator":
		return errors.New("after the hash and a colon there is something other than operator, the only role")
	}
	u.hashes[name] = []byte(hash)
	u.operators[name] = role != ""
	if known, _ := bcrypt.Cost(u.nobody); cost > known {
		u.nobody = []byte(hash)
	}
	return nil
}

//go:embed users.txt
var demoUsers string

// DemoPasswords says who DemoUsers are.
const DemoPasswords = "alice with the password in-wonderland, or as olga, an operator, with keeps-the-lights-on."

// DemoUsers are for trying things out: their passwords are in the source.
func DemoUsers() *Users {
	u, err := ReadUsers(strings.NewReader(demoUsers))
	if err != nil {
		panic(err) // the file is part of the program
	}
	return u
}

// Check reports whether there is such a user with that password. An unknown name takes as long as a wrong password.
func (u *Users) Check(name, password string) bool {
	hash, known := u.hashes[name]
	if !known {
		hash = u.nobody
	}
	tooLong := len(password) > maxPassword
	if tooLong {
		password = ""
	}
	fits := bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil
	return known && fits && !tooLong
}

func (u *Users) known(name string) bool { return u.hashes[name] != nil }

// IsOperator reports whether the user may see the operator's page.
func (u *Users) IsOperator(name string) bool { return u.operators[name] }
