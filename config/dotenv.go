package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"github.com/joho/godotenv"
)

// maxDotenv is more than a file of settings needs, in bytes.
const maxDotenv = 64 << 10

// readDotenv returns the variables of the file, none if there is no such file. An error names the file and
// the line, and never repeats what the line says: the file may hold secrets of others.
func readDotenv(path string) (map[string]string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxDotenv {
		return nil, fmt.Errorf("%s is not a file of at most %d bytes", path, maxDotenv)
	}
	text, err := os.ReadFile(path) //nolint:gosec // a constant name, for Load
	if err != nil {
		return nil, err
	}
	values, err := parseDotenv(bytes.TrimPrefix(text, []byte("\ufeff"))) // a byte-order mark, as some editors write it
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

func parseDotenv(text []byte) (map[string]string, error) {
	values, ok := readable(text)
	if ok {
		return values, nil
	}
	return nil, fmt.Errorf("line %d is not NAME=value, a comment or an empty line", firstWrong(text))
}

// firstWrong returns the number of the first line that begins no statement.
func firstWrong(text []byte) int {
	const longest = 100 // lines of one quoted value
	lines := bytes.SplitAfter(text, []byte("\n"))
	for start := 0; start < len(lines); {
		n := 1
		for ; n <= min(longest, len(lines)-start); n++ {
			if _, ok := readable(bytes.Join(lines[start:start+n], nil)); ok {
				break
			}
		}
		if n > min(longest, len(lines)-start) {
			return start + 1
		}
		start += n
	}
	return len(lines)
}

// readable parses text. It is not ok with a line that has no name: the library takes such a line for the value
// of a variable without one.
func readable(text []byte) (values map[string]string, ok bool) {
	values, err := godotenv.UnmarshalBytes(text)
	if err != nil {
		return nil, false
	}
	for name := range values {
		if !variableName.MatchString(name) {
			return nil, false
		}
	}
	return values, true
}
