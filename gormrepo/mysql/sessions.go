package mysql

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// sessions bounds the sessions that a pool has on its server. The driver ends a statement by
// closing its connection, which the server notices only when the statement is over: the pool would
// open another connection each time, until the server has no more. So what a connection takes from
// the channel is given back when the server has closed it too.
type sessions chan struct{}

// longestLeave is how long a server is waited for that does not close a connection.
const longestLeave = 5 * time.Second

// bound makes the driver connect through s. An application's own network stays as it is.
func (s sessions) bound(config *mysql.Config) {
	if config.DialFunc == nil && slices.Contains([]string{"tcp", "tcp4", "tcp6", "unix"}, config.Net) {
		config.DialFunc = s.dial
	}
}

func (s sessions) dial(ctx context.Context, network, address string) (net.Conn, error) {
	select {
	case s <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err() //nolint:wrapcheck // the driver returns it
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		<-s
		return nil, err //nolint:wrapcheck // the driver returns it
	}
	return &session{socket: conn.(socket), sessions: s}, nil //nolint:forcetypeassert // both kinds are one
}

// socket is what *net.TCPConn and *net.UnixConn have in common. The driver looks whether an idle
// connection was closed by way of SyscallConn.
type socket interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// session is a connection whose Close returns at once.
type session struct {
	socket

	sessions sessions
	closed   atomic.Bool
	reading  sync.Mutex
}

// Read reads until Close.
func (s *session) Read(into []byte) (int, error) {
	if !s.reading.TryLock() { // only leave has the lock for longer: a driver does not read twice at once
		return 0, net.ErrClosed
	}
	defer s.reading.Unlock()
	if s.closed.Load() {
		return 0, net.ErrClosed
	}
	return s.socket.Read(into) //nolint:wrapcheck // as the socket does
}

// SetReadDeadline is for what the driver reads, not for the wait until the server closes.
func (s *session) SetReadDeadline(t time.Time) error {
	if s.closed.Load() {
		return net.ErrClosed
	}
	return s.socket.SetReadDeadline(t) //nolint:wrapcheck // as the socket does
}

// Close ends Read and Write, tells the server that nothing more comes, and leaves in the background.
func (s *session) Close() error {
	if s.closed.Swap(true) {
		return net.ErrClosed
	}
	err := s.socket.SetDeadline(time.Unix(1, 0))
	go s.leave()
	return err //nolint:wrapcheck // as the socket does
}

func (s *session) leave() {
	defer func() { <-s.sessions }()
	defer s.socket.Close() //nolint:errcheck // nothing is left to be done with it
	s.reading.Lock()       // a Read under way has ended
	defer s.reading.Unlock()
	if s.socket.SetReadDeadline(time.Now().Add(longestLeave)) == nil && s.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, s.socket) // until the server closes it
	}
}
