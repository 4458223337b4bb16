package main

import (
	"context"
	"path/filepath"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// container is what our connections are called, so that the servers know them.
const container = "interop"

// A broker is an AMQP server of others.
type broker struct {
	name  string // on the command line
	title string
	// prepare installs it and returns its commands.
	prepare func(context.Context) (commands, error)
	// refusals are what it makes of messages that are too much for it, by the hub.
	refusals []refusal
	// swallows tells whether it can be told to store a message and break the connection instead of answering.
	swallows bool
	// lacks says of cases that it has no means for why that is so.
	lacks map[string]string
}

// Commands start a broker's programs; arguments are added to them.
type commands struct {
	server []string // port, a directory, container
	reader []string // port; nil if the server itself reports what arrives
}

// A refusal is what happens to a batch that is too much, because of its own size or of what is there already.
type refusal struct {
	hub     string
	outcome connection.Outcome
	code    connection.Code
}

var brokers = []*broker{
	{
		name: "rhea", title: "rhea server", prepare: prepareRhea, swallows: true,
		refusals: []refusal{
			{"limited", connection.NotSent, connection.CodeTooLarge}, // the link says so beforehand
			{"strict", connection.Rejected, connection.CodeTooLarge},
		},
	},
	{
		name: "artemis", title: "ActiveMQ Artemis", prepare: prepareArtemis,
		refusals: []refusal{{"limited", connection.Rejected, connection.CodeQuota}},
		lacks:    map[string]string{nameProducer: "it has no $management"},
	},
}

func prepareRhea(ctx context.Context) (commands, error) {
	dir, err := installRhea(ctx)
	return commands{server: []string{"node", filepath.Join(dir, "server.mjs")}}, err
}

func prepareArtemis(ctx context.Context) (commands, error) {
	dir, err := installRhea(ctx)
	if err != nil {
		return commands{}, err
	}
	server, err := setup.Java(ctx, "artemis", filepath.Join("broker", "peers", "artemis"), "Broker.java")
	return commands{server: append(server, "interop.Broker"), reader: []string{"node", filepath.Join(dir, "reader.mjs")}}, err
}

// installRhea returns the directory of the scripts, beside the package: Node.js looks for it from where they lie.
func installRhea(ctx context.Context) (dir string, err error) {
	folder := filepath.Join("broker", "peers", "rhea")
	if dir, err = setup.NPM(ctx, "rhea", folder); err != nil {
		return "", err
	}
	return dir, setup.CopyFiles(folder, dir, "server.mjs", "reader.mjs", "report.mjs")
}
