package eventhubs

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A link carries whole batches to one partition. Between it and the partition there is nothing else: send this batch, tell me its outcome.
type link interface {
	// Open connects, authorises and attaches, as far as that is not done already. It may be called before each batch.
	Open(ctx context.Context) error
	// IsOpen reports whether all of that is done.
	IsOpen() bool
	// MaxMessageSize is what the service takes in one message, in bytes, as of the latest Open.
	MaxMessageSize() uint64
	// WaitingForCredit reports whether a Send waits for the service to allow it a message.
	WaitingForCredit() bool
	// An idempotent producer's: Claim says who it claims to be when the link is next attached, nil for a new one; Identity is what the
	// reply to the latest attach said, with the number of attaches; Detach gives the present link up.
	Claim(*connection.Claim)
	Identity() (reply connection.Identity, attach uint64)
	Detach()
	// Send sends the events as one batch. When it returns, nobody reads the events' memory any more. SendOn is an idempotent producer's: it sends
	// on the link of that attach and on no other.
	Send(ctx context.Context, events [][]byte) connection.Result
	SendOn(ctx context.Context, attach uint64, events [][]byte) connection.Result
}

// A hub is what a producer needs of the connection to its event hub.
type hub interface {
	Properties(ctx context.Context) (azeventhubs.EventHubProperties, error)
	PartitionProperties(ctx context.Context, partitionID string) (azeventhubs.PartitionProperties, error)
	// Opened returns a channel that is closed when the next connection has been opened, by whomever.
	Opened() <-chan struct{}
	// TokenExpires is when the present authorization ends: zero if there is none or that is not known.
	TokenExpires() time.Time
	// Link returns the link to a partition, or to the hub for an empty id. It does not open it.
	Link(partitionID string) link
	// Close closes the producer's links, and its connection if it is its own. When ctx ends it cuts them.
	Close(ctx context.Context) error
}

// A remoteHub is a hub at the other end of a connection.
type remoteHub struct {
	// Immutable.
	conn       *connection.Conn
	own        bool // the connection is the producer's own
	name       string
	identifier string
	idempotent bool

	mu      sync.Mutex // guards the fields below
	senders []*connection.Sender
	closed  bool
}

func (h *remoteHub) Properties(ctx context.Context) (azeventhubs.EventHubProperties, error) {
	return h.conn.HubProperties(ctx, h.name)
}

func (h *remoteHub) PartitionProperties(ctx context.Context, partitionID string) (azeventhubs.PartitionProperties, error) {
	return h.conn.PartitionProperties(ctx, h.name, partitionID)
}

func (h *remoteHub) Opened() <-chan struct{} { return h.conn.Opened() }

func (h *remoteHub) TokenExpires() time.Time { return h.conn.TokenExpires(h.name) }

func (h *remoteHub) Link(partitionID string) link {
	open := h.conn.Sender
	if h.idempotent {
		open = h.conn.IdempotentSender
	}
	s := open(h.name, partitionID, h.identifier)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.senders = append(h.senders, s)
	if h.closed {
		s.Close(context.Background()) // it has no link yet, so this only sees to it that it gets none
	}
	return s
}

func (h *remoteHub) Close(ctx context.Context) error {
	if h.own {
		return h.conn.Close(ctx)
	}
	h.mu.Lock()
	senders := h.senders
	h.closed = true
	h.mu.Unlock()
	var closing sync.WaitGroup
	for _, s := range senders {
		// Ends when the peer has answered, or with ctx.
		closing.Go(func() { s.Close(ctx) })
	}
	closing.Wait()
	return nil
}

// endpoint is where a namespace is and how to be let in. The secrets are behind tokens.
type endpoint struct {
	namespace string
	plain     bool // the development emulator: no TLS
	tokens    connection.TokenSource
}

func (e endpoint) config(o ConnectionOptions, containerID string, t *Trace) connection.Config {
	if t == nil {
		t = new(Trace)
	}
	return connection.Config{
		Connected:        t.Connected,
		Disconnected:     t.disconnected(),
		Namespace:        e.namespace,
		Plain:            e.plain,
		Tokens:           e.tokens,
		TLSConfig:        o.TLSConfig,
		CustomEndpoint:   o.CustomEndpoint,
		DialContext:      o.DialContext,
		NewWebSocketConn: o.NewWebSocketConn,
		ApplicationID:    o.ApplicationID,
		ContainerID:      containerID,
		Logger:           o.Logger,
	}
}

// endpointFromCredential is the namespace with whatever token the credential gives.
func endpointFromCredential(namespace string, credential azcore.TokenCredential) (endpoint, error) {
	if err := checkNamespace(namespace); err != nil {
		return endpoint{}, err
	}
	if credential == nil {
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
	if properties.EntityPath != nil {
		if hubName, err = sameHub(*properties.EntityPath, hubName); err != nil {
			return endpoint{}, "", err
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

// quoted is a name for an error's text, unless it may be a connection string, a signature or a key in the wrong place.
func quoted(name string) string {
	if strings.ContainsAny(name, ";=") {
		return "(not shown, since it may hold a secret)"
	}
	return strconv.Quote(name)
}

// sameHub returns the hub that a connection string and an argument name, each of which may be empty.
func sameHub(inString, argument string) (string, error) {
	switch {
	case inString == "" || inString == argument:
		return argument, nil
	case argument == "":
		return inString, nil
	default:
		return "", invalid("the connection string is for the event hub %s (EntityPath) and the argument names %s: give one of them, or the same", quoted(inString), quoted(argument))
	}
}

// checkNamespace tells a namespace that is not a host's name.
func checkNamespace(namespace string) error {
	switch {
	case namespace == "":
		return invalid("the namespace is empty: it looks like name.servicebus.windows.net")
	case strings.ContainsAny(namespace, "/; ="):
		return invalid("the namespace %s is not a host name: it looks like name.servicebus.windows.net, without scheme or path", quoted(namespace))
	}
	return nil
}

// checkHub tells a hub name that no service would know.
func checkHub(name string) error {
	switch {
	case name == "":
		return invalid("no event hub is named: give its name as an argument, or as EntityPath in the connection string")
	case strings.ContainsAny(name, "/ ;?#="):
		return invalid("the event hub's name %s has characters that no name may have", quoted(name))
	}
	return nil
}
