package integration_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
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

// readHistory returns the events of a file, each once.
func readHistory(t *testing.T, path string) []event {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unfinished := make(map[event]int)
	var events []event
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
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
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	for e, n := range unfinished {
		for range n {
			events = append(events, e)
		}
	}
	return events
}
