package config

import (
	"path/filepath"
	"runtime"
	"strings"
)

// sqlitePath returns the database file, or "" if neither the variables nor a home directory name one.
func (v variables) sqlitePath(environment map[string]string) string {
	home := homeDir(environment)
	if v.SQLitePath != "" {
		return expanded(v.SQLitePath, home)
	}
	base := expanded(v.BaseDir, home)
	if base == "" {
		base = dataDir(environment, home)
	}
	if base == "" {
		return ""
	}
	return filepath.Join(base, "oauth.db")
}

// expanded replaces a leading ~/, which no shell has expanded in .env.
func expanded(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return path
}

func homeDir(environment map[string]string) string {
	if runtime.GOOS == "windows" {
		return environment["USERPROFILE"]
	}
	return environment["HOME"]
}

// dataDir returns this module's folder in the user's data directory, or "" if there is none.
func dataDir(environment map[string]string, home string) string {
	const name = "oauthstore"
	switch {
	case runtime.GOOS == "windows" && environment["LOCALAPPDATA"] != "":
		return filepath.Join(environment["LOCALAPPDATA"], name)
	case filepath.IsAbs(environment["XDG_DATA_HOME"]):
		return filepath.Join(environment["XDG_DATA_HOME"], name)
	case home == "" || runtime.GOOS == "windows":
		return ""
	case runtime.GOOS == "darwin":
		return filepath.Join(home, "Library", "Application Support", name)
	default:
		return filepath.Join(home, ".local", "share", name)
	}
}
