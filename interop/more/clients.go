package more

import (
	"context"
	"os"
	"path/filepath"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// A client is a program that uses a client library or a tool, with the emulator as its hub.
type client struct {
	name    string // on the command line
	title   string
	version string
	set     string // what a program that uses it must set, in Markdown
	lacks   string // what is known not to work, in Markdown
	// partitions of the hub; 0: one.
	partitions int
	// prepare installs the client and returns its command.
	prepare func(context.Context) (command []string, err error)
	// send and read are appended to the command. Without read the client only sends.
	send, read []string
	// bodies are the events that the client sends; nil: event-0 and so on.
	bodies []string
	// entityPath means that the client finds the hub in its connection string.
	entityPath bool
	// key is the partition key of the events that the client sends.
	key string
	// heard returns the events in the output; nil: a JSON object a line.
	heard func(output []byte) ([]heard, error)
	// says is the text that the client prints if its key is wrong. Empty: the command fails.
	says string
}

const telegrafVersion = "1.37.2"

var clients = []*client{
	{name: "proton", title: "Qpid Proton for Python", version: "0.40.0", prepare: prepareProton,
		send: []string{"send"}, read: []string{"read"},
		set:   "`user` and `password` are the key's name and the key. With `--auth` also `allowed_mechs=\"PLAIN\"`: by itself Proton chooses EXTERNAL, which proves nothing",
		lacks: "`BlockingReceiver.accept()`: every delivery is settled already"},
	{name: "jms", title: "Qpid JMS", version: "2.6.1", prepare: java("jms", "Jms"),
		send: []string{"send"}, read: []string{"read"},
		set:   "`amqp://HOST:PORT?amqp.saslMechanisms=PLAIN`; user and password are the key's name and the key. Queues are `HUB` and `HUB/ConsumerGroups/GROUP/Partitions/ID`",
		lacks: "temporary queues and transactions"},
	{name: "vertx", title: "Vert.x AMQP client", version: "4.5.11", prepare: java("vertx", "VertxAmqp"),
		send: []string{"send"}, read: []string{"read"},
		set:   "`setHost`, `setPort`; `setUsername` and `setPassword` are the key's name and the key. Addresses as for JMS",
		lacks: "dynamic receivers, anonymous senders"},
	{name: "netlite", title: ".NET AMQPNetLite", version: "2.5.5", prepare: setup.DotNet,
		send: []string{"netlite", "send"}, read: []string{"netlite", "receive"},
		bodies: []string{netLiteBytes, ""}, partitions: 8, heard: hearNetLite,
		set: "`amqp://NAME:KEY@HOST:PORT`; addresses as for JMS"},
	{name: "telegraf", title: "Telegraf's output event_hubs", version: telegrafVersion, prepare: prepareTelegraf,
		bodies: lines(), entityPath: true, key: "motor-7", says: "InvalidSignature",
		set:   "`connection_string` with `EntityPath`",
		lacks: "it has no input for Event Hubs except over Kafka"},
	{name: "dapr", title: "Dapr's pubsub.azure.eventhubs", version: "1.18.0", prepare: prepareDapr, key: "motor-7",
		set:   "`connectionString`",
		lacks: "subscribing was not tried: it needs a storage account"},
}

func prepareProton(ctx context.Context) ([]string, error) {
	folder := filepath.Join("more", "proton")
	python, err := setup.Python(ctx, "proton", folder)
	if err != nil {
		return nil, err
	}
	script, err := filepath.Abs(filepath.Join(folder, "client.py"))
	return []string{python, "-B", script}, err
}

// java returns the preparation of a class that stands in its own folder.
func java(folder, class string) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		command, err := setup.Java(ctx, folder, filepath.Join("more", folder), class+".java")
		return append(command, "interop."+class), err
	}
}

// prepareTelegraf builds Telegraf itself, with the plugins that its configuration here names.
func prepareTelegraf(ctx context.Context) ([]string, error) {
	const module = "github.com/influxdata/telegraf/cmd/telegraf@v" + telegrafVersion
	folder := filepath.Join("more", "telegraf")
	dir, err := setup.Install("telegraf-"+telegrafVersion, folder, []string{"telegraf.conf"}, func(dir string) error {
		return setup.CommandWith(ctx, dir, []string{"GOBIN=" + dir, "GOFLAGS=-mod=mod"}, "go", "install", "-tags", "custom,inputs.file,outputs.event_hubs,parsers.influx,serializers.influx", module)
	})
	return []string{filepath.Join(dir, setup.Executable("telegraf")), "--config", filepath.Join(dir, "telegraf.conf"), "--once"}, err
}

func prepareDapr(ctx context.Context) ([]string, error) {
	program, err := setup.Go(ctx, "dapr", filepath.Join("more", "dapr"), ".")
	return []string{program}, err
}

// lines are the metrics that Telegraf reads and sends, in InfluxDB's line protocol.
func lines() []string {
	all := numbered()
	for i, number := range all {
		all[i] = "reading,device=motor-7 name=\"" + number + "\" 1700000000000000000\n"
	}
	return all
}

// writeLines writes what Telegraf reads, and returns the file's name.
func writeLines() (name string, err error) {
	file, err := os.CreateTemp("", "interop-lines-")
	if err != nil {
		return "", err
	}
	for _, line := range lines() {
		if _, err := file.WriteString(line); err != nil {
			return file.Name(), err
		}
	}
	return file.Name(), file.Close()
}
