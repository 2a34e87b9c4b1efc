package mysql

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// TestAClosedConnectionCountsUntilTheServerClosesItToo has a server that goes on after the client has
// closed.
func TestAClosedConnectionCountsUntilTheServerClosesItToo(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := make(sessions, 1)
	dial := func(ctx context.Context) (net.Conn, error) { return s.dial(ctx, "tcp", listener.Addr().String()) }
	client, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		_, err := client.Read(make([]byte, 1))
		read <- err
	}()
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := <-read; err == nil {
		t.Error("the read went on")
	}
	for range 100 { // also while the connection waits for the server
		begun := time.Now()
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) || time.Since(begun) > longestLeave/2 {
			t.Fatalf("another read: %v, after %v", err, time.Since(begun))
		}
	}
	if err := client.SetReadDeadline(time.Now().Add(time.Hour)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a later deadline: %v", err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the server: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dial(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("beside what the server has not closed: %v", err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	begun := time.Now()
	client, err = dial(t.Context())
	if err != nil || time.Since(begun) > longestLeave/2 {
		t.Fatalf("after it has: %v, %v", err, time.Since(begun))
	}
	_ = client.Close()
}
