package eventhubs

import (
	"context"
	"crypto/tls"
	"net"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// ConnectionOptions configure a connection to a namespace. The fields that azeventhubs has too mean the same here.
type ConnectionOptions struct {
	// ApplicationID begins the user agent that the service sees.
	ApplicationID string

	// CustomEndpoint is the host, or host:port, to dial instead of the namespace, such as a gateway or a private endpoint. The
	// namespace stays the one that certificates and tokens are checked against.
	CustomEndpoint string

	// NewWebSocketConn opens the connection as a WebSocket, which passes where only HTTPS does.
	NewWebSocketConn func(ctx context.Context, params azeventhubs.WebSocketConnParams) (net.Conn, error)

	// TLSConfig replaces the default configuration of TLS.
	TLSConfig *tls.Config

	// DialContext replaces the dialing of TCP, as in net/http. TLS, where it is used, is put on top of what it returns.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// A link carries whole batches to one partition. Between it and the partition there is nothing else: send this batch, tell me its outcome.
type link interface {
	// Open connects, authorises and attaches, as far as that is not done already. It may be called before each batch.
	Open(ctx context.Context) error
	// MaxMessageSize is what the service takes in one message, in bytes, as of the latest Open.
	MaxMessageSize() uint64
	// Send sends the events as one batch. When it returns, nobody reads the events' memory any more.
	Send(ctx context.Context, events [][]byte) connection.Result
}

// A hub is what a producer needs of the connection to its event hub.
type hub interface {
	Properties(ctx context.Context) (azeventhubs.EventHubProperties, error)
	Link(partitionID string) link
	Close(ctx context.Context) error
}

// ownHub is a hub at the other end of a connection of the producer's own.
type ownHub struct {
	conn       *connection.Conn
	name       string
	identifier string
}

func (h *ownHub) Properties(ctx context.Context) (azeventhubs.EventHubProperties, error) {
	return h.conn.HubProperties(ctx, h.name)
}

func (h *ownHub) Link(partitionID string) link {
	return h.conn.Sender(h.name, partitionID, h.identifier)
}

func (h *ownHub) Close(ctx context.Context) error { return h.conn.Close(ctx) }

// endpoint is where a namespace is and how to be let in. The secrets are behind tokens.
type endpoint struct {
	namespace string
	plain     bool // the development emulator: no TLS
	tokens    connection.TokenSource
}

func (e endpoint) connect(name string, o *Options) *ownHub {
	conn := connection.New(connection.Config{
		Namespace:        e.namespace,
		Plain:            e.plain,
		Tokens:           e.tokens,
		TLSConfig:        o.Connection.TLSConfig,
		CustomEndpoint:   o.Connection.CustomEndpoint,
		DialContext:      o.Connection.DialContext,
		NewWebSocketConn: o.Connection.NewWebSocketConn,
		ApplicationID:    o.Connection.ApplicationID,
		ContainerID:      o.Identifier,
		Logger:           o.Logger,
	})
	return &ownHub{conn: conn, name: name, identifier: o.Identifier}
}

// endpointFromCredential is the namespace with whatever token the credential gives.
func endpointFromCredential(namespace string, credential azcore.TokenCredential) (endpoint, error) {
	switch {
	case namespace == "":
		return endpoint{}, invalid("the namespace is empty: it looks like name.servicebus.windows.net")
	case strings.ContainsAny(namespace, ":/; "):
		return endpoint{}, invalid("the namespace %q is not a host name: it looks like name.servicebus.windows.net, without scheme, port or path", namespace)
	case credential == nil:
		return endpoint{}, invalid("the credential is nil")
	}
	return endpoint{namespace: namespace, tokens: connection.TokensFromCredential(credential)}, nil
}

// endpointFromConnectionString reads a connection string. It also returns the hub: the one in the string or the one given, which
// must be the same if there are both. No error shows any part of the string but its keywords and the hub.
func endpointFromConnectionString(text, hubName string) (endpoint, string, error) {
	properties, err := azeventhubs.ParseConnectionString(text)
	if err != nil {
		return endpoint{}, "", invalid("the connection string is malformed: it looks like "+
			"Endpoint=sb://name.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…, as the portal shows it (%s)", connectionStringFault(text))
	}
	if properties.EntityPath != nil && *properties.EntityPath != "" {
		switch hubName {
		case "", *properties.EntityPath:
			hubName = *properties.EntityPath
		default:
			return endpoint{}, "", invalid("the connection string is for the event hub %q (EntityPath) and the argument names %q: give one of them, or the same", *properties.EntityPath, hubName)
		}
	}
	e := endpoint{namespace: properties.FullyQualifiedNamespace, plain: properties.Emulator}
	switch {
	case properties.SharedAccessSignature != nil:
		e.tokens = connection.TokensFromSAS(*properties.SharedAccessSignature)
	default:
		e.tokens = connection.TokensFromKey(*properties.SharedAccessKeyName, *properties.SharedAccessKey)
	}
	return e, hubName, nil
}

// connectionStringFault says which part of a connection string is missing, and shows none.
func connectionStringFault(text string) string {
	if text == "" {
		return "it is empty"
	}
	lower := strings.ToLower(text)
	for _, keyword := range []string{"Endpoint=", "SharedAccessKeyName=", "SharedAccessKey="} {
		if !strings.Contains(lower, strings.ToLower(keyword)) {
			return "it has no " + strings.TrimSuffix(keyword, "=")
		}
	}
	return "its parts are not separated by semicolons, or one is not keyword=value"
}

// checkHub tells a hub name that no service would know.
func checkHub(name string) error {
	switch {
	case name == "":
		return invalid("no event hub is named: give its name as an argument, or as EntityPath in the connection string")
	case strings.ContainsAny(name, "/ ;?#"):
		return invalid("the event hub's name %q has characters that no name may have", name)
	}
	return nil
}
