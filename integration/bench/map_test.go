package main_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/domain"
)

// mutexMap is a map with a mutex, and the copies that keep a caller's changes out of it.
func mutexMap(*testing.B, string) (subject, error) {
	var mu sync.Mutex
	tokens := make(map[domain.Digest]domain.Token)
	clients := make(map[string]domain.Client)
	return subject{
		fill: func(n int) error {
			clients[client.ID] = client.Clone()
			for i := range n {
				tokens[access(i).Digest] = access(i).Clone()
			}
			return nil
		},
		getClient: func(int) error {
			mu.Lock()
			defer mu.Unlock()
			if clients[client.ID].Clone().ID == "" {
				return errors.New("no such client")
			}
			return nil
		},
		getToken: func(i int) error {
			d := accessDigests[i]
			mu.Lock()
			defer mu.Unlock()
			t := tokens[d].Clone()
			if t.Kind == "" || !t.Live(time.Now()) {
				return errors.New("no such token")
			}
			return nil
		},
		close: func() error { return nil },
	}, nil
}
