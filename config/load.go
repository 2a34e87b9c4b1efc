package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v10"
)

// variables are the environment variables, each with the type that it is written in. The fields of
// Config that are made of one have its name.
type variables struct {
	Backend              string `env:"MCP_OAUTH_STORAGE_BACKEND" envDefault:"memory"`
	BaseDir              string `env:"MCP_BASE_DIR"`
	SQLitePath           string `env:"MCP_OAUTH_SQLITE_PATH"`
	SQLiteSynchronous    string `env:"MCP_OAUTH_SQLITE_SYNCHRONOUS" envDefault:"FULL"`
	SQLiteAllowNetwork   bool   `env:"MCP_OAUTH_SQLITE_ALLOW_NETWORK" envDefault:"false"`
	DatabaseURL          string `env:"MCP_OAUTH_DATABASE_URL"`
	AuthorizationCodeTTL int16  `env:"MCP_OAUTH_AUTHORIZATION_CODE_EXPIRE_MINUTES" envDefault:"10"`
	AccessTokenTTL       int16  `env:"MCP_OAUTH_ACCESS_TOKEN_EXPIRE_MINUTES" envDefault:"60"`
	RefreshTokenTTL      int16  `env:"MCP_OAUTH_REFRESH_TOKEN_EXPIRE_DAYS" envDefault:"30"`
	RefreshGrace         period `env:"MCP_OAUTH_REFRESH_GRACE" envDefault:"2m"`
	CleanupInterval      period `env:"MCP_OAUTH_CLEANUP_INTERVAL" envDefault:"5m"`
}

// Load returns the Config that the environment and .env describe. An error holds a *ValueError for each
// variable that is wrong, or says what is wrong with .env; the Config is then zero.
func Load() (Config, error) { return LoadWith(Memory) }

// LoadWith is Load for a program that keeps its entities in another backend than memory unless the environment or
// .env names one.
func LoadWith(backend Backend) (Config, error) {
	file, err := readDotenv(".env")
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	environment := merged(file, os.Environ())
	if _, named := environment[backendVariable]; !named {
		environment[backendVariable] = string(backend)
	}
	return load(environment)
}

const backendVariable = "MCP_OAUTH_STORAGE_BACKEND"

// merged returns the variables of file under those of environ. An empty variable is none.
func merged(file map[string]string, environ []string) map[string]string {
	all := make(map[string]string, len(file)+len(environ))
	for name, value := range file {
		if value = strings.TrimSpace(value); value != "" {
			all[name] = value
		}
	}
	for name, value := range env.ToMap(environ) {
		if value = strings.TrimSpace(value); value != "" {
			all[name] = value
		}
	}
	return all
}

func load(environment map[string]string) (Config, error) {
	var v variables
	unreadable, err := parse(&v, environment)
	if err != nil {
		return Config{}, err
	}
	c := v.config(environment)
	var errs []error
	for _, s := range settings {
		if unreadable[s.field] || s.wrong(c) {
			errs = append(errs, &ValueError{Name: s.variable, Value: shownOf(s, c, environment), Allowed: s.allowed})
		}
	}
	if len(errs) > 0 {
		return Config{}, refused(errs)
	}
	return c, nil
}

// parse fills v and returns the names of the fields whose variables are of another type.
func parse(v *variables, environment map[string]string) (unreadable map[string]bool, err error) {
	err = env.ParseWithOptions(v, env.Options{Environment: environment})
	if err == nil {
		return nil, nil
	}
	all, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return nil, fmt.Errorf("config: %w", err)
	}
	unreadable = make(map[string]bool)
	for _, one := range all.Errors {
		field, ok := errors.AsType[env.ParseError](one)
		if !ok {
			return nil, fmt.Errorf("config: %w", one)
		}
		unreadable[field.Name] = true
	}
	return unreadable, nil
}

func (v variables) config(environment map[string]string) Config {
	return Config{
		Backend:              Backend(strings.ToLower(v.Backend)),
		SQLitePath:           v.sqlitePath(environment),
		SQLiteSynchronous:    strings.ToUpper(v.SQLiteSynchronous),
		SQLiteAllowNetwork:   v.SQLiteAllowNetwork,
		DatabaseURL:          DatabaseURL(v.DatabaseURL),
		AuthorizationCodeTTL: time.Duration(v.AuthorizationCodeTTL) * time.Minute,
		AccessTokenTTL:       time.Duration(v.AccessTokenTTL) * time.Minute,
		RefreshTokenTTL:      time.Duration(v.RefreshTokenTTL) * day,
		RefreshGrace:         time.Duration(v.RefreshGrace),
		CleanupInterval:      time.Duration(v.CleanupInterval),
	}
}

// period is a duration in a variable, where 0 is off, as it is in a Config, where a negative one is.
type period time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *period) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return err
	case d < 0:
		return errors.New("is negative")
	case d == 0:
		d = -1
	}
	*p = period(d)
	return nil
}

// shownOf returns the value of a variable as it was written, but for the URL, which has a password.
func shownOf(s setting, c Config, environment map[string]string) string {
	if s.field == "DatabaseURL" {
		return s.value(c)
	}
	return shown(environment[s.variable])
}
