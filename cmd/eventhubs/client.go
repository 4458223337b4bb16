package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
)

const (
	defaultHub    = "events"
	connectionEnv = "EVENTHUBS_CONNECTION_STRING"
)

// clientOptions are the options of the commands that are clients of a namespace.
type clientOptions struct {
	connectionString string // empty: not given
	hub              string // empty: not given
	caFile           string // empty: not given
	tls              *tls.Config
}

func (c *clientOptions) register(flags *flag.FlagSet) {
	flags.StringVar(&c.hub, "hub", "", "")
	flags.StringVar(&c.connectionString, "connection-string", "", "")
	flags.StringVar(&c.caFile, "tls-ca", "", "")
}

// complete looks into the environment, and checks what it can. Before anything else it remembers the connection
// string, so that no error shows its secrets.
func (c *clientOptions) complete(p *process, given map[string]bool) error {
	if !given["connection-string"] {
		c.connectionString = p.getenv(connectionEnv)
	}
	p.connectionString = c.connectionString
	switch {
	case given["connection-string"] && c.connectionString == "":
		return badInput("--connection-string is empty; leave it out, or give one that \"eventhubs emulator\" or the portal shows")
	case given["hub"] && c.hub == "":
		return badInput("--hub is empty")
	case given["tls-ca"] && c.connectionString == "":
		return badInput("--tls-ca is for a namespace, and there is no connection string")
	}
	if !given["tls-ca"] {
		return nil
	}
	pem, err := os.ReadFile(c.caFile)
	if err != nil {
		return badInput("--tls-ca: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a system without certificates; those of the file are what matters
	}
	if !roots.AppendCertsFromPEM(pem) {
		return badInput("--tls-ca %q has no certificate in PEM", c.caFile)
	}
	c.tls = &tls.Config{RootCAs: roots}
	return nil
}

// hubToAsk is the hub to ask a namespace for: empty if only the connection string names it. A connection string that is
// malformed is the producer's to refuse.
func (c *clientOptions) hubToAsk() string {
	if c.namesHub() {
		return c.hub
	}
	return cmp.Or(c.hub, defaultHub)
}

// hubForSDK is hubToAsk for the SDK, which wants to hear no hub if the connection string names one, not even the same.
func (c *clientOptions) hubForSDK() string {
	if c.namesHub() {
		return ""
	}
	return c.hubToAsk()
}

// namesHub tells whether the connection string names a hub.
func (c *clientOptions) namesHub() bool {
	properties, err := azeventhubs.ParseConnectionString(c.connectionString)
	return err == nil && properties.EntityPath != nil && *properties.EntityPath != ""
}

// newProducer makes a producer, which does not reach for the network yet. What is wrong with the connection string or
// the hub's name is bad input.
func (c *clientOptions) newProducer(options *eventhubs.Options) (*eventhubs.BufferedProducer, error) {
	options.Connection.TLSConfig = c.tls
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(c.connectionString, c.hubToAsk(), options)
	if err != nil {
		return nil, badInput("%w", err)
	}
	return producer, nil
}

// closing returns a context for closing things, which goes on for closeTimeout when ctx has ended.
func closing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
}
