package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// producersPartitions is the list of rhea's $management. Other brokers' hubs have the same.
var producersPartitions = []string{"0", "1", "2", "3"}

// A watched is a group of producers.
type watched struct {
	all []*publishing // immutable after the last add

	mu      sync.Mutex    // guards the field below and the producers'
	changed chan struct{} // closed and replaced at each change
}

// A publishing is a producer with its account.
type publishing struct {
	// Immutable after open.
	watched  *watched
	options  eventhubs.Options
	hub      *hub
	producer *eventhubs.BufferedProducer
	source   *source // of the goroutine that enqueues

	// Guarded by watched.mu.
	account account
	// Since the last forget: stored batches, failed tries, and batches reported as not stored.
	stored, failed, lost int
}

// add adds a producer, which is not open yet.
func (w *watched) add(name string, d *bed, hubName string, options eventhubs.Options) {
	options.Logger = d.logger()
	once := options.EnableIdempotentRetries
	p := &publishing{
		watched: w, options: options, source: newSource(),
		account: account{name: name, once: once, ended: make(map[string][]reported)},
	}
	p.hub = d.hub(hubName, name, producersPartitions, once, func() { w.note(func() { p.failed++ }) })
	w.all = append(w.all, p)
}

// patient reports whether the producer reports no failures while there is no broker.
func (p *publishing) patient() bool { return p.options.DeliveryTimeout == 0 }

// working does not ask for an impatient producer: a broker that has just started may be too slow
// for it.
func (p *publishing) working() bool { return p.stored >= storedBetween || !p.patient() }

func (p *publishing) hurt() bool { return p.failed > 0 && (p.lost > 0 || p.patient()) }

func (p *publishing) back() bool { return p.stored > 0 }

// partitions returns the ids of the partitions; an empty one if the service chooses.
func (p *publishing) partitions() []string {
	if p.options.Partitioning == eventhubs.ServiceAssigned {
		return []string{""}
	}
	return producersPartitions
}

// open makes the producer and opens its links.
func (p *publishing) open(ctx context.Context) error {
	o := p.options
	o.MaxWaitTime, o.MaxBufferedEvents, o.FlushOmitsTold = eventhubs.SendAtOnce, 100, true
	o.Retry = eventhubs.RetryOptions{Mode: eventhubs.RetryFixed, RetryDelay: retryPause, MaxRetries: 1000}
	o.OnBatchSucceeded, o.OnBatchFailed = p.ended, p.ended
	made, err := testseam.NewProducer("broker.test", p.hub.name, p.hub, o)
	if err != nil {
		return err
	}
	p.producer = made.(*eventhubs.BufferedProducer)
	return p.producer.Connect(ctx, nil)
}

// abandon ends the producer of a case that failed.
func (p *publishing) abandon() {
	if !p.producer.IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.producer.Abandon(ctx)
	}
}

// ended is the handler of all batches.
func (p *publishing) ended(_ context.Context, b *eventhubs.Batch) {
	r := reported{storage: b.Outcome.Storage, unknown: p.hub.take(b.PartitionID)}
	for tag := range b.Tags() {
		r.events = append(r.events, tag.(int))
	}
	p.watched.note(func() {
		where := addressOf(p.hub.name, b.PartitionID)
		p.account.ended[where] = append(p.account.ended[where], r)
		switch r.storage {
		case eventhubs.Stored:
			p.stored++
		case eventhubs.NotStored:
			p.lost++
		}
	})
}

// publish enqueues events until stop is closed: most with a key, the others with a partition id or
// neither.
func (p *publishing) publish(ctx context.Context, stop <-chan struct{}) error {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
		e := new(eventhubs.Event)
		if p.options.Partitioning != eventhubs.ServiceAssigned {
			switch i % 4 {
			case 0, 1:
				e.PartitionKey = "key-" + strconv.Itoa(i%50)
			case 2:
				e.PartitionID = producersPartitions[i/4%len(producersPartitions)]
			}
		}
		if err := p.enqueue(ctx, e); err != nil {
			return err
		}
	}
}

// enqueue gives the event a body and a number, and enqueues it.
func (p *publishing) enqueue(ctx context.Context, e *eventhubs.Event) error {
	number := len(p.account.events)                  // only this goroutine appends
	e.Body = p.source.batch(1, 10+number%150)[0][8:] // without the section's head
	e.Properties = map[string]any{"number": int64(number), "producer": p.account.name}
	e.Tag = number
	a := accepted{content: contentOf(batchFormat, [][]byte{e.Body, propertiesText(e.Properties)})}
	switch {
	case e.PartitionID != "":
		a.address = addressOf(p.hub.name, e.PartitionID)
	case e.PartitionKey != "":
		a.address = addressOf(p.hub.name, producersPartitions[partitionkey.Index(e.PartitionKey, len(producersPartitions))])
	}
	p.watched.mu.Lock()
	p.account.events = append(p.account.events, a)
	p.watched.mu.Unlock()
	if err := p.producer.Enqueue(ctx, e); err != nil {
		return fmt.Errorf("producer %s refused event %d: %w", p.account.name, number, err)
	}
	return nil
}

// note makes a change and wakes those that wait for one.
func (w *watched) note(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	close(w.changed)
	w.changed = make(chan struct{})
}

// forget counts from zero again.
func (w *watched) forget() {
	w.note(func() {
		for _, p := range w.all {
			p.stored, p.failed, p.lost = 0, 0, 0
		}
	})
}

// await waits until a condition holds for all producers.
func (w *watched) await(ctx context.Context, holds func(*publishing) bool) error {
	for {
		w.mu.Lock()
		waiting, changed := slices.ContainsFunc(w.all, func(p *publishing) bool { return !holds(p) }), w.changed
		w.mu.Unlock()
		if !waiting {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
