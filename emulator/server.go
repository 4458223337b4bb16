package emulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

const (
	keyName  = "RootManageSharedAccessKey"
	keyValue = "SAS_KEY_VALUE" // what the official emulator's connection strings say; no secret

	// memoryHost stands in the connection strings of a server without a listener. The name never
	// resolves (RFC 6761), so a client that was not given Dial says clearly what is wrong.
	memoryHost = "emulator-in-memory.invalid"

	// acceptPause is how long the listener rests when the system has no file descriptor left.
	acceptPause = 10 * time.Millisecond
)

// ErrClosed is what a closed server's methods return.
var ErrClosed = errors.New("emulator: the server is closed")

// A Server is a running emulator. Its methods may be called by any number of goroutines.
type Server struct {
	// Immutable after New.
	options  Options
	listener net.Listener // nil in memory
	log      *slog.Logger
	hubs     map[string]*hub // by name in lower case
	ctx      context.Context // ends with Close; each connection's context descends from it
	cancel   context.CancelFunc

	// Atomic.
	hook atomic.Pointer[Hook]

	wg sync.WaitGroup // the accepting goroutine and one for each connection

	mu     sync.Mutex // guards the fields below
	closed bool
	number int // of the latest connection
}

// New starts a server. Options may be nil. The caller must Close it.
func New(options *Options) (*Server, error) {
	opts, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{options: opts, log: opts.Logger, hubs: make(map[string]*hub, len(opts.Hubs))}
	s.SetHook(opts.Hook)
	for _, h := range opts.Hubs {
		s.hubs[strings.ToLower(h.Name)] = newHub(h)
	}
	if opts.Addr != InMemory {
		s.listener, err = net.Listen("tcp", opts.Addr)
		if err != nil {
			return nil, fmt.Errorf("emulator: cannot listen on Options.Addr %q (port 0 finds a free one): %w", opts.Addr, err)
		}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if s.listener != nil {
		// accept ends when Close closes the listener; Close waits for it.
		s.wg.Go(s.accept)
	}
	return s, nil
}

// Addr is the host and port on which the server listens, or [InMemory].
func (s *Server) Addr() string {
	if s.listener == nil {
		return InMemory
	}
	return s.listener.Addr().String()
}

// ConnectionString is what any official client takes in place of a namespace's connection string. With
// an empty hub it names none. For a server that listens nowhere it is good for clients that are given
// [Server.Dial] as their way to the network.
func (s *Server) ConnectionString(hub string) string {
	text := "Endpoint=sb://" + s.endpoint() + ";SharedAccessKeyName=" + keyName + ";SharedAccessKey=" + keyValue
	if hub != "" {
		text += ";EntityPath=" + hub
	}
	return text + ";UseDevelopmentEmulator=true"
}

// endpoint is the host and port for clients: a server that listens on all interfaces is reached by loopback.
func (s *Server) endpoint() string {
	if s.listener == nil {
		return memoryHost
	}
	host, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		return s.Addr()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Dial connects in memory, whether the server listens or not. The connection works with virtual time
// (testing/synctest) if server and client live in the same bubble. It speaks AMQP without TLS.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client, server := memnet.Pipe()
	if !s.start(server) {
		_ = client.Close()
		return nil, ErrClosed
	}
	return client, nil
}

// Close stops listening, closes every connection with amqp:connection:forced and returns when all of the
// server's goroutines have ended, a hook that is running included; a client that does not answer delays that
// by at most 5 seconds. What is stored can still be read with [Server.Events]. It always returns nil, and may
// be called again.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close() // closed already is fine
	}
	s.cancel()
	s.wg.Wait()
	return nil
}

// accept takes connections until the listener closes.
func (s *Server) accept() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, mostly: those who are connected should go on.
			s.log.Warn("accepting failed", "error", err)
			if !wait(s.ctx, acceptPause) {
				return
			}
			continue
		}
		if !s.start(nc) {
			_ = nc.Close()
		}
	}
}

// start serves a connection on a goroutine of its own, unless the server is closed.
func (s *Server) start(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.number++
	c := newConnection(s, s.number)
	// serve ends when the peer is gone or Close cancels the server's context; Close waits for it.
	s.wg.Go(func() { c.serve(nc) })
	return true
}

// hub looks a hub up, ignoring case; nil if there is none.
func (s *Server) hub(name string) *hub {
	return s.hubs[strings.ToLower(name)]
}
