package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/setup"
	"github.com/go-eventhubs/eventhubs/interop/internal/command"
)

const (
	// faultLimit is how long a client may try.
	faultLimit = 120 * time.Second
	// faultStart bounds the time until a client is connected, on a busy machine.
	faultStart = 3 * time.Minute
	// faultDocument has the tables, below the repository's root.
	faultDocument = "../docs/faults.md"
)

// A trial is a fault that each client meets, with default options.
type trial struct {
	name  string // of its row
	rule  string // without the hub; empty for a state of the hub
	state func(s *emulator.Server, hub string) error
	role  string        // what the client does: send, blind (send without connecting before), or receive
	tries emulator.Kind // counts as a try; 0: tries are not counted
	// closing says that the time of the client's Close is the point.
	closing bool
}

// The tables of trials: a fault that happens once, one that stays, and receivers.
var faultTables = []struct {
	title  string
	trials []trial
}{
	{"Sending, and the fault happens once", append(sending(" count=1", onceOnly...), trial{
		name: "delay lasting=5s", rule: "delay lasting=5s count=1", role: "send", tries: emulator.KindTransfer,
	}, trial{
		name: "late-answer lasting=5s", rule: "late-answer lasting=5s count=1", role: "send", tries: emulator.KindTransfer,
	}, trial{
		name: "ignore-detach: the time of Close", rule: "ignore-detach", role: "send", tries: emulator.KindTransfer, closing: true,
	}, trial{
		name: "ignore-close on=transfer: the time of Close", rule: "ignore-close on=transfer", role: "send", tries: emulator.KindTransfer, closing: true,
	})},
	{"Sending, and the fault stays", append(sending(""), trial{
		name: "the hub is disabled", role: "send", tries: emulator.KindAttach,
		state: func(s *emulator.Server, hub string) error { return s.SetDisabled(hub, true) },
	}, trial{
		name: "the hub was deleted", role: "blind",
		state: func(s *emulator.Server, hub string) error { return s.DeleteHub(hub) },
	})},
	{"Receiving five events, and the fault happens instead of the third", receiving(
		"steal", "detach on=delivery", "close on=delivery", "cut-before on=delivery", "silence on=delivery",
	)},
}

// onceOnly are faults that make no difference when they stay: nothing is tried again.
var onceOnly = []string{"lose-event"}

// sending makes trials of the faults of a send, each with more fields.
func sending(fields string, more ...string) []trial {
	var trials []trial
	for _, rule := range append([]string{
		"throttle", "reject condition=amqp:internal-error", "reject condition=amqp:not-allowed", "release", "modify",
		"lose-ack", "silence", "cut-before", "cut-after", "detach", "close",
	}, more...) {
		trials = append(trials, trial{name: rule, rule: rule + fields, role: "send", tries: emulator.KindTransfer})
	}
	for _, rule := range []string{"hold-credit", "stall on=attach", "close-window on=attach", "throttle on=attach"} {
		trials = append(trials, trial{name: rule, rule: rule + fields, role: "send", tries: emulator.KindAttach})
	}
	return trials
}

// receiving makes trials of the faults of a delivery.
func receiving(rules ...string) []trial {
	var trials []trial
	for _, rule := range rules {
		trials = append(trials, trial{name: rule, rule: rule + " every=3 count=1", role: "receive", tries: emulator.KindAttach})
	}
	return trials
}

// allTrials are the trials of all tables by hub, in order.
func allTrials() (hubs []string, byHub map[string]trial) {
	byHub = make(map[string]trial)
	for i, table := range faultTables {
		for j, t := range table.trials {
			hub := fmt.Sprintf("trial-%d-%d", i, j)
			hubs = append(hubs, hub)
			byHub[hub] = t
		}
	}
	return hubs, byHub
}

// A sufferer is a client that meets the faults.
type sufferer struct {
	name, title string
	prepare     func(context.Context) ([]string, error)
	// perform replaces the script of a program that has commands of its own.
	perform func(ctx context.Context, command []string, r *faultRun)
	sends   bool // and does not receive
}

var sufferers = []*sufferer{
	{name: "ours", title: "this project's producer", prepare: prepareFaults("ours"), sends: true},
	{name: "go", title: "Go azeventhubs", prepare: prepareFaults("azure")},
	{name: "dotnet", title: ".NET Azure.Messaging.EventHubs", prepare: setup.DotNet, perform: performDotnetFaults},
	{name: "java", title: "Java azure-messaging-eventhubs", prepare: prepareJavaFaults},
	{name: "javascript", title: "JavaScript @azure/event-hubs", prepare: prepareJavaScriptFaults},
	{name: "python", title: "Python azure-eventhub", prepare: preparePythonFaults},
}

// A faultLine is a line of a script's output; see clients/faults/main.go.
type faultLine struct {
	Client, Version string
	Hub             string
	Ready           bool
	Seconds, Closed *float64
	Events          int
	Class, Message  string
}

// A meeting is what one client did under one fault.
type meeting struct {
	begun          time.Time // when the fault's turn came; zero: not yet
	over           bool
	seconds        float64
	events         int
	class, message string
	closed         *float64
}

// A faultRun is a client's meetings, and the emulator where they happen.
type faultRun struct {
	sufferer *sufferer
	server   *emulator.Server
	hubs     []string
	trials   map[string]trial
	log      io.Writer

	mu       sync.Mutex // guards the fields below
	version  string
	meetings map[string]*meeting
	tries    map[string]map[emulator.Kind]int // by hub
	changed  chan struct{}                    // closed and replaced when a meeting changes
}

// runFaults is the command "faults". It returns its status. The clients run one after the other,
// since they measure times.
func runFaults(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var update bool
	choice := command.Choice[*sufferer]{
		Command: "interop faults", Kind: "client", All: sufferers, Name: func(s *sufferer) string { return s.name },
		Flags: func(flags *flag.FlagSet) {
			flags.BoolVar(&update, "update", false, "write the clients' columns into docs/faults.md")
		},
		Verbose: "print the clients' output",
	}
	request, ok := choice.Parse(args, stderr)
	if !ok {
		return 2
	}
	columns := make(map[string]column)
	status := 0
	for _, s := range request.Chosen {
		r := &faultRun{sufferer: s, log: request.Log}
		if err := r.run(ctx); err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", s.name, err)
			status = 1
			continue
		}
		columns[s.name] = r.column()
	}
	writeFaultTables(stdout, columns)
	if update {
		if err := putTables(faultDocument, columns); err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
	}
	return status
}

// run installs the client and lets it meet all faults at the same time.
func (r *faultRun) run(ctx context.Context) error {
	preparing, stop := context.WithTimeout(ctx, preparationLimit)
	command, err := r.sufferer.prepare(preparing)
	stop()
	if err != nil {
		return err
	}
	r.hubs, r.trials = allTrials()
	if r.sufferer.sends {
		r.hubs = slices.DeleteFunc(r.hubs, func(hub string) bool { return r.trials[hub].role == "receive" })
	}
	r.meetings, r.tries, r.changed = make(map[string]*meeting), make(map[string]map[emulator.Kind]int), make(chan struct{})
	for _, hub := range r.hubs {
		r.meetings[hub] = &meeting{}
		r.tries[hub] = make(map[emulator.Kind]int)
	}
	if err := r.start(); err != nil {
		return err
	}
	defer r.server.Close()
	if r.sufferer.perform != nil { // which bounds itself
		r.sufferer.perform(ctx, command, r)
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	// Ends with the client, at the latest when ctx does; awaited below.
	go func() { ended <- r.execute(ctx, command) }()
	err = r.await(ctx, ended)
	cancel()
	if err == nil {
		return nil
	}
	<-ended
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // some clients are still trying
	}
	return err
}

// start starts the emulator with a hub and a fault for each trial.
func (r *faultRun) start() error {
	options := &emulator.Options{Hook: r.count, Logger: slog.New(slog.DiscardHandler)}
	for _, hub := range r.hubs {
		options.Hubs = append(options.Hubs, emulator.Hub{Name: hub, Partitions: 1})
		if rule := r.trials[hub].rule; rule != "" {
			parsed, err := emulator.ParseFaultRule(rule + " hub=" + hub)
			if err != nil {
				return err
			}
			options.Faults = append(options.Faults, parsed)
		}
	}
	var err error
	if r.server, err = emulator.New(options); err != nil {
		return err
	}
	for _, hub := range r.hubs {
		t := r.trials[hub]
		if t.role == "receive" {
			err = errors.Join(err, r.server.Seed(hub, "0", make([]emulator.Event, 5)...))
		}
		if t.state != nil {
			err = errors.Join(err, t.state(r.server, hub))
		}
	}
	return err
}

// count is the emulator's hook: it counts the tries.
func (r *faultRun) count(_ context.Context, op emulator.Operation) emulator.Action {
	if op.Kind == emulator.KindAttach && strings.Contains(op.Address, "$management") {
		return emulator.Pass()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if tries := r.tries[op.Hub]; tries != nil {
		tries[op.Kind]++
	}
	return emulator.Pass()
}

// execute runs a script for all hubs and hears its lines.
func (r *faultRun) execute(ctx context.Context, command []string) error {
	for _, hub := range r.hubs {
		command = append(command, hub+"="+r.trials[hub].role)
	}
	environment := []string{"INTEROP_CONNECTION_STRING=" + r.server.ConnectionString("")}
	return hearLines(ctx, r.sufferer.name, command, environment, r.log, r.log, func(text []byte) {
		var line faultLine
		if err := json.Unmarshal(text, &line); err != nil {
			fmt.Fprintf(r.log, "%s: not a line of the script: %v\n", r.sufferer.name, err)
			return
		}
		r.hear(&line)
	})
}

// hear notes a line of a script.
func (r *faultRun) hear(line *faultLine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if line.Client != "" {
		r.version = line.Version
		return
	}
	m := r.meetings[line.Hub]
	if m == nil {
		return
	}
	switch {
	case line.Ready:
		m.begun = time.Now()
	case line.Closed != nil:
		m.closed = line.Closed
	case line.Seconds != nil:
		m.over, m.seconds, m.events, m.class, m.message = true, *line.Seconds, line.Events, line.Class, line.Message
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// await waits until the client has ended, or has tried for faultLimit under each fault.
func (r *faultRun) await(ctx context.Context, ended <-chan error) error {
	start := time.NewTimer(faultStart)
	defer start.Stop()
	var limit <-chan time.Time
	for {
		r.mu.Lock()
		changed, begun := r.changed, 0
		for _, m := range r.meetings {
			if m.over || !m.begun.IsZero() {
				begun++
			}
		}
		r.mu.Unlock()
		if begun == len(r.hubs) && limit == nil {
			start.Stop()
			timer := time.NewTimer(faultLimit)
			defer timer.Stop()
			limit = timer.C
		}
		select {
		case err := <-ended:
			return err
		case <-changed:
		case <-limit:
			return context.DeadlineExceeded
		case <-start.C:
			if limit == nil {
				return fmt.Errorf("only %d of %d clients are connected after %v", begun, len(r.hubs), faultStart)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
