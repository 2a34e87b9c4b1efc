package main

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/oauthstore/oauthstore/config"
)

// search looks for every raw value in the files of the database. The store is closed meanwhile: a process that
// has a database open must not open and close its file beside SQLite.
func (t *tour) search(ctx context.Context) error {
	if t.cfg.Backend != config.SQLite || t.inMemory() {
		t.say("search", "left out: there is no database file to look into")
		return nil
	}
	var files [][]byte
	err := t.closedFor(ctx, func() (err error) {
		files, err = contents(t.cfg.SQLitePath)
		return err
	})
	if err != nil {
		return err
	}
	if !found(files, []string{t.client.ID}) {
		return errors.New("the search does not even find the client's id")
	}
	if found(files, spellings(t.handed)) {
		return errors.New("a raw value is in the database file")
	}
	size := 0
	for _, file := range files {
		size += len(file)
	}
	t.say("search", "%d secrets, codes and tokens were handed out; in %d bytes on disk, none is found", len(t.handed), size)
	t.say("", "(the client's id, which is stored as it is, is found)")
	return nil
}

// contents returns the database with what SQLite keeps beside it.
func contents(path string) ([][]byte, error) {
	var files [][]byte
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		file, err := os.ReadFile(filepath.Clean(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// spellings returns the values, and the bytes that they spell in base64.
func spellings(values []string) []string {
	all := make([]string, 0, 2*len(values))
	for _, value := range values {
		all = append(all, value)
		if decoded, err := base64.RawURLEncoding.DecodeString(value); err == nil {
			all = append(all, string(decoded))
		}
	}
	return all
}

// found reports whether any of the values is in one of the files. It goes over each file once per length.
func found(files [][]byte, values []string) bool {
	byLength := make(map[int]map[string]bool)
	for _, value := range values {
		if byLength[len(value)] == nil {
			byLength[len(value)] = make(map[string]bool)
		}
		byLength[len(value)][value] = true
	}
	for length, wanted := range byLength {
		for _, file := range files {
			if foundOf(file, length, wanted) {
				return true
			}
		}
	}
	return false
}

func foundOf(file []byte, length int, wanted map[string]bool) bool {
	for end := length; end <= len(file); end++ {
		if wanted[string(file[end-length:end])] {
			return true
		}
	}
	return false
}
