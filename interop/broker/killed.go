package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

const (
	producersHub = "producers"
	serverKills  = 3
	// storedBetween is how many batches each producer must have stored before the next kill.
	storedBetween = 3
	// impatience is the DeliveryTimeout of the producer that reports failures while there is no
	// broker.
	impatience = 250 * time.Millisecond
)

// producersPartitions is the list of rhea's $management. Other brokers' hubs have the same.
var producersPartitions = []string{"0", "1", "2", "3"}

// killedServer kills the broker several times while whole producers publish, and starts it again.
// The arrivals must be those that the producers reported: see judgeAccounts. They are read only
// afterwards, unless the broker reports them by itself.
func killedServer(ctx context.Context, d *bed) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &watched{changed: make(chan struct{})}
	keyed := w.publishing("keyed", d, eventhubs.Options{})
	impatient := w.publishing("impatient", d, eventhubs.Options{DeliveryTimeout: impatience})
	assigned := w.publishing("assigned", d, eventhubs.Options{Partitioning: eventhubs.ServiceAssigned})
	all := []*publishing{keyed, impatient, assigned}
	var publishers sync.WaitGroup
	stop := make(chan struct{})
	for _, p := range all {
		if err := p.open(ctx); err != nil {
			return "", err
		}
		defer p.abandon()
	}
	for _, p := range all {
		// Ends with stop or ctx; awaited below.
		publishers.Go(func() {
			if err := p.publish(ctx, stop); err != nil {
				cancel(err)
			}
		})
	}
	err := w.kill(ctx, d, all)
	if err != nil {
		cancel(err) // a full buffer may hold Enqueue
	}
	close(stop)
	publishers.Wait()
	if err != nil {
		return "", err
	}
	return w.finish(ctx, d, keyed, impatient, assigned)
}

// kill kills the broker while all producers publish, and returns when all publish again after the
// last start.
func (w *watched) kill(ctx context.Context, d *bed, all []*publishing) error {
	for kill := range serverKills {
		if err := w.await(ctx, all, (*publishing).working); err != nil {
			return fmt.Errorf("before kill %d not all producers had %d batches stored: %w", kill+1, storedBetween, err)
		}
		d.crash()
		w.forget(all)
		if err := w.await(ctx, all, (*publishing).hurt); err != nil {
			return fmt.Errorf("after kill %d not all producers had a failure: %w", kill+1, err)
		}
		if err := d.start(ctx); err != nil {
			return err
		}
		w.forget(all)
	}
	if err := w.await(ctx, all, (*publishing).back); err != nil {
		return fmt.Errorf("after the last kill not all producers had a batch stored: %w", err)
	}
	return nil
}

// patient reports whether the producer reports no failures while there is no broker.
func (p *publishing) patient() bool { return p.options.DeliveryTimeout == 0 }

// working does not ask for an impatient producer: a broker that has just started may be too slow
// for it.
func (p *publishing) working() bool { return p.stored >= storedBetween || !p.patient() }

func (p *publishing) hurt() bool { return p.failed > 0 && (p.lost > 0 || p.patient()) }

func (p *publishing) back() bool { return p.stored > 0 }

// finish closes the producers, with a last event for each address, and judges.
func (w *watched) finish(ctx context.Context, d *bed, keyed, impatient, assigned *publishing) (string, error) {
	if err := impatient.producer.Close(ctx); err != nil {
		return "", err
	}
	for _, id := range producersPartitions {
		if err := keyed.enqueue(ctx, &eventhubs.Event{PartitionID: id}); err != nil {
			return "", err
		}
	}
	if err := errors.Join(assigned.enqueue(ctx, new(eventhubs.Event)), keyed.producer.Close(ctx), assigned.producer.Close(ctx)); err != nil {
		return "", err
	}
	last := map[string]content{producersHub: assigned.account.events[len(assigned.account.events)-1].content}
	for _, e := range keyed.account.events[len(keyed.account.events)-len(producersPartitions):] {
		last[e.address] = e.content
	}
	arrivals := make(map[string][]content)
	total := 0
	for where := range last {
		if err := d.read(ctx, where); err != nil {
			return "", err
		}
	}
	for where, end := range last {
		got, err := d.ledger.read(ctx, where, func(all []content) bool { return len(all) > 0 && all[len(all)-1] == end })
		if err != nil {
			return "", fmt.Errorf("%s: the last event has not arrived after %d others: %w", where, len(got), err)
		}
		arrivals[where] = got
		total += len(got)
	}
	accounts := []*account{&keyed.account, &impatient.account, &assigned.account}
	if err := judgeAccounts(accounts, arrivals); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d kills; %s; no idempotent producer, which the broker does not number", serverKills, summary(accounts, total)), nil
}

// summary describes the accounts.
func summary(accounts []*account, arrived int) string {
	events, unknown := make(map[eventhubs.Storage]int), 0
	for _, a := range accounts {
		for _, batches := range a.ended {
			for _, b := range batches {
				events[b.storage] += len(b.events)
				unknown += b.unknown
			}
		}
	}
	return fmt.Sprintf("%d events stored, %d not, %d possibly; %d tries with an unknown outcome; %d events arrived",
		events[eventhubs.Stored], events[eventhubs.NotStored], events[eventhubs.PossiblyStored], unknown, arrived)
}

// A watched is a group of producers.
type watched struct {
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

func (w *watched) publishing(name string, d *bed, options eventhubs.Options) *publishing {
	options.Logger = d.logger()
	p := &publishing{watched: w, options: options, source: newSource(), account: account{name: name, ended: make(map[string][]reported)}}
	p.hub = d.hub(producersHub, name, producersPartitions, func() { w.note(func() { p.failed++ }) })
	return p
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
func (w *watched) forget(all []*publishing) {
	w.note(func() {
		for _, p := range all {
			p.stored, p.failed, p.lost = 0, 0, 0
		}
	})
}

// await waits until a condition holds for all producers.
func (w *watched) await(ctx context.Context, all []*publishing, holds func(*publishing) bool) error {
	for {
		w.mu.Lock()
		waiting, changed := slices.ContainsFunc(all, func(p *publishing) bool { return !holds(p) }), w.changed
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
