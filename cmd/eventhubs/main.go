// Command eventhubs publishes lines of text to Azure Event Hubs, prints the events of a hub, and
// runs an emulator.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // A second interrupt ends the process at once.
	p := &process{
		lookupEnv: os.LookupEnv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		newCredential: newCredential, lookup: lookUpHost, now: time.Now,
	}
	os.Exit(p.run(ctx, os.Args[1:]))
}
