package emulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/local"
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

	// maxRefusing is how many connections beyond the maximum are told so at the same time.
	maxRefusing = 64
)

// ErrClosed is what a closed server's methods return.
var ErrClosed = errors.New("emulator: the server is closed")

// A Server is a running emulator. Its methods may be called by any number of goroutines.
type Server struct {
	// Immutable after New.
	options   Options
	started   time.Time
	listeners []net.Listener // none in memory
	log       *slog.Logger
	namespace *namespace
	issuer    *issuer
	authority func() (*authority, error) // made when it is first needed
	ctx       context.Context            // ends with Close; each connection's context descends from it
	cancel    context.CancelFunc

	// Atomic.
	hook atomic.Pointer[Hook]

	faults faultTally

	wg sync.WaitGroup // the accepting goroutines and one for each connection

	mu      sync.Mutex // guards the fields below
	closed  bool
	number  int                 // of the latest connection
	serving map[int]*connection // by number, those that are about to be refused included
}

// New starts a server. Options may be nil. The caller must Close it.
func New(options *Options) (*Server, error) {
	opts, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{options: opts, started: time.Now().UTC(), log: opts.Logger, issuer: newIssuer(), authority: sync.OnceValues(newAuthority), serving: make(map[int]*connection)}
	if s.namespace, err = newNamespace(&opts); err != nil {
		return nil, err
	}
	s.SetHook(opts.Hook)
	if opts.Addr != InMemory {
		if err := s.listen(); err != nil {
			return nil, err
		}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, listener := range s.listeners {
		// accept ends when Close closes the listener; Close waits for it.
		s.wg.Go(func() { s.accept(listener) })
	}
	return s, nil
}

// listen opens a listener for each address.
func (s *Server) listen() error {
	for i, addr := range append([]string{s.options.Addr}, s.options.ExtraAddrs...) {
		listener, err := local.Listen(addr)
		if err != nil {
			s.closeListeners()
			field := "Options.Addr"
			if i > 0 {
				field = fmt.Sprintf("Options.ExtraAddrs[%d]", i-1)
			}
			return fmt.Errorf("emulator: cannot listen on %s %q (port 0 finds a free one): %w", field, addr, err)
		}
		s.listeners = append(s.listeners, listener)
	}
	return nil
}

func (s *Server) closeListeners() {
	for _, listener := range s.listeners {
		_ = listener.Close() // closed already is fine
	}
}

// Addr is the host and port on which the server listens, or [InMemory]. It is what a client's option for a custom
// endpoint takes.
func (s *Server) Addr() string {
	if len(s.listeners) == 0 {
		return InMemory
	}
	return s.listeners[0].Addr().String()
}

// Addrs are all hosts and ports on which the server listens: that of Options.Addr, then those of Options.ExtraAddrs.
func (s *Server) Addrs() []string {
	var addrs []string
	for _, listener := range s.listeners {
		addrs = append(addrs, listener.Addr().String())
	}
	return addrs
}

// ConnectionString is what any official client takes in place of a namespace's connection string. With
// an empty hub it names none. It makes clients use no TLS, unless [Options.Transports] leaves them no choice. For a server that listens
// nowhere it is good for clients that are given [Server.Dial] as their way to the network.
func (s *Server) ConnectionString(hub string) string {
	return s.connectionString(s.rootKey(), hub, s.plain())
}

// TLSConnectionString is a connection string with which clients use TLS, as they do with the service. They need
// [Server.TLSConfig] too, or [Server.CertificateAuthority].
func (s *Server) TLSConnectionString(hub string) string {
	return s.connectionString(s.rootKey(), hub, false)
}

// rootKey is the part of a connection string that gives every right.
func (s *Server) rootKey() string {
	value := keyValue
	if s.options.Authentication != nil {
		value = s.key(keyName).Value
	}
	return "SharedAccessKeyName=" + keyName + ";SharedAccessKey=" + value
}

// plain tells whether clients may leave TLS out.
func (s *Server) plain() bool { return s.options.Transports&TransportPlain != 0 }

func (s *Server) connectionString(secret, hub string, plain bool) string {
	text := "Endpoint=sb://" + s.endpoint() + ";" + secret
	if hub != "" {
		text += ";EntityPath=" + hub
	}
	if plain {
		text += ";UseDevelopmentEmulator=true"
	}
	return text
}

// endpoint is the host and port for clients: a server that listens on all interfaces is reached by loopback.
func (s *Server) endpoint() string {
	if len(s.listeners) == 0 {
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
// (testing/synctest) if server and client live in the same bubble. It speaks whatever the client begins: AMQP, TLS or
// HTTP for a WebSocket.
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
	s.closeListeners()
	s.cancel()
	s.wg.Wait()
	return nil
}

// accept takes connections until the listener closes.
func (s *Server) accept(listener net.Listener) {
	for {
		nc, err := listener.Accept()
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

// start serves a connection on a goroutine of its own, unless the server is closed. Of connections beyond the maximum a few
// at a time are told so; the rest is dropped, since telling takes what there is too little of.
func (s *Server) start(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if len(s.serving) >= s.options.MaxConnections+maxRefusing {
		s.log.Debug("connection dropped", "connections", len(s.serving))
		cut(nc)
		return true
	}
	s.number++
	c := newConnection(s, nc, s.number)
	c.surplus = len(s.serving) >= s.options.MaxConnections
	s.serving[c.number] = c
	// serve ends when the peer is gone or Close cancels the server's context; Close waits for it.
	s.wg.Go(func() {
		c.serve()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.serving, c.number)
	})
	return true
}

// CutAll breaks every connection that there is at this moment, without a word, as a network does that fails for everybody, and returns
// how many they were. Clients may come back at once. What was stored stays stored; what was on its way, in either direction, is lost.
func (s *Server) CutAll() int {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.serving))
	s.mu.Unlock()
	for _, c := range all {
		c.cut()
	}
	return len(all)
}

// hub looks a hub up, ignoring case; nil if there is none.
func (s *Server) hub(name string) *hub {
	return s.namespace.hub(name)
}
