package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"io"
	"net"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/connectionstring"
	"github.com/go-eventhubs/eventhubs/websocketconn"
)

const (
	defaultHub    = "events"
	connectionEnv = "EVENTHUBS_CONNECTION_STRING"
)

// clientNames are the names by which the user gives a namespace and a hub: four options and a
// variable of the environment.
type clientNames struct {
	connectionString, stringFile, namespace, hub string
	variable                                     string
}

// oneNamespace has the names of the commands that are clients of one namespace.
var oneNamespace = clientNames{"connection-string", "connection-string-file", "namespace", "hub", connectionEnv}

// clientOptions are the options of the commands that are clients of a namespace.
type clientOptions struct {
	names            clientNames // set by register
	connectionString string      // empty: not given
	stringFile       string      // of --connection-string-file; empty: not given
	// Empty: not given; never together with connectionString.
	namespace  string
	credential azcore.TokenCredential  // with namespace
	hub        string                  // empty: not given, until read
	delivered  connectionstring.String // the parts of connectionString, after read
	caFile     string                  // empty: not given
	tls        *tls.Config
	webSocket  bool
}

func (c *clientOptions) register(flags *flag.FlagSet) {
	c.registerNames(flags, oneNamespace)
	c.registerTransport(flags)
}

// registerNames adds the flags about the namespace and the hub.
func (c *clientOptions) registerNames(flags *flag.FlagSet, names clientNames) {
	c.names = names
	flags.StringVar(&c.hub, names.hub, "", "")
	flags.StringVar(&c.connectionString, names.connectionString, "", "")
	flags.StringVar(&c.stringFile, names.stringFile, "", "")
	flags.StringVar(&c.namespace, names.namespace, "", "")
}

// registerTransport adds the flags about the way to the namespace.
func (c *clientOptions) registerTransport(flags *flag.FlagSet) {
	flags.StringVar(&c.caFile, "tls-ca", "", "")
	flags.BoolVar(&c.webSocket, "websocket", false, "")
}

// clientHelp is the part of each such command's help about these options.
const clientHelp = `  --hub NAME                event hub (default: the connection string's EntityPath, else events)
  --connection-string CS    namespace with a key or a signature. EVENTHUBS_CONNECTION_STRING or a
                            file is safer: other users of the machine can see command lines
  --connection-string-file FILE
                            a file that holds the connection string, so that no shell's history does
  --namespace HOST          namespace, such as name.servicebus.windows.net. The token comes from
                            DefaultAzureCredential: environment variables, workload or managed
                            identity, az login, azd. Needs --hub
  --websocket               AMQP over WebSocket, port 443, through the proxy in HTTPS_PROXY
  --tls-ca FILE             certificates (PEM) of authorities to trust besides the system's: that of
                            "eventhubs emulator --tls", or of a proxy that inspects TLS
`

// complete reads the environment and checks the options. It remembers the connection string first,
// so that no error shows its secrets.
func (c *clientOptions) complete(p *process, given map[string]bool) error {
	n := &c.names
	variable, set := p.lookupEnv(n.variable)
	inFile := given[n.stringFile]
	if !given[n.connectionString] && !inFile && !given[n.namespace] {
		c.connectionString = variable
	}
	p.hide(c.connectionString)
	p.hide(variable) // even if it is not used
	switch {
	case given[n.connectionString] && inFile:
		return badInput("--%s and --%s are given together; give one of them", n.connectionString, n.stringFile)
	case inFile && given[n.namespace]:
		return badInput("--%s and --%s are given together; the file has its own key, the second uses an Azure identity: give one of them", n.stringFile, n.namespace)
	case inFile:
		if err := c.readString(p); err != nil {
			return err
		}
	}
	switch {
	case given[n.connectionString] && given[n.namespace]:
		return badInput("--%s and --%s are given together; the first has its own key, the second uses an Azure identity: give one of them", n.connectionString, n.namespace)
	case set && isBlank(c.connectionString) && !given[n.namespace]:
		return errEmptyVariable(n.variable)
	case given[n.namespace] && !looksLikeHost(c.namespace):
		return badInput("--%s is %q; want a host such as name.servicebus.windows.net", n.namespace, c.namespace)
	case given[n.namespace] && c.hub == "":
		return badInput("--%s is given without --%s; name the event hub", n.namespace, n.hub)
	case given["tls-ca"] && c.embedded():
		return badInput("--tls-ca is for a namespace; give a connection string or --%s too", n.namespace)
	}
	if c.namespace != "" {
		credential, err := p.newCredential()
		if err != nil {
			return badInput("no Azure credential can be made for --%s: %w", n.namespace, err)
		}
		c.credential = briefCredential{credential}
	}
	return c.readAuthority(given["tls-ca"])
}

// maxStringBytes is more than any connection string has. A longer file is another one.
const maxStringBytes = 64 << 10

// readString reads the file that holds the connection string. The file may be a pipe, such as that of
// another program's output. No error shows any of its content.
func (c *clientOptions) readString(p *process) error {
	file, err := os.Open(c.stringFile)
	if err != nil {
		return badInput("--%s: %w", c.names.stringFile, withoutCall(err))
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxStringBytes+1))
	encoding := wideEncoding(text)
	switch {
	case err != nil:
		return badInput("--%s: %w", c.names.stringFile, withoutCall(err))
	case len(text) > maxStringBytes:
		return badInput("--%s: %s is longer than %d bytes, so it is no connection string", c.names.stringFile, c.stringFile, maxStringBytes)
	case encoding != "":
		return badInput("--%s: %s is in %s; save it as UTF-8", c.names.stringFile, c.stringFile, encoding)
	case isBlank(string(text)):
		return badInput("--%s: %s is empty; is the secret missing?", c.names.stringFile, c.stringFile)
	}
	c.connectionString = string(text)
	p.hide(c.connectionString)
	return nil
}

// looksLikeHost refuses texts that cannot be a namespace. A namespace's short name is the usual
// mistake.
func looksLikeHost(text string) bool {
	return strings.ContainsAny(text, ".:") && !strings.ContainsAny(text, "/;= ") || text == "localhost"
}

// embedded reports whether no namespace is named.
func (c *clientOptions) embedded() bool { return c.connectionString == "" && c.namespace == "" }

// errEmptyVariable is the error for a variable that is set and empty, as a missing secret leaves
// it. An emulator would otherwise take the events meant for the namespace, and lose them.
func errEmptyVariable(name string) error {
	return badInput("the environment variable %[1]s is set and empty; give it a connection string, "+
		"or unset it (unset %[1]s) if you mean no namespace", name)
}

// errNoNamespace is the error of the commands that need a namespace.
func errNoNamespace() error {
	return badInput("no namespace; give a connection string in %s or with --connection-string or --connection-string-file (\"eventhubs emulator\" prints one), or --namespace and --hub", connectionEnv)
}

// readAuthority reads the file of --tls-ca, if given.
func (c *clientOptions) readAuthority(given bool) error {
	if !given {
		return nil
	}
	pem, err := os.ReadFile(c.caFile)
	if err != nil {
		return badInput("--tls-ca: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		// The system has no certificates. Those of the file are enough.
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return badInput("--tls-ca %q has no certificate in PEM", c.caFile)
	}
	c.tls = &tls.Config{RootCAs: roots}
	return nil
}

// webSocketDialer returns the function that opens a WebSocket; nil without --websocket.
func (c *clientOptions) webSocketDialer() func(ctx context.Context, url string) (net.Conn, error) {
	if !c.webSocket {
		return nil
	}
	return (&websocketconn.Dialer{TLSConfig: c.tls}).Dial
}

// newProducer makes a producer. It does not touch the network.
func (c *clientOptions) newProducer(options *eventhubs.Options) (producer *eventhubs.BufferedProducer, err error) {
	options.Connection.TLSConfig = c.tls
	options.Connection.NewWebSocketConn = c.webSocketDialer()
	if c.namespace != "" {
		producer, err = eventhubs.NewBufferedProducer(c.namespace, c.hub, c.credential, options)
	} else {
		producer, err = eventhubs.NewBufferedProducerFromConnectionString(c.connectionString, c.hub, options)
	}
	if err != nil {
		return nil, badInput("%w", err)
	}
	return producer, nil
}

// maxBuffered bounds the memory in bytes of events that were received and are not printed yet.
const maxBuffered = 16 << 20

// connect makes a connection for questions and for reading. It does not touch the network.
func (c *clientOptions) connect(applicationID string) *connection.Conn {
	config := c.connection()
	config.ApplicationID, config.MaxBuffered = applicationID, maxBuffered
	return connection.New(config)
}

// connection returns the settings for a connection without a producer.
func (c *clientOptions) connection() connection.Config {
	config := connection.Config{
		Namespace: c.namespace, TLSConfig: c.tls, NewWebSocketConn: c.webSocketDialer(),
		Tokens: connection.TokensFromCredential(c.credential),
	}
	if c.namespace != "" {
		return config
	}
	config.Namespace, config.Plain = c.delivered.Namespace, c.delivered.Emulator
	config.Tokens = connection.TokensFromKey(c.delivered.KeyName, c.delivered.Key())
	if signature := c.delivered.Signature(); signature != "" {
		config.Tokens = connection.TokensFromSAS(signature)
	}
	return config
}

// closing returns a context for closing things. It lasts closeTimeout, even if ctx has ended.
func closing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
}
