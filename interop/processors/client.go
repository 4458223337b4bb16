package main

import (
	"context"
	"io"
	"path/filepath"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// A client is an official client with a program that processes a hub's events.
type client struct {
	name    string // on the command line
	title   string
	manner  string // of the processors' end, for the table
	run     func(ctx context.Context, c *client, log io.Writer) (outcome, error)
	prepare func(context.Context) (command []string, err error)
}

const killed = "two processes, one killed; checkpoints in Azurite"

var clients = []*client{
	{name: "python", title: "Python azure-eventhub", manner: killed, run: runKilled, prepare: preparePython},
	{name: "java", title: "Java azure-messaging-eventhubs", manner: killed, run: runKilled, prepare: prepareJava},
	{name: "javascript", title: "JavaScript @azure/event-hubs", manner: killed, run: runKilled, prepare: prepareJavaScript},
	{name: "dotnet", title: ".NET Azure.Messaging.EventHubs", manner: "one process, one processor leaves; checkpoints in memory", run: runDotNet, prepare: setup.DotNet},
}

func prepareJavaScript(ctx context.Context) ([]string, error) {
	folder := filepath.Join("processors", "javascript")
	dir, err := setup.NPM(ctx, "processors-javascript", folder)
	if err != nil {
		return nil, err
	}
	// Node.js searches packages from the script's place.
	return []string{"node", filepath.Join(dir, "processor.mjs")}, setup.CopyFiles(folder, dir, "processor.mjs")
}

func preparePython(ctx context.Context) ([]string, error) {
	folder := filepath.Join("processors", "python")
	python, err := setup.Python(ctx, "processors-python", folder)
	if err != nil {
		return nil, err
	}
	script, err := filepath.Abs(filepath.Join(folder, "processor.py"))
	return []string{python, "-B", script}, err
}

func prepareJava(ctx context.Context) ([]string, error) {
	command, err := setup.Java(ctx, "processors-java", filepath.Join("processors", "java"), "Processor.java")
	return append(command, "interop.Processor"), err
}
