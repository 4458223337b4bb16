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
	keyValue = "SAS_KEY_VALUE" // the official emulator's own value; not a secret

	// memoryHost is the host in the connection strings of a server without a listener. The name
	// never resolves (RFC 6761), so a client without Dial gets a clear error.
	memoryHost = "emulator-in-memory.invalid"

	// acceptPause is how long the listener pauses when the system has no file descriptor left.
	acceptPause = 10 * time.Millisecond

	// maxRefusing is how many connections beyond the maximum get a refusal at the same time.
	maxRefusing = 64
)

// ErrClosed is returned by the methods of a closed server.
var ErrClosed = errors.New("emulator: the server is closed")

// A Server is a running emulator. Its methods may be called by several goroutines at once.
type Server struct {
	// Immutable after New.
	options   Options
	started   time.Time
	listeners []net.Listener // none in memory
	log       *slog.Logger
	namespace *namespace
	issuer    *issuer
	authority func() (*authority, error) // made when first needed
	ctx       context.Context            // ends with Close; the parent of each connection's context
	cancel    context.CancelFunc

	// Atomic.
	hook atomic.Pointer[Hook]

	faults  faultTally
	rules   faultRules
	foreign sync.Map // the protocols that noteForeign has logged

	wg sync.WaitGroup // the accepting goroutines and one for each connection

	mu      sync.Mutex // guards the fields below
	closed  bool
	number  int                 // of the latest connection
	serving map[int]*connection // by number, including connections that are about to be refused
}

// New starts a server; options may be nil. The caller must call Close.
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
	if err := s.addFaults(); err != nil {
		return nil, err
	}
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

// Addr is the host and port on which the server listens, or [InMemory]. A client's option for a
// custom endpoint takes it.
func (s *Server) Addr() string {
	if len(s.listeners) == 0 {
		return InMemory
	}
	return s.listeners[0].Addr().String()
}

// Addrs are all hosts and ports on which the server listens: first Options.Addr, then
// Options.ExtraAddrs.
func (s *Server) Addrs() []string {
	var addrs []string
	for _, listener := range s.listeners {
		addrs = append(addrs, listener.Addr().String())
	}
	return addrs
}

// ConnectionString returns a connection string that every official client accepts. With an empty
// hub it names no hub. It makes clients use no TLS, unless [Options.Transports] allows nothing
// else. If the server has no listener, only clients that use [Server.Dial] can use it.
func (s *Server) ConnectionString(hub string) string {
	return s.connectionString(s.rootKey(), hub, s.plain())
}

// TLSConnectionString returns a connection string with which clients use TLS, as with the service.
// They also need [Server.TLSConfig] or [Server.CertificateAuthority].
func (s *Server) TLSConnectionString(hub string) string {
	return s.connectionString(s.rootKey(), hub, false)
}

// rootKey is the part of a connection string with the key that has every right.
func (s *Server) rootKey() string {
	value := keyValue
	if s.options.Authentication != nil {
		value = s.key(keyName).Value
	}
	return "SharedAccessKeyName=" + keyName + ";SharedAccessKey=" + value
}

// plain reports whether clients may omit TLS.
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

// endpoint is the host and port for clients: a server on all interfaces is reached by loopback.
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

// Dial connects in memory, whether or not the server listens. The connection works with virtual
// time (testing/synctest) if server and client are in the same bubble. It speaks the protocol that
// the client begins: AMQP, TLS or HTTP for a WebSocket.
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

// Close stops listening and closes every connection with amqp:connection:forced. It returns after
// all of the server's goroutines have ended, including a running hook. A client that does not
// answer delays it by at most 5 seconds. [Server.Events] still works afterwards. Close always
// returns nil, and may be called again.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.closeListeners()
	s.cancel()
	s.wg.Wait()
	return nil
}

// accept accepts connections until the listener closes.
func (s *Server) accept(listener net.Listener) {
	for {
		nc, err := listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Mostly no file descriptor is left: connected clients should go on.
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

// start serves a connection in its own goroutine, unless the server is closed. Of the connections
// beyond the maximum, up to maxRefusing at a time get a refusal. The rest are dropped, since a
// refusal also takes resources.
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

// CutAll breaks every present connection without a close frame, as a network failure does, and
// returns their number. Clients may reconnect at once. Stored events stay stored; data under way in
// either direction is lost.
func (s *Server) CutAll() int {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.serving))
	s.mu.Unlock()
	for _, c := range all {
		c.cut()
	}
	return len(all)
}

// hub finds a hub, ignoring case; nil if there is none.
func (s *Server) hub(name string) *hub {
	return s.namespace.hub(name)
}
