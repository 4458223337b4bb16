package main

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// An ourProducer is this project's producer, used as documented: each Enqueue has a new event.
type ourProducer struct {
	producer *eventhubs.BufferedProducer
	load     *load                  // set by produce
	contexts func() context.Context // of the events; nil: the run's
}

func openOurs(ctx context.Context, j *job) (producer, error) {
	s := &j.Scenario
	p := &ourProducer{}
	options, err := ourOptions(j)
	if err != nil {
		return nil, err
	}
	if s.Telemetry != noTelemetry {
		p.contexts = s.Telemetry.contexts(ctx)
	}
	if s.Rate > 0 {
		options.OnBatchSucceeded = p.stored
	}
	p.producer, err = eventhubs.NewBufferedProducerFromConnectionString(j.Server.ConnectionString, hubName, options)
	if err != nil {
		return nil, err
	}
	return p, p.producer.Connect(ctx, nil)
}

// ourOptions returns the options for a job.
func ourOptions(j *job) (*eventhubs.Options, error) {
	s := &j.Scenario
	config, err := j.tlsConfig()
	if err != nil {
		return nil, err
	}
	options := &eventhubs.Options{
		MaxConcurrentSendsPerPartition: s.Sends,
		MaxWaitTime:                    s.Linger,
		Trace:                          s.Telemetry.newTrace(),
		Connection:                     eventhubs.ConnectionOptions{TLSConfig: config},
	}
	if !s.Defaults {
		options.MaxWaitTime = s.linger()
		options.MaxBufferedEvents = tunedEvents
		options.MaxBufferedBytes = tunedBytes
	}
	if s.Sticky {
		options.Partitioning = eventhubs.Sticky
	}
	policies := map[journalSync]eventhubs.JournalSync{syncEach: eventhubs.SyncEach, syncInterval: eventhubs.SyncInterval, syncOS: eventhubs.SyncOS}
	if policy, ok := policies[s.Journal]; ok {
		options.Journal = &eventhubs.JournalOptions{Directory: filepath.Join(j.Directory, "journal"), Sync: policy, MaxBytes: 10<<30 + 2*s.Backlog}
	}
	return options, nil
}

// stored records the time to each event's outcome.
func (p *ourProducer) stored(_ context.Context, b *eventhubs.Batch) {
	now := time.Now()
	latencies := make([]time.Duration, 0, b.Count)
	for tag := range b.Tags() {
		latencies = append(latencies, now.Sub(tag.(time.Time)))
	}
	p.load.record(latencies...)
}

func (p *ourProducer) produce(ctx context.Context, l *load) error {
	p.load = l
	enqueue := func(e event) error {
		return p.producer.Enqueue(ctx, &eventhubs.Event{Body: e.body, PartitionKey: e.key})
	}
	if next := p.contexts; next != nil {
		enqueue = func(e event) error {
			return p.producer.Enqueue(next(), &eventhubs.Event{Body: e.body, PartitionKey: e.key})
		}
	}
	if l.timed() {
		enqueue = func(e event) error {
			return p.producer.Enqueue(ctx, &eventhubs.Event{Body: e.body, PartitionKey: e.key, Tag: time.Now()})
		}
	}
	all := func(source iter.Seq[event]) error {
		_, err := p.producer.EnqueueAll(ctx, ourEvents(source))
		return err
	}
	return l.each(publish{enqueue: enqueue, all: all, flush: func() error { return p.producer.Flush(ctx) }})
}

// ourEvents yields the same Event with other contents.
func ourEvents(source iter.Seq[event]) iter.Seq2[*eventhubs.Event, error] {
	return func(yield func(*eventhubs.Event, error) bool) {
		var next eventhubs.Event
		for e := range source {
			next.Body, next.PartitionKey = e.body, e.key
			if !yield(&next, nil) {
				return
			}
		}
	}
}

func (p *ourProducer) close(ctx context.Context) error {
	if err := p.producer.Close(ctx); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	return nil
}
