package eventhubs

import (
	"errors"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/connectionstring"
)

// endpoint is where a namespace is and how to authorise. Only tokens has the secrets.
type endpoint struct {
	namespace string
	plain     bool   // the development emulator: no TLS
	webSocket string // the setting that asks for AMQP over WebSocket; empty if none does
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

// check refuses options with which the endpoint cannot be reached.
func (e endpoint) check(o ConnectionOptions) error {
	if e.webSocket != "" && o.NewWebSocketConn == nil {
		return invalid("the namespace must be reached by AMQP over WebSocket (%s), but ConnectionOptions.NewWebSocketConn is not set: "+
			"set it to websocketconn.Dial (package websocketconn), or remove the setting in parentheses", e.webSocket)
	}
	if o.CustomEndpoint == "" {
		return nil
	}
	return refusedValue("ConnectionOptions.CustomEndpoint", o.CustomEndpoint, connectionstring.CheckDialable(o.CustomEndpoint))
}

// endpointFromNamespace returns the namespace's endpoint, with a source of tokens.
func endpointFromNamespace(fullyQualifiedNamespace string, tokens connection.TokenSource) (endpoint, error) {
	host, webSocket, err := connectionstring.Namespace(fullyQualifiedNamespace)
	if err != nil {
		return endpoint{}, refusedValue("the namespace", fullyQualifiedNamespace, err)
	}
	return endpoint{namespace: host, webSocket: webSocket, tokens: tokens}, nil
}

// endpointFromCredential returns the namespace's endpoint, with tokens from the credential.
func endpointFromCredential(fullyQualifiedNamespace string, credential azcore.TokenCredential) (endpoint, error) {
	e, err := endpointFromNamespace(fullyQualifiedNamespace, connection.TokensFromCredential(credential))
	if err == nil && credential == nil {
		err = invalid("the credential is nil")
	}
	return e, err
}

// endpointFromConnectionString reads a connection string. It also returns the hub: the one in the
// string or the one given, which must be the same if there are both. Errors show no part of the
// string except the hub.
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

// refusedString returns the error for a refused connection string, and says what to call instead if
// something fits.
func refusedString(err error) error {
	e, ok := errors.AsType[*connectionstring.Error](err)
	if ok && (e.Reason == connectionstring.Keyless || e.Reason == connectionstring.Identity) {
		return invalid("%s: for an Azure identity give the namespace (such as name.servicebus.windows.net) and a credential to NewBufferedProducer or NewConnection; "+
			"for a key give a connection string with SharedAccessKeyName and SharedAccessKey, as the portal shows it, whole: a shell cuts it at its first semicolon unless it is quoted", e)
	}
	return invalid("%w", err)
}

// refusedValue returns the error for a single refused value; nil if err is nil. Callers never pass
// it a secret.
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

// maxQuoted is the longest name that an error shows. A longer one is a mistake, and may be a token.
const maxQuoted = 100

// quoted returns a name for an error's text. It hides a name that may be a misplaced connection
// string, signature, key, or URL with a password.
func quoted(name string) string {
	if len(name) > maxQuoted || strings.ContainsAny(name, ";=@+&?") {
		return "(not shown, since it may hold a secret)"
	}
	return strconv.Quote(name)
}

// sameHub returns the hub that a connection string and an argument name. Either may be empty. The
// service ignores case.
func sameHub(inString, argument string) (string, error) {
	if argument != "" {
		if err := checkHub(argument); err != nil { // say what is wrong with it, not that they differ
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

// checkHub refuses a hub name that no service can have.
func checkHub(name string) error {
	if name == "" {
		return invalid("no event hub is named: give its name as an argument, or as EntityPath in the connection string")
	}
	return refusedValue("the event hub's name", name, connectionstring.CheckHub(name))
}
