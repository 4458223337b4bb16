package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// An ourProducer is this project's producer, used as documented: each Enqueue has a new event.
type ourProducer struct {
	producer *eventhubs.BufferedProducer
	load     *load // set by produce
}

func openOurs(ctx context.Context, j *job) (producer, error) {
	s := &j.Scenario
	config, err := j.tlsConfig()
	if err != nil {
		return nil, err
	}
	p := &ourProducer{}
	options := &eventhubs.Options{
		MaxConcurrentSendsPerPartition: s.Sends,
		MaxWaitTime:                    s.Linger,
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
	if s.Rate > 0 {
		options.OnBatchSucceeded = p.stored
	}
	p.producer, err = eventhubs.NewBufferedProducerFromConnectionString(j.Server.ConnectionString, hubName, options)
	if err != nil {
		return nil, err
	}
	return p, p.producer.Connect(ctx, nil)
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
	if l.timed() {
		enqueue = func(e event) error {
			return p.producer.Enqueue(ctx, &eventhubs.Event{Body: e.body, PartitionKey: e.key, Tag: time.Now()})
		}
	}
	return l.each(publish{enqueue: enqueue, flush: func() error { return p.producer.Flush(ctx) }})
}

func (p *ourProducer) close(ctx context.Context) error {
	if err := p.producer.Close(ctx); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	return nil
}
