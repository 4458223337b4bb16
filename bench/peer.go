package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"slices"
)

// A peer is one way to publish. Flags and tables use its name.
type peer struct {
	name   string
	title  string
	server serverKind
	// open makes it ready to publish; nil for another program: a script, or the bench of an earlier
	// commit.
	open   func(context.Context, *job) (producer, error)
	script *script
	// prepare finds a program that is neither a script nor an earlier bench.
	prepare func(context.Context) (*program, error)
}

// foreign reports whether the peer is another project's program.
func (p *peer) foreign() bool { return p.script != nil || p.prepare != nil }

// A producer is a peer at work.
type producer interface {
	// produce publishes until the load stops, and returns when all events are acknowledged. It may
	// be called again.
	produce(context.Context, *load) error
	close(context.Context) error
}

// The names of the peers.
const (
	ours         = "ours"
	before       = "before"
	rawTCP       = "tcp"
	rawFrames    = "frames"
	rawAMQP      = "go-amqp"
	byHand       = "azeventhubs"
	oneByOne     = "azeventhubs-single"
	rawFile      = "file"
	bboltOutbox  = "bbolt"
	otelOutbox   = "file_storage"
	franz        = "franz-go"
	javaScript   = "javascript"
	pythonAzure  = "python"
	javaAzure    = "java"
	dotnet       = "dotnet"
	dotnetByHand = "dotnet-batch"
)

// peers are all peers, in the order of the tables.
var peers = []*peer{
	{name: rawTCP, title: "raw TCP", server: sinkServer, open: openBlocks},
	{name: rawFile, title: "raw file, the same bytes, write and fdatasync", server: noServer, open: openRawFile},
	{name: rawFrames, title: "ready-made AMQP frames, no library", server: nullServerAMQP, open: openFrames},
	{name: rawAMQP, title: "go-amqp, pre-encoded full batches, pipelined", server: nullServerAMQP, open: openGoAMQP},
	{name: ours, title: "**this producer**, event by event", server: nullServerAMQP, open: openOurs},
	{name: before, title: "this producer, as it was at the commit that -before names", server: nullServerAMQP},
	{name: franz, title: "franz-go to a null Kafka server, record by record", server: kafkaServer, open: openFranz},
	{name: byHand, title: "azeventhubs, batches filled by hand", server: nullServerAMQP, open: openByHand},
	{name: oneByOne, title: "azeventhubs, one event a send, 64 goroutines", server: nullServerAMQP, open: openOneByOne},
	{name: bboltOutbox, title: "bbolt, a value an event, and this producer", server: nullServerAMQP, open: openBboltOutbox},
	{name: otelOutbox, title: "file_storage of the OpenTelemetry collector, a value an event, and this producer", server: nullServerAMQP, open: openOtelOutbox},
	{name: dotnetByHand, title: ".NET, batches filled by hand", server: nullServerAMQP, prepare: prepareDotnet},
	{name: dotnet, title: ".NET EventHubBufferedProducerClient", server: nullServerAMQP, prepare: prepareDotnet},
	{name: javaScript, title: "JavaScript EventHubBufferedProducerClient", server: nullServerAMQP, script: &javaScriptPeer},
	{name: pythonAzure, title: "Python EventHubProducerClient(buffered_mode=True)", server: nullServerAMQP, script: &pythonPeer},
	{name: javaAzure, title: "Java EventHubBufferedProducerClient", server: nullServerAMQP, script: &javaPeer},
}

// peerNamed finds a peer; nil if there is none.
func peerNamed(name string) *peer {
	if i := slices.IndexFunc(peers, func(p *peer) bool { return p.name == name }); i >= 0 {
		return peers[i]
	}
	return nil
}

func peerNames() (names []string) {
	for _, p := range peers {
		names = append(names, p.name)
	}
	return names
}

// tlsConfig trusts the server's authority; nil for a run without TLS.
func (j *job) tlsConfig() (*tls.Config, error) {
	if !j.Scenario.TLS {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(j.Server.Authority) {
		return nil, errors.New("the server has sent no certificate authority")
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}, nil
}

// environment adds a program's variables to our own.
func environment(own []string, more map[string]string) []string {
	for _, name := range slices.Sorted(maps.Keys(more)) {
		own = append(own, name+"="+more[name])
	}
	return own
}
