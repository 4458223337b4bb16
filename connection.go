package eventhubs

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/connectionstring"
)

// ConnectionOptions configure a connection to a namespace.
type ConnectionOptions struct {
	// ApplicationID begins the user agent that the service sees.
	ApplicationID string

	// CustomEndpoint is the host, or host:port, to dial instead of the namespace, such as a gateway or a private endpoint; a URL is refused. The
	// namespace stays the one that certificates and tokens are checked against.
	CustomEndpoint string

	// NewWebSocketConn opens a WebSocket to that URL, such as wss://name.servicebus.windows.net/$servicebus/websocket, and returns it as a stream of bytes: AMQP
	// passes so where only HTTPS does. websocketconn.Dial is such a function. A connection string with TransportType=AmqpWebSockets, and a
	// namespace of the service's with port 443, are refused without it.
	NewWebSocketConn func(ctx context.Context, url string) (net.Conn, error)

	// TLSConfig replaces the default configuration of TLS.
	TLSConfig *tls.Config

	// DialContext replaces the dialing of TCP, as in net/http. TLS, where it is used, is put on top of what it returns.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// Logger hears of a shared connection; a producer's own connection uses Options.Logger.
	// Default: none.
	Logger *slog.Logger
}

// A Connection is one AMQP connection to a namespace, for any number of producers. It is opened when it is first needed, opened again when it is lost, and
// stays open when a producer closes. A producer that is not given one has its own.
type Connection struct {
	// Immutable after newConnection.
	conn      *connection.Conn
	namespace string
	hub       string // EntityPath of the connection string; empty if there is none
	secret    *secret
}

// NewConnection returns a connection to a namespace, which lets it in with an Azure identity. There is no network traffic yet. A nil
// [*ConnectionOptions] means the defaults.
func NewConnection(fullyQualifiedNamespace string, credential azcore.TokenCredential, options *ConnectionOptions) (*Connection, error) {
	e, err := endpointFromCredential(fullyQualifiedNamespace, credential)
	if err != nil {
		return nil, err
	}
	return newConnection(e, "", options)
}

// NewConnectionFromConnectionString is [NewConnection] with a connection string, which is read as [NewBufferedProducerFromConnectionString] reads it. If that names an event hub
// (EntityPath), the connection's producers are for this one.
func NewConnectionFromConnectionString(connectionString string, options *ConnectionOptions) (*Connection, error) {
	e, hubName, err := endpointFromConnectionString(connectionString, "")
	if err != nil {
		return nil, err
	}
	return newConnection(e, hubName, options)
}

// NewConnectionFromKey is [NewConnection] with a named key, a shared access policy, which [Connection.ReplaceKey] replaces while the connection runs.
// Both are refused if they are empty or cannot be right, such as with white space or quotation marks around them.
func NewConnectionFromKey(fullyQualifiedNamespace, keyName, key string, options *ConnectionOptions) (*Connection, error) {
	s := new(secret)
	e, err := endpointFromNamespace(fullyQualifiedNamespace, s)
	if err != nil {
		return nil, err
	}
	if err := s.setKey(keyName, key); err != nil {
		return nil, err
	}
	return newConnection(e, "", options)
}

// NewConnectionFromSAS is [NewConnection] with a ready-made shared access signature, which [Connection.ReplaceSAS] replaces while the connection runs: before it expires,
// since nobody here can renew it. It begins with "SharedAccessSignature " and has sr, sig, se and skn.
func NewConnectionFromSAS(fullyQualifiedNamespace, signature string, options *ConnectionOptions) (*Connection, error) {
	s := &secret{signature: true}
	e, err := endpointFromNamespace(fullyQualifiedNamespace, s)
	if err != nil {
		return nil, err
	}
	if err := s.setSAS(signature); err != nil {
		return nil, err
	}
	return newConnection(e, "", options)
}

func newConnection(e endpoint, hubName string, options *ConnectionOptions) (*Connection, error) {
	var o ConnectionOptions
	if options != nil {
		o = *options
	}
	if err := e.check(o); err != nil {
		return nil, err
	}
	s, _ := e.tokens.(*secret)
	return &Connection{conn: connection.New(e.config(o, "")), namespace: e.namespace, hub: hubName, secret: s}, nil
}

// ReplaceKey makes the connection sign with another key from its next token on; the present one stays good until it expires. It fails for a
// Connection that was not made with a key, by itself or in a connection string.
func (c *Connection) ReplaceKey(keyName, key string) error {
	if c.secret == nil || c.secret.signature {
		return invalid("the connection was not made with a key, by itself or in a connection string: there is none to replace")
	}
	return c.secret.setKey(keyName, key)
}

// ReplaceSAS makes the connection present another signature from its next token on. It fails for a Connection that was not made with one, by itself or in a connection string.
func (c *Connection) ReplaceSAS(signature string) error {
	if c.secret == nil || !c.secret.signature {
		return invalid("the connection was not made with a signature, by itself or in a connection string: there is none to replace")
	}
	return c.secret.setSAS(signature)
}

// NewBufferedProducer returns a producer that shares the connection. Closing it leaves the connection open. The event hub may be empty if the connection
// string has named it. [Options.Connection] must be empty: the connection has its own.
func (c *Connection) NewBufferedProducer(eventHub string, options *Options) (*BufferedProducer, error) {
	eventHub, err := sameHub(c.hub, eventHub)
	if err != nil {
		return nil, err
	}
	if err := checkHub(eventHub); err != nil {
		return nil, err
	}
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	if !o.Connection.empty() {
		return nil, invalid("Options.Connection is set for a producer on a shared Connection: give these options to NewConnection")
	}
	p := newProducer(c.namespace, eventHub, &remoteHub{conn: c.conn, name: eventHub, identifier: o.Identifier, idempotent: o.EnableIdempotentRetries}, o)
	p.observer.created()
	return p, nil
}

// Close closes the connection, politely until ctx ends. Close its producers first: what they still hold fails to be sent, and is tried until their Close
// ends that.
func (c *Connection) Close(ctx context.Context) error { return c.conn.Close(ctx) }

func (o *ConnectionOptions) empty() bool {
	return o.ApplicationID == "" && o.CustomEndpoint == "" && o.NewWebSocketConn == nil && o.TLSConfig == nil && o.DialContext == nil && o.Logger == nil
}

// A secret is a key or a signature that can be replaced. What it holds is behind a function, where no way of printing shows it.
type secret struct {
	signature bool // immutable: whether it is one, and not a key
	source    atomic.Pointer[connection.TokenSource]
}

func (s *secret) setKey(name, key string) error {
	if err := connectionstring.CheckKeyName(name); err != nil {
		return refusedValue("the name of the key, which is that of a shared access policy such as RootManageSharedAccessKey,", "", err)
	}
	if err := connectionstring.CheckKey(key); err != nil {
		return refusedValue("the key", "", err)
	}
	s.source.Store(new(connection.TokensFromKey(name, key)))
	return nil
}

func (s *secret) setSAS(signature string) error {
	if err := connectionstring.CheckSignature(signature); err != nil {
		return refusedValue("the signature", "", err)
	}
	s.source.Store(new(connection.TokensFromSAS(signature)))
	return nil
}

// Token makes a token from the present secret.
func (s *secret) Token(ctx context.Context, audience string) (connection.Token, error) {
	return (*s.source.Load()).Token(ctx, audience)
}
