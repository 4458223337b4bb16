package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
)

const emulatorHelp = `Runs an emulator of Event Hubs in this process until it is interrupted. It speaks AMQP without TLS,
so clients need a connection string with UseDevelopmentEmulator=true, which it prints on standard
output on a line of its own. What it stores is in memory and ends with it.

Usage:
  eventhubs emulator [options]

Options:
  --addr HOST:PORT         address to listen on; port 0 takes a free one (default 127.0.0.1:0)
  --hub NAME:PARTITIONS    a hub that exists; may be repeated (default events:8)

Whoever reaches the address may read and write: it takes any key. Leave it on loopback unless you
mean otherwise.

Exit status: 0 after an interrupt; 1 the address cannot be listened on; 2 wrong command line.

Examples:
  eventhubs emulator
  eventhubs emulator --addr 127.0.0.1:5672 --hub orders:4 --hub audit:1
  eventhubs publish --connection-string "$(what the emulator printed)" --hub orders orders.ndjson
`

func runEmulator(ctx context.Context, p *process, args []string) error {
	options, err := parseEmulator(args)
	if err != nil {
		return err
	}
	server, err := startEmulator(options)
	if err != nil {
		return err
	}
	defer server.Close()
	for _, hub := range options.Hubs {
		fmt.Fprintf(p.stderr, "Hub %s with %d partitions.\n", hub.Name, hub.Partitions)
	}
	if host, _, _ := net.SplitHostPort(server.Addr()); !net.ParseIP(host).IsLoopback() {
		fmt.Fprintln(p.stderr, "This address may be reached from other machines, and any key is taken.")
	}
	fmt.Fprintln(p.stderr, "The emulator listens on "+server.Addr()+". Interrupt it to end it.")
	if _, err := fmt.Fprintln(p.stdout, server.ConnectionString("")); err != nil {
		return err
	}
	<-ctx.Done()
	return server.Close()
}

func parseEmulator(args []string) (*emulator.Options, error) {
	options := &emulator.Options{}
	flags := newFlagSet("emulator")
	flags.StringVar(&options.Addr, "addr", "127.0.0.1:0", "")
	flags.Func("hub", "", func(spec string) error {
		hub, err := parseHub(spec)
		options.Hubs = append(options.Hubs, hub)
		return err
	})
	others, err := parseFlags(flags, args)
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		return nil, badInput("unexpected argument %q; see \"eventhubs emulator --help\"", others[0])
	}
	_, port, err := net.SplitHostPort(options.Addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return nil, badInput("--addr %q is not HOST:PORT with a port from 0 to 65535", options.Addr)
	}
	if len(options.Hubs) == 0 {
		options.Hubs = []emulator.Hub{{Name: defaultHub, Partitions: defaultPartitions}}
	}
	return options, nil
}

// parseHub reads NAME:PARTITIONS.
func parseHub(spec string) (emulator.Hub, error) {
	name, count, ok := strings.Cut(spec, ":")
	partitions, err := strconv.Atoi(count)
	if !ok || name == "" || err != nil || partitions < 1 {
		return emulator.Hub{}, errors.New("want NAME:PARTITIONS, for example events:8")
	}
	return emulator.Hub{Name: name, Partitions: partitions}, nil
}

// startEmulator starts an emulator and tells options that can never do from an address that is
// taken or not ours.
func startEmulator(options *emulator.Options) (*emulator.Server, error) {
	server, err := emulator.New(options)
	if err == nil {
		return server, nil
	}
	if cause, ok := errors.AsType[*net.OpError](err); ok {
		return nil, fmt.Errorf("cannot listen on %s (port 0 takes a free one): %w", options.Addr, cause)
	}
	return nil, badInput("%w", err)
}
