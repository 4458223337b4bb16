package eventhubs

import (
	"errors"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/connectionstring"
)

// endpoint is where a namespace is and how to be let in. The secrets are behind tokens.
type endpoint struct {
	namespace string
	plain     bool   // the development emulator: no TLS
	webSocket string // what asks for AMQP over WebSocket, for an error's text; empty if nothing does
	tokens    connection.TokenSource
}

func (e endpoint) config(o ConnectionOptions, containerID string) connection.Config {
	return connection.Config{
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

// check tells options with which the endpoint cannot be reached.
func (e endpoint) check(o ConnectionOptions) error {
	if e.webSocket != "" && o.NewWebSocketConn == nil {
		return invalid("the namespace is to be reached by AMQP over WebSocket (%s), and ConnectionOptions.NewWebSocketConn is not set: "+
			"set it to websocketconn.Dial, of the package of that name, or leave out what asks for it", e.webSocket)
	}
	if o.CustomEndpoint == "" {
		return nil
	}
	return refusedValue("ConnectionOptions.CustomEndpoint", o.CustomEndpoint, connectionstring.CheckDialable(o.CustomEndpoint))
}

// endpointFromNamespace is the namespace, with whatever lets in.
func endpointFromNamespace(fullyQualifiedNamespace string, tokens connection.TokenSource) (endpoint, error) {
	host, webSocket, err := connectionstring.Namespace(fullyQualifiedNamespace)
	if err != nil {
		return endpoint{}, refusedValue("the namespace", fullyQualifiedNamespace, err)
	}
	return endpoint{namespace: host, webSocket: webSocket, tokens: tokens}, nil
}

// endpointFromCredential is the namespace with whatever token the credential gives.
func endpointFromCredential(fullyQualifiedNamespace string, credential azcore.TokenCredential) (endpoint, error) {
	e, err := endpointFromNamespace(fullyQualifiedNamespace, connection.TokensFromCredential(credential))
	if err == nil && credential == nil {
		err = invalid("the credential is nil")
	}
	return e, err
}

// endpointFromConnectionString reads a connection string. It also returns the hub: the one in the string or the one given, which
// must be the same if there are both. No error shows any part of the string but the hub.
func endpointFromConnectionString(text, hubName string) (endpoint, string, error) {
	s, err := connectionstring.Parse(text)
	if err != nil {
		return endpoint{}, "", refusedString(err)
	}
	if hubName, err = sameHub(s.Hub, hubName); err != nil {
		return endpoint{}, "", err
	}
	replaceable := new(secret)
	if signature := s.Signature(); signature != "" {
		replaceable.signature = true
		replaceable.source.Store(new(connection.TokensFromSAS(signature)))
	} else {
		replaceable.source.Store(new(connection.TokensFromKey(s.KeyName, s.Key())))
	}
	return endpoint{namespace: s.Namespace, plain: s.Emulator, webSocket: s.WebSocket, tokens: replaceable}, hubName, nil
}

// refusedString is the error for a connection string, with what to call instead where there is something.
func refusedString(err error) error {
	e, ok := errors.AsType[*connectionstring.Error](err)
	if ok && (e.Reason == connectionstring.Keyless || e.Reason == connectionstring.Identity) {
		return invalid("%s: for an Azure identity give the namespace (such as name.servicebus.windows.net) and a credential to NewBufferedProducer or NewConnection; "+
			"for a key give a connection string with SharedAccessKeyName and SharedAccessKey, as the portal shows it, whole: a shell cuts it at its first semicolon unless it is quoted", e)
	}
	return invalid("%w", err)
}

// refusedValue is the error for a value that comes by itself; nil if err is nil. A secret is not given to it.
func refusedValue(what, value string, err error) error {
	e, ok := errors.AsType[*connectionstring.Error](err)
	switch {
	case !ok:
		return err
	case value != "":
		what += " " + quoted(value)
	}
	return invalid("%s %s", what, e.Fault())
}

// maxQuoted is how long a name may be to be shown. What is longer is a mistake, and may be a token.
const maxQuoted = 100

// quoted is a name for an error's text, unless it may be a connection string, a signature, a key or a URL with a password in the wrong place.
func quoted(name string) string {
	if len(name) > maxQuoted || strings.ContainsAny(name, ";=@+&?") {
		return "(not shown, since it may hold a secret)"
	}
	return strconv.Quote(name)
}

// sameHub returns the hub that a connection string and an argument name, each of which may be empty. The service does not mind case.
func sameHub(inString, argument string) (string, error) {
	if argument != "" {
		if err := checkHub(argument); err != nil { // what is wrong with it is the reason why it is another
			return "", err
		}
	}
	switch {
	case inString == "" || strings.EqualFold(inString, argument):
		return argument, nil
	case argument == "":
		return inString, nil
	default:
		return "", invalid("the connection string is for the event hub %s (EntityPath) and the argument names %s: give one of them, or the same", quoted(inString), quoted(argument))
	}
}

// checkHub tells a hub name that no service would know.
func checkHub(name string) error {
	if name == "" {
		return invalid("no event hub is named: give its name as an argument, or as EntityPath in the connection string")
	}
	return refusedValue("the event hub's name", name, connectionstring.CheckHub(name))
}
