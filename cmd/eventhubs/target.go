package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// lookTimeout bounds the first question to the namespace, retries included.
const lookTimeout = 30 * time.Second

// A target is the destination of the events: a namespace, or an emulator inside this process.
type target struct {
	clientOptions                  // how to reach it
	server        *emulator.Server // nil for a namespace
}

func openTarget(opts *publishOptions) (*target, error) {
	if !opts.embedded() {
		return &target{clientOptions: opts.clientOptions}, nil
	}
	hub := cmp.Or(opts.hub, defaultHub)
	server, err := startEmulator(&emulator.Options{
		Addr: "127.0.0.1:0",
		Hubs: []emulator.Hub{{Name: hub, Partitions: opts.partitions}},
	})
	if err != nil {
		return nil, err
	}
	to := opts.clientOptions
	to.connectionString, to.hub = server.ConnectionString(""), hub
	return &target{to, server}, to.read(nil)
}

// embedded reports whether the target is an emulator inside this process.
func (t *target) embedded() bool { return t.server != nil }

func (t *target) close() {
	if t.server != nil {
		t.server.Close()
	}
}

// hubProperties asks for the properties of the producer's hub, within a time.
func hubProperties(ctx context.Context, producer *eventhubs.BufferedProducer, within time.Duration) (eventhubs.EventHubProperties, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("no answer within %v", within))
	defer cancel()
	properties, err := producer.EventHubProperties(ctx)
	return properties, explainLook(producer.EventHubName(), err)
}

// explainLook explains why the properties of a hub are not known; nil stays nil.
func explainLook(hub string, err error) error {
	if err == nil {
		return nil
	}
	if dns := notFound(err); dns != nil {
		return badInput("there is no host %q: %w", dns.Name, err)
	}
	missing := false
	if e, ok := errors.AsType[*eventhubs.Error](err); ok {
		missing = e.Code == eventhubs.CodeNotFound
	} else if e, ok := errors.AsType[*connection.Error](err); ok {
		missing = e.Code == connection.CodeNotFound
	}
	if missing {
		return badInput("event hub %q was not found: %w", hub, err)
	}
	return fmt.Errorf("asking for event hub %q: %w%s", hub, err, seeCheck(err))
}

// notFound returns the error of a name server that does not know the host; nil for another error.
func notFound(err error) *net.DNSError {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return dns
	}
	return nil
}

// seeCheck points to "eventhubs check" when a namespace cannot be reached or refuses access.
func seeCheck(err error) string {
	if errors.Is(err, context.Canceled) {
		return "" // by the user
	}
	return "; \"eventhubs check\" says which step on the way fails"
}

// noPartition names the partitions of the hub.
func noPartition(hub, id string, ids []string) error {
	return badInput("event hub %q has no partition %q; it has %s", hub, id, strings.Join(ids, ", "))
}
