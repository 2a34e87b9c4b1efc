package integration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/oauthstore/oauthstore/repository"
)

// history is a file of events. Each goes to the operating system at once, so that it outlives the process.
type history struct {
	mu   sync.Mutex
	file *os.File
}

// record writes e before and after the call: the first line is what remains of a call that was killed.
func (h *history) record(e event, call func() (string, error)) error {
	e.Began = clock()
	if err := h.write(e); err != nil {
		return err
	}
	var err error
	e.Result, err = call()
	if errors.Is(err, repository.ErrUnknownOutcome) {
		return nil // the first line says what is known
	}
	if err != nil {
		return fmt.Errorf("%s: %w", e.Op, err)
	}
	e.Ended = clock()
	return h.write(e)
}

func (h *history) write(e event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err = h.file.Write(append(line, '\n'))
	return err
}

// readHistory returns the events of a file, each once. What follows the last line's end is left out: a kill can end the
// write of a line before all of it is in the file. Of a first line, the call was not made; of a second, the first is
// there.
func readHistory(t *testing.T, path string) []event {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unfinished := make(map[event]int)
	var events []event
	for line := range bytes.Lines(text[:bytes.LastIndexByte(text, '\n')+1]) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		began := e
		began.Ended, began.Result = 0, ""
		if e.Ended == 0 {
			unfinished[began]++
			continue
		}
		if unfinished[began]--; unfinished[began] == 0 {
			delete(unfinished, began)
		}
		events = append(events, e)
	}
	for e, n := range unfinished {
		for range n {
			events = append(events, e)
		}
	}
	return events
}

func TestAHistoryIsReadAsFarAsItsProcessWroteIt(t *testing.T) {
	var written bytes.Buffer
	var ends []int // of each line
	write := func(e event) {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		written.Write(append(line, '\n'))
		ends = append(ends, written.Len())
	}
	began := event{Worker: 1, Family: 2, Op: opRotate, Token: 3, Began: 4}
	ended := began
	ended.Ended, ended.Result = 5, done
	write(began)
	write(ended)
	for size := range written.Len() + 1 {
		var want []event
		switch {
		case size >= ends[1]:
			want = []event{ended}
		case size >= ends[0]:
			want = []event{began}
		}
		path := filepath.Join(t.TempDir(), "history")
		if err := os.WriteFile(path, written.Bytes()[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if got := readHistory(t, path); !slices.Equal(got, want) {
			t.Fatalf("of %d bytes: %v, want %v", size, got, want)
		}
	}
}
