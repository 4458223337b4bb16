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
	// ApplicationID is the beginning of the user agent that the service sees.
	ApplicationID string

	// CustomEndpoint is the host, or host:port, to dial instead of the namespace, for example a
	// gateway or a private endpoint. A URL is refused. Certificates and tokens are still checked
	// against the namespace.
	CustomEndpoint string

	// NewWebSocketConn opens a WebSocket to that URL, for example
	// wss://name.servicebus.windows.net/$servicebus/websocket, and returns it as a stream of bytes.
	// AMQP then passes where only HTTPS does. websocketconn.Dial does this. Without it,
	// constructors refuse a connection string with TransportType=AmqpWebSockets, and a namespace of
	// the service with port 443.
	NewWebSocketConn func(ctx context.Context, url string) (net.Conn, error)

	// TLSConfig replaces the default TLS configuration.
	TLSConfig *tls.Config

	// DialContext replaces the TCP dialer, as in net/http. TLS, if used, runs over the connection
	// that it returns. Without DialContext, a dial ends after 10 s without an answer. The producer
	// then dials again within the same try.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// Logger gets the log of a shared connection. A producer's own connection uses Options.Logger.
	// Default: none.
	Logger *slog.Logger
}

// A Connection is one AMQP connection to a namespace, for any number of producers. It opens when a
// producer first needs it, opens again after a loss, and stays open when a producer closes. A
// producer that is not given one has its own.
type Connection struct {
	// Immutable after newConnection.
	conn      *connection.Conn
	namespace string
	hub       string // EntityPath of the connection string; empty if there is none
	secret    *secret
}

// NewConnection returns a connection to a namespace that authorises with an Azure identity. It
// causes no network traffic yet. A nil [*ConnectionOptions] means the defaults.
func NewConnection(fullyQualifiedNamespace string, credential azcore.TokenCredential, options *ConnectionOptions) (*Connection, error) {
	e, err := endpointFromCredential(fullyQualifiedNamespace, credential)
	if err != nil {
		return nil, err
	}
	return newConnection(e, "", options)
}

// NewConnectionFromConnectionString is [NewConnection] with a connection string, read as
// [NewBufferedProducerFromConnectionString] reads it. If the string names an event hub
// (EntityPath), the connection's producers are for that hub.
func NewConnectionFromConnectionString(connectionString string, options *ConnectionOptions) (*Connection, error) {
	e, hubName, err := endpointFromConnectionString(connectionString, "")
	if err != nil {
		return nil, err
	}
	return newConnection(e, hubName, options)
}

// NewConnectionFromKey is [NewConnection] with a named key of a shared access policy.
// [Connection.ReplaceKey] replaces the key while the connection runs. A name or key that is empty
// or cannot be right is refused, for example one with white space or quotation marks around it.
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

// NewConnectionFromSAS is [NewConnection] with a ready-made shared access signature. It begins with
// "SharedAccessSignature " and has sr, sig, se and skn. The connection cannot renew it: call
// [Connection.ReplaceSAS] with another one before it expires.
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

// ReplaceKey makes the connection sign with another key from its next token on. The present token
// stays valid until it expires. It fails for a Connection that was not made with a key, by itself
// or in a connection string.
func (c *Connection) ReplaceKey(keyName, key string) error {
	if c.secret == nil || c.secret.signature {
		return invalid("the connection was not made with a key, by itself or in a connection string: it has no key to replace")
	}
	return c.secret.setKey(keyName, key)
}

// ReplaceSAS makes the connection use another signature from its next token on. It fails for a
// Connection that was not made with a signature, by itself or in a connection string.
func (c *Connection) ReplaceSAS(signature string) error {
	if c.secret == nil || !c.secret.signature {
		return invalid("the connection was not made with a signature, by itself or in a connection string: it has no signature to replace")
	}
	return c.secret.setSAS(signature)
}

// NewBufferedProducer returns a producer that shares the connection. Closing the producer leaves
// the connection open. The event hub may be empty if the connection string names it.
// [Options.Connection] must be empty: the connection has its own options.
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
	p, err := newProducer(c.namespace, eventHub, &remoteHub{conn: c.conn, name: eventHub, identifier: o.Identifier, idempotent: o.EnableIdempotentRetries}, o)
	if err != nil {
		return nil, err
	}
	p.observer.created()
	p.journal.begin()
	return p, nil
}

// Close closes the connection gracefully until ctx ends, and then cuts it. Close its producers
// first. Otherwise the events that they still hold fail to be sent, and are retried until the
// producers close.
func (c *Connection) Close(ctx context.Context) error { return c.conn.Close(ctx) }

func (o *ConnectionOptions) empty() bool {
	return o.ApplicationID == "" && o.CustomEndpoint == "" && o.NewWebSocketConn == nil && o.TLSConfig == nil && o.DialContext == nil && o.Logger == nil
}

// A secret is a key or a signature that can be replaced. A function holds its value, so that no
// form of printing shows it.
type secret struct {
	signature bool // immutable: it is a signature, not a key
	source    atomic.Pointer[connection.TokenSource]
}

func (s *secret) setKey(name, key string) error {
	if err := connectionstring.CheckKeyName(name); err != nil {
		return refusedValue("the name of the key (of a shared access policy, for example RootManageSharedAccessKey)", "", err)
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
