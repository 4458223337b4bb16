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

// container is what our connections are called, so that the servers know them.
const container = "interop"

// A broker is an AMQP server of others.
type broker struct {
	name  string // on the command line
	title string
	// byName brokers run only when they are named.
	byName bool
	// prepare installs it and returns its commands.
	prepare func(context.Context) (commands, error)
	// refusals are what it makes of messages that are too much for it, by the hub.
	refusals []refusal
	// swallows tells whether it can be told to store a message and break the connection instead of answering.
	swallows bool
	// oneSection brokers do not keep a message's data sections apart, or in their order: they get batches of one event.
	oneSection bool
	// refusesFormat brokers take messages of format 0 only, and so none of ours: only cases that publish nothing are of use.
	refusesFormat bool
	// formatless brokers forget a message's format.
	formatless bool
	// flat brokers take addresses without slashes.
	flat bool
	// missing is an address that is not there, unless it is that of the hub missing.
	missing string
	// missingCode is how it refuses that, unless as what it is.
	missingCode connection.Code
	// channels is how many sessions its channel-max allows, if that is few.
	channels int
	// idle is its idle time-out: it disconnects who says nothing for so long.
	idle time.Duration
	// lacks says of cases that it has no means for why that is so.
	lacks map[string]string
}

// Commands start a broker's programs; arguments are added to them.
type commands struct {
	server []string // a script of ours: port, a directory, container
	reader []string // port; nil if the server itself reports what arrives
	bare   func(port, directory string) ([]program, error)
	// Of a bare broker: which it is, and how it reports what arrives, if it does.
	version    string
	understand func([]byte) (line, bool)
	opens      func([]byte) bool // nil: it is ready when it speaks AMQP
}

// A refusal is what happens to a batch that is too much, because of its own size or of what is there already.
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
	manyChannels = "it allows thousands"
)

var brokers = []*broker{
	{
		name: "rhea", title: "rhea server", prepare: prepareRhea, swallows: true, channels: 64, idle: 2 * time.Second,
		refusals: []refusal{
			{"limited", connection.NotSent, connection.CodeTooLarge}, // the link says so beforehand
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
		lacks: map[string]string{nameProducer: noManagement, nameChannels: manyChannels},
	},
	{
		name: "rabbitmq", title: "RabbitMQ", prepare: prepareRabbitMQ, oneSection: true, formatless: true, flat: true, missing: "/exchange/missing/key",
		lacks: map[string]string{
			nameProducer: noManagement, nameChannels: manyChannels, nameDetached: noDetach, nameDry: noCredit, nameRefused: noBound, nameRestarted: notKept, nameIdle: noIdle,
		},
	},
	{
		name: "netlite", title: "AMQPNetLite listener", prepare: prepareNetLite,
		lacks: map[string]string{
			nameChannels: manyChannels, nameDetached: noDetach, nameDry: noCredit, nameRefused: noBound, nameMissing: "it has all addresses", nameIdle: noIdle,
		},
	},
	{
		name: "fe2o3", title: "fe2o3-amqp acceptor", prepare: prepareFe2o3, byName: true, channels: 256,
		lacks: map[string]string{
			nameProducer: noManagement, nameDetached: noDetach, nameDry: noCredit, nameRefused: noBound, nameMissing: "it has all addresses", nameIdle: noIdle,
		},
	},
	{
		name: "brokerj", title: "Qpid Broker-J", prepare: prepareBrokerJ, byName: true, flat: true, channels: 256, refusesFormat: true,
		lacks: map[string]string{nameMissing: "it makes what is asked for", nameIdle: noIdle},
	},
}

// unnamed are the brokers that run when none is named.
func unnamed() []*broker {
	return slices.DeleteFunc(slices.Clone(brokers), func(b *broker) bool { return b.byName })
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
	if err := setup.Need("Rust 1.85 or newer, with Cargo", "cargo"); err != nil {
		return commands{}, err
	}
	folder := filepath.Join("broker", "peers", "fe2o3")
	dir, err := setup.Install("fe2o3", folder, []string{"Cargo.toml", "Cargo.lock", "main.rs"}, func(dir string) error {
		return setup.Command(ctx, dir, "cargo", "build", "--locked", "--quiet")
	})
	return commands{
		version: "0.18.4", bare: func(port, _ string) ([]program, error) {
			return []program{{command: []string{filepath.Join(dir, "target", "debug", "server"), port}}}, nil
		},
		understand: func(text []byte) (said line, ok bool) {
			return said, json.Unmarshal(text, &said) == nil && said.Arrived != ""
		},
	}, err
}

// prepareNetLite takes the listener that is part of the program of .NET's clients: see interop/clients/dotnet/README.md.
func prepareNetLite(ctx context.Context) (commands, error) {
	client, err := setup.DotNet(ctx)
	return commands{
		version: "2.5.5, .NET", understand: netLiteArrival,
		// What comes before it says so is accepted and not reported.
		opens: func(text []byte) bool { return bytes.Contains(text, []byte(`"what":"listening"`)) }, bare: func(port, _ string) ([]program, error) {
			return []program{{append(slices.Clone(client), "netlite", "listen", "4"), []string{"ADDR=127.0.0.1:" + port}}}, nil
		},
	}, err
}

// netLiteArrival reads what the listener says of a message.
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
	// Of what is no message, more is a text.
	_ = json.Unmarshal(text, &said)
	if said.What != "message" {
		return line{}, false
	}
	m := said.More
	return line{Arrived: m.Address, Format: m.Format, Sections: m.Sections, Bytes: m.Bytes, Hash: m.SHA256}, true
}

// rheaReader is the command of the program that reads queues.
func rheaReader(ctx context.Context) ([]string, error) {
	dir, err := installRhea(ctx)
	return []string{"node", filepath.Join(dir, "reader.mjs")}, err
}

// installRhea returns the directory of the scripts, beside the package: Node.js looks for it from where they lie.
func installRhea(ctx context.Context) (dir string, err error) {
	folder := filepath.Join("broker", "peers", "rhea")
	if dir, err = setup.NPM(ctx, "rhea", folder); err != nil {
		return "", err
	}
	return dir, setup.CopyFiles(folder, dir, "server.mjs", "reader.mjs", "report.mjs")
}
