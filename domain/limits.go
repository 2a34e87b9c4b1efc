package domain

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The limits that Validate holds, in bytes unless said otherwise. Text is UTF-8 without NUL.
const (
	MaxClientID = 1024
	MaxSubject  = 1024
	MaxID       = 255
	MaxURI      = 4096
	MaxScope    = 1024
	MaxListed   = 256       // strings in one list
	MaxSecrets  = 16        // secrets of one client
	MaxMetadata = 256 << 10 // client metadata as JSON
	MaxData     = 1 << 20
	MaxReplay   = 1 << 20
)

// FieldError says which field of an entity breaks which limit. It never repeats the value.
type FieldError struct {
	Field   string
	Problem string
}

// Error returns the field and the problem as one sentence.
func (e *FieldError) Error() string { return e.Field + " " + e.Problem }

// within puts prefix before the field that err names.
func within(prefix string, err error) error {
	if field, ok := errors.AsType[*FieldError](err); ok {
		return &FieldError{strings.TrimSuffix(prefix+field.Field, "."), field.Problem}
	}
	return err
}

func tooLong(field string, got, most int) error {
	return &FieldError{field, fmt.Sprintf("has %d bytes, more than %d", got, most)}
}

func tooMany(field string, got, most int) error {
	return &FieldError{field, fmt.Sprintf("has %d members, more than %d", got, most)}
}

// ValidText returns true if s is UTF-8 without NUL, as all text here has to be, else false. The
// empty string is text. Some databases refuse even to compare with anything else.
func ValidText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func checkText(field, text string, least, most int) error {
	switch {
	case len(text) < least:
		return &FieldError{field, "is empty"}
	case len(text) > most:
		return tooLong(field, len(text), most)
	case !ValidText(text):
		return &FieldError{field, "is not UTF-8 without NUL"}
	}
	return nil
}

func checkTexts(field string, texts []string, longest int) error {
	if len(texts) > MaxListed {
		return tooMany(field, len(texts), MaxListed)
	}
	for _, text := range texts {
		if err := checkText(field, text, 1, longest); err != nil {
			return err
		}
	}
	return nil
}

func checkData(field string, data []byte) error {
	if len(data) > MaxData {
		return tooLong(field, len(data), MaxData)
	}
	return nil
}

func checkDigest(d Digest) error {
	if d.IsZero() {
		return &FieldError{"Digest", "is not set"}
	}
	return nil
}

func checkRequired(field string, t time.Time) error {
	if t.IsZero() {
		return &FieldError{field, "is not set"}
	}
	return checkTime(field, t)
}

// checkTime keeps times to the years 1 to 9999, which every backend and encoding can hold.
func checkTime(field string, t time.Time) error {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return &FieldError{field, "is not between the years 1 and 9999"}
	}
	if !t.IsZero() && Microsecond(t).IsZero() {
		return &FieldError{field, "is in the first microsecond of the year 1, which stands for no time"}
	}
	return nil
}

// Microsecond returns t in UTC, rounded down to the microsecond, as every store keeps it. The zero
// time stays zero. t has to be in the years 1 to 9999, as Validate wants it.
func Microsecond(t time.Time) time.Time {
	return time.UnixMicro(t.UnixMicro()).UTC() // faster than Truncate
}

// expired reports whether an entity that ends at end (zero: never) has ended at now. The instant
// itself is past the end.
func expired(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }
