package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

const (
	hub        = "orders"
	partitions = 8
	// eventsPerSecond come during the whole trial.
	eventsPerSecond = 200
	// checkpointEvery is after how many events of a partition a processor writes a checkpoint.
	checkpointEvery = 25
	// Each processor looks after balanceSeconds for partitions without an owner. A partition has
	// none if its owner has not said so for expireSeconds.
	balanceSeconds, expireSeconds = 1, 6
	// settled is how many events of each partition a phase waits for: several checkpoints.
	settled = 3 * checkpointEvery
	// trialLimit bounds a trial, and installLimit an installation.
	trialLimit, installLimit = 5 * time.Minute, 5 * time.Minute
)

// runKilled lets two processes share a hub, and kills one.
func runKilled(ctx context.Context, c *client, log io.Writer) (outcome, error) {
	installing, stop := context.WithTimeoutCause(ctx, installLimit, fmt.Errorf("the installation took more than %v", installLimit))
	defer stop()
	command, err := c.prepare(installing)
	if err != nil {
		return outcome{}, err
	}
	blobs, err := startStorage(ctx, log)
	if err != nil {
		return outcome{}, err
	}
	defer blobs.close()
	if err := blobs.createContainer(ctx, c.name); err != nil {
		return outcome{}, err
	}
	server, err := emulator.New(&emulator.Options{
		Hubs: []emulator.Hub{{Name: hub, Partitions: partitions}}, Authentication: &emulator.Authentication{},
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		return outcome{}, err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, trialLimit, fmt.Errorf("the trial took more than %v", trialLimit))
	defer cancel()
	t := &trial{server: server, command: command, log: log, hear: make(chan heard), tallies: make(map[string]*tally), seen: make(map[place]bool), environment: []string{
		"PROCESSOR_CONNECTION_STRING=" + server.ConnectionString(""), "PROCESSOR_HUB=" + hub,
		"PROCESSOR_STORAGE=" + blobs.connectionString(), "PROCESSOR_CONTAINER=" + c.name,
		"PROCESSOR_CHECKPOINT_EVERY=" + strconv.Itoa(checkpointEvery),
		"PROCESSOR_INTERVAL_SECONDS=" + strconv.Itoa(balanceSeconds), "PROCESSOR_EXPIRATION_SECONDS=" + strconv.Itoa(expireSeconds),
	}}
	if err = t.run(ctx); err == nil {
		err = t.judge()
	}
	return t.outcome, err
}

// A trial is two processes that share a hub.
type trial struct {
	server      *emulator.Server
	command     []string
	environment []string
	log         io.Writer
	hear        chan heard        // reports of all processes
	tallies     map[string]*tally // by the process's name
	seen        map[place]bool    // events that were reported; true: more than once
	twice       int               // how many of them more than once
	errors      []string          // that the processors reported
	outcome     outcome
}

// A place is that of an event in the hub.
type place struct {
	partition string
	sequence  int64
}

// A tally is the sum of a process's reports.
type tally struct {
	owned map[string]bool
	first map[string]int64 // the lowest sequence number of each partition
	count map[string]int   // events of each partition
	total int
}

func newTally() *tally {
	return &tally{owned: make(map[string]bool), first: make(map[string]int64), count: make(map[string]int)}
}

// run performs the trial.
func (t *trial) run(ctx context.Context) error {
	publishing, stop := context.WithCancel(ctx)
	published := make(chan error, 1)
	// Ends with publishing; awaited below.
	go func() { published <- t.publish(publishing) }()
	err := t.share(ctx)
	stop()
	if err := errors.Join(err, <-published); err != nil {
		return err
	}
	// Everything is published: the other process must come to the end of each partition.
	t.outcome.stored = t.server.Counts(hub, "").Events
	err = t.until(ctx, func() bool { return len(t.seen) >= t.outcome.stored })
	t.outcome.missed, t.outcome.twice = t.outcome.stored-len(t.seen), t.twice
	if err != nil || t.outcome.missed != 0 {
		return errors.Join(fmt.Errorf("%d events of %d were not seen", t.outcome.missed, t.outcome.stored), err)
	}
	return nil
}

// share lets two processes share the hub, kills one, and waits until the other has its partitions.
func (t *trial) share(ctx context.Context) error {
	a, err := t.start(ctx, "a")
	if err != nil {
		return err
	}
	if err := t.until(ctx, func() bool { return t.settled("a", partitions, settled) }); err != nil {
		return fmt.Errorf("a alone: %w", err)
	}
	began := time.Now()
	if _, err := t.start(ctx, "b"); err != nil {
		return err
	}
	half := func() bool { return t.settled("a", partitions/2, 0) && t.settled("b", partitions/2, 1) }
	if err := t.until(ctx, half); err != nil {
		return fmt.Errorf("a and b: %w", err)
	}
	t.outcome.shared = time.Since(began)
	before := len(t.seen)
	if err := t.until(ctx, func() bool { return len(t.seen) >= before+settled*partitions }); err != nil {
		return fmt.Errorf("a and b: %w", err)
	}
	if !half() {
		return fmt.Errorf("a %v, and b %v; want half of the partitions each", t.tallies["a"], t.tallies["b"])
	}
	if err := a.kill(); err != nil {
		return err
	}
	began = time.Now()
	if err := t.until(ctx, func() bool { return t.settled("b", partitions, 1) }); err != nil {
		return fmt.Errorf("b after the end of a: %w", err)
	}
	t.outcome.takenOver = time.Since(began)
	return nil
}

// start starts a process.
func (t *trial) start(ctx context.Context, name string) (*process, error) {
	t.tallies[name] = newTally()
	return startProcess(ctx, name, t.command, t.environment, t.hear, t.log)
}

// publish publishes events, in every partition in turn, until ctx ends.
func (t *trial) publish(ctx context.Context) (err error) {
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(t.server.ConnectionString(""), hub, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(context.WithoutCancel(ctx))) }()
	pace := time.NewTicker(time.Second / eventsPerSecond)
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
		event := &eventhubs.Event{Body: []byte("order " + strconv.Itoa(i)), PartitionID: strconv.Itoa(i % partitions)}
		if err := producer.Enqueue(context.WithoutCancel(ctx), event); err != nil {
			return err
		}
	}
}

// until takes reports until done returns true.
func (t *trial) until(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case h := <-t.hear:
			if err := t.take(h); err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("%w; a: %v; b: %v; errors: %q", context.Cause(ctx), t.tallies["a"], t.tallies["b"], t.errors)
		}
	}
	return nil
}

// take counts a report.
func (t *trial) take(h heard) error {
	tally, r := t.tallies[h.process], h.report
	switch {
	case r == nil && h.process == "a" && t.outcome.shared > 0: // killed
		clear(tally.owned)
	case r == nil:
		return fmt.Errorf("%s has ended: %v; errors: %q", h.process, h.err, t.errors)
	case r.Version != "":
		t.outcome.version, t.outcome.runtime = r.Version, r.Runtime
	case r.Owns != "":
		tally.owned[r.Owns] = true
	case r.Lost != "":
		delete(tally.owned, r.Lost)
	case r.Error != "":
		t.errors = append(t.errors, h.process+": "+r.Error)
	default:
		return t.see(h.process, tally, r)
	}
	return nil
}

// see counts an event.
func (t *trial) see(process string, tally *tally, r *report) error {
	if want := body(r.Partition, r.Sequence); r.Body != want {
		return fmt.Errorf("%s has event %d of partition %s as %q, and the hub as %q", process, r.Sequence, r.Partition, r.Body, want)
	}
	tally.total++
	tally.count[r.Partition]++
	if first, ok := tally.first[r.Partition]; !ok || r.Sequence < first {
		tally.first[r.Partition] = r.Sequence
	}
	at := place{r.Partition, r.Sequence}
	again, seen := t.seen[at]
	t.seen[at] = seen
	if seen && !again {
		t.twice++
	}
	return nil
}

// body returns what publish has put into an event. A partition's events come in their order.
func body(partition string, sequence int64) string {
	id, _ := strconv.ParseInt(partition, 10, 64)
	return "order " + strconv.FormatInt(sequence*partitions+id, 10)
}

// settled reports whether a process owns so many partitions, and has seen events of each.
func (t *trial) settled(name string, owned, events int) bool {
	tally := t.tallies[name]
	if len(tally.owned) != owned {
		return false
	}
	for partition := range tally.owned {
		if tally.count[partition] < events {
			return false
		}
	}
	return true
}

// String says what a process owns and has seen; tally may be nil.
func (t *tally) String() string {
	if t == nil {
		return "not started"
	}
	return fmt.Sprintf("owns %v, has seen %d events", slices.Sorted(maps.Keys(t.owned)), t.total)
}

// judge wants b to begin each partition at a checkpoint of a, not at its start.
func (t *trial) judge() error {
	for partition, first := range t.tallies["b"].first {
		if first < checkpointEvery {
			return fmt.Errorf("b begins partition %s at event %d, want it at a checkpoint; a has seen %d events of it and written a checkpoint after each %d",
				partition, first, t.tallies["a"].count[partition], checkpointEvery)
		}
	}
	return nil
}
