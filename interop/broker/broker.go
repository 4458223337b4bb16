package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// container is the name of our connections at the servers.
const container = "interop"

// A broker is another project's AMQP server.
type broker struct {
	name  string // on the command line
	title string
	// byName brokers run only if named.
	byName bool
	// prepare installs it and returns its commands.
	prepare func(context.Context) (commands, error)
	// refusals are the broker's answers to messages over its limits, by hub.
	refusals []refusal
	// swallows says whether the broker can store a message and break the connection instead of
	// answering.
	swallows bool
	// oneSection brokers do not keep a message's data sections separate, or in order. They get
	// batches of one event.
	oneSection bool
	// numbers says whether the broker knows idempotent producers.
	numbers bool
	// refusesFormat brokers accept only messages of format 0, and so none of ours. Only cases that
	// publish nothing are useful.
	refusesFormat bool
	// formatless brokers forget a message's format.
	formatless bool
	// flat brokers accept addresses without slashes.
	flat bool
	// missing is an address that does not exist, if the hub missing is not one.
	missing string
	// missingCode is the code of that refusal, if it is not CodeNotFound.
	missingCode connection.Code
	// channels is the number of sessions in its channel-max, if that is small.
	channels int
	// idle is its idle time-out: it disconnects a client that is silent for so long.
	idle time.Duration
	// lacks says why the broker cannot run some cases.
	lacks map[string]string
}

// commands start a broker's programs; arguments are appended.
type commands struct {
	server []string // our script: port, a directory, container
	reader []string // port; nil if the server itself reports what arrives
	bare   func(port, directory string) ([]program, error)
	// Of a bare broker: its version, and how it reports arrivals, if it does.
	version    string
	understand func([]byte) (line, bool)
	opens      func([]byte) bool // nil: it is ready when it speaks AMQP
}

// A refusal is the answer to a batch that is too large, or that finds the queue full.
type refusal struct {
	hub     string
	outcome connection.Outcome
	code    connection.Code
}

const (
	noDetach     = "it cannot be told to close a link"
	noManagement = "it has no $management"
	noBound      = "it takes all that we can send"
	noCredit     = "it gives credit whatever is in its queue"
	notKept      = "it keeps nothing over its end that does not say that it is durable, as no batch does"
	noIdle       = "it has no idle time-out"
	noEvents     = "it reports batches, not events"
	oneEvent     = "it delivers one event of a batch"
	manyChannels = "it allows thousands"
)

var brokers = []*broker{
	{
		name: "rhea", title: "rhea server", prepare: prepareRhea, swallows: true, numbers: true, channels: 64, idle: 2 * time.Second,
		refusals: []refusal{
			{"limited", connection.NotSent, connection.CodeTooLarge}, // the link states the limit
			{"strict", connection.Rejected, connection.CodeTooLarge},
		},
	},
	{
		name: "artemis", title: "ActiveMQ Artemis", prepare: prepareArtemis, idle: 2 * time.Second,
		refusals: []refusal{{"limited", connection.Rejected, connection.CodeQuotaExceeded}},
		lacks:    map[string]string{nameProducer: noManagement, nameChannels: manyChannels},
	},
	{
		name: "activemq", title: "ActiveMQ Classic", prepare: prepareActiveMQ, idle: 2 * time.Second, missingCode: connection.CodeUnauthorized,
		lacks: map[string]string{nameProducer: noManagement, nameChannels: manyChannels, nameDetached: noDetach, nameDry: noCredit, nameRefused: noBound},
	},
	{
		name: "vertx", title: "vertx-proton", prepare: prepareVertx, swallows: true, oneSection: true, idle: 2 * time.Second,
		refusals: []refusal{
			{"limited", connection.NotSent, connection.CodeTooLarge},
			{"strict", connection.Rejected, connection.CodeTooLarge},
		},
		lacks: map[string]string{nameProducer: noManagement, nameChannels: manyChannels, nameKilled: oneEvent},
	},
	{
		name: "rabbitmq", title: "RabbitMQ", prepare: prepareRabbitMQ, oneSection: true, formatless: true, flat: true, missing: "/exchange/missing/key",
		lacks: map[string]string{
			nameProducer: noManagement, nameChannels: manyChannels, nameDetached: noDetach, nameDry: noCredit, nameRefused: noBound, nameRestarted: notKept, nameKilled: notKept,
			nameIdle: noIdle,
		},
	},
	{
		name: "netlite", title: "AMQPNetLite listener", prepare: prepareNetLite,
		lacks: map[string]string{
			nameChannels: manyChannels, nameDetached: noDetach, nameDry: noCredit, nameRefused: noBound, nameMissing: "it has all addresses", nameIdle: noIdle,
			nameKilled: noEvents,
		},
	},
	{
		name: "fe2o3", title: "fe2o3-amqp acceptor", prepare: prepareFe2o3, byName: true, channels: 256,
		lacks: map[string]string{
			nameProducer: noManagement, nameDetached: noDetach, nameDry: noCredit, nameRefused: noBound, nameMissing: "it has all addresses", nameIdle: noIdle,
			nameKilled: noEvents,
		},
	},
	{
		name: "brokerj", title: "Qpid Broker-J", prepare: prepareBrokerJ, byName: true, flat: true, channels: 256, refusesFormat: true,
		lacks: map[string]string{nameMissing: "it makes what is asked for", nameIdle: noIdle},
	},
}

func prepareRhea(ctx context.Context) (commands, error) {
	dir, err := installRhea(ctx)
	return commands{server: []string{"node", filepath.Join(dir, "server.mjs")}}, err
}

func prepareArtemis(ctx context.Context) (commands, error) {
	reader, err := rheaReader(ctx)
	if err != nil {
		return commands{}, err
	}
	server, err := setup.Java(ctx, "artemis", filepath.Join("broker", "peers", "artemis"), "Broker.java")
	return commands{server: append(server, "interop.Broker"), reader: reader}, err
}

func prepareVertx(ctx context.Context) (commands, error) {
	server, err := setup.Java(ctx, "vertx", filepath.Join("broker", "peers", "vertx"), "Server.java")
	return commands{server: append(server, "interop.Server")}, err
}

func prepareActiveMQ(ctx context.Context) (commands, error) {
	reader, err := rheaReader(ctx)
	if err != nil {
		return commands{}, err
	}
	server, err := setup.Java(ctx, "activemq", filepath.Join("broker", "peers", "activemq"), "Classic.java")
	return commands{
		reader: reader, version: "6.1.7", bare: func(port, directory string) ([]program, error) {
			return []program{{command: append(slices.Clone(server), "interop.Classic", port, directory)}}, nil
		},
	}, err
}

func prepareBrokerJ(ctx context.Context) (commands, error) {
	server, err := setup.Java(ctx, "brokerj", filepath.Join("broker", "peers", "brokerj"), "BrokerJ.java")
	return commands{version: "9.2.0", bare: func(port, directory string) ([]program, error) {
		return []program{{command: append(slices.Clone(server), "interop.BrokerJ", port, directory)}}, nil
	}}, err
}

func prepareFe2o3(ctx context.Context) (commands, error) {
	server, err := setup.Cargo(ctx, "fe2o3", filepath.Join("broker", "peers", "fe2o3"), "server", "main.rs")
	return commands{
		version: "0.18.4", bare: func(port, _ string) ([]program, error) {
			return []program{{command: []string{server, port}}}, nil
		},
		understand: func(text []byte) (said line, ok bool) {
			return said, json.Unmarshal(text, &said) == nil && said.Arrived != ""
		},
	}, err
}

// prepareNetLite uses the listener in the program of .NET's clients: see
// interop/clients/dotnet/README.md.
func prepareNetLite(ctx context.Context) (commands, error) {
	client, err := setup.DotNet(ctx)
	return commands{
		version: "2.5.5, .NET", understand: netLiteArrival,
		// It accepts earlier messages, but does not report them.
		opens: func(text []byte) bool { return bytes.Contains(text, []byte(`"what":"listening"`)) }, bare: func(port, _ string) ([]program, error) {
			return []program{{append(slices.Clone(client), "netlite", "listen", "4"), []string{"ADDR=127.0.0.1:" + port}}}, nil
		},
	}, err
}

// netLiteArrival reads the listener's report of a message.
func netLiteArrival(text []byte) (line, bool) {
	var said struct {
		What string
		More struct {
			Address         string
			Format          uint32
			Sections, Bytes int
			SHA256          string
		}
	}
	// In other reports More is a text.
	_ = json.Unmarshal(text, &said)
	if said.What != "message" {
		return line{}, false
	}
	m := said.More
	return line{Arrived: m.Address, Format: m.Format, Sections: m.Sections, Bytes: m.Bytes, Hash: m.SHA256}, true
}

// rheaReader returns the command of the program that reads queues.
func rheaReader(ctx context.Context) ([]string, error) {
	dir, err := installRhea(ctx)
	return []string{"node", filepath.Join(dir, "reader.mjs")}, err
}

// installRhea returns the directory of the scripts, next to the package. Node.js searches from
// there.
func installRhea(ctx context.Context) (dir string, err error) {
	folder := filepath.Join("broker", "peers", "rhea")
	if dir, err = setup.NPM(ctx, "rhea", folder); err != nil {
		return "", err
	}
	return dir, setup.CopyFiles(folder, dir, "server.mjs", "reader.mjs", "report.mjs", "numbered.mjs")
}
