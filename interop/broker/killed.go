package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

const (
	producersHub = "producers"
	numberedHub  = "numbered" // of a broker that knows idempotent producers
	// storedBetween is how many batches each patient producer must have stored before the next
	// kill.
	storedBetween = 3
	// impatience is the DeliveryTimeout of the producers that report failures while there is no
	// broker.
	impatience = 250 * time.Millisecond
)

// killedServer kills the broker several times while whole producers publish, and starts it again.
// The arrivals must be those that the producers reported: see judgeAccounts. They are read only
// afterwards, unless the broker reports them by itself.
func killedServer(ctx context.Context, d *bed) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &watched{changed: make(chan struct{})}
	w.add("keyed", d, producersHub, eventhubs.Options{})
	w.add("impatient", d, producersHub, eventhubs.Options{DeliveryTimeout: impatience})
	w.add("assigned", d, producersHub, eventhubs.Options{Partitioning: eventhubs.ServiceAssigned})
	remark := "no idempotent producers, since the broker does not number them"
	if d.numbers {
		remark = "two of five producers were idempotent"
		w.add("numbered", d, numberedHub, eventhubs.Options{EnableIdempotentRetries: true})
		w.add("numbered-impatient", d, numberedHub, eventhubs.Options{EnableIdempotentRetries: true, DeliveryTimeout: impatience})
	}
	for _, p := range w.all {
		if err := p.open(ctx); err != nil {
			return "", err
		}
		defer p.abandon()
	}
	var publishers sync.WaitGroup
	stop := make(chan struct{})
	for _, p := range w.all {
		// Ends with stop or ctx; awaited below.
		publishers.Go(func() {
			if err := p.publish(ctx, stop); err != nil {
				cancel(err)
			}
		})
	}
	err := w.kill(ctx, d)
	if err != nil {
		cancel(err) // a full buffer may hold Enqueue
	}
	close(stop)
	publishers.Wait()
	if err != nil {
		return "", err
	}
	last, err := w.finish(ctx)
	if err != nil {
		return "", err
	}
	arrived, err := w.judge(ctx, d, last)
	return fmt.Sprintf("%d kills; %s; %d events arrived; %s", d.kills(), w.summary(), arrived, remark), err
}

// kills returns how often the broker is killed. The brokers whose queues we read are in Java, and
// take a second to start.
func (d *bed) kills() int {
	if d.commands.reader != nil {
		return 2
	}
	return 3
}

// kill kills the broker while all producers publish, and returns when all publish again after the
// last start.
func (w *watched) kill(ctx context.Context, d *bed) error {
	for kill := range d.kills() {
		if err := w.await(ctx, (*publishing).working); err != nil {
			return fmt.Errorf("before kill %d not all patient producers had %d batches stored: %w", kill+1, storedBetween, err)
		}
		if d.numbers {
			if err := d.server.die(ctx); err != nil {
				return err
			}
		}
		d.crash()
		w.forget()
		if err := w.await(ctx, (*publishing).hurt); err != nil {
			return fmt.Errorf("after kill %d not all producers had a failure: %w", kill+1, err)
		}
		if err := d.start(ctx); err != nil {
			return err
		}
		w.forget()
	}
	if err := w.await(ctx, (*publishing).back); err != nil {
		return fmt.Errorf("after the last kill not all producers had a batch stored: %w", err)
	}
	return nil
}

// finish closes the producers, the patient ones after a last event for each address. It returns
// these events.
func (w *watched) finish(ctx context.Context) (last map[string]content, err error) {
	for _, p := range w.all {
		if p.patient() {
			continue
		}
		if err := p.producer.Close(ctx); err != nil {
			return nil, err
		}
	}
	last = make(map[string]content)
	for _, p := range w.all {
		if !p.patient() {
			continue
		}
		for _, id := range p.partitions() {
			if err := p.enqueue(ctx, &eventhubs.Event{PartitionID: id}); err != nil {
				return nil, err
			}
			last[addressOf(p.hub.name, id)] = p.account.events[len(p.account.events)-1].content
		}
		if err := p.producer.Close(ctx); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// judge reads each address up to its last event, and compares the arrivals with the accounts.
func (w *watched) judge(ctx context.Context, d *bed, last map[string]content) (arrived int, err error) {
	for address := range last {
		if err := d.readKept(ctx, address); err != nil {
			return 0, err
		}
	}
	arrivals := make(map[string][]content)
	for address, end := range last {
		got, err := d.ledger.read(ctx, address, func(all []content) bool { return len(all) > 0 && all[len(all)-1] == end })
		if err != nil {
			return 0, fmt.Errorf("%s: the last event has not arrived after %d others: %w", address, len(got), err)
		}
		arrivals[address] = got
		arrived += len(got)
	}
	accounts := make([]*account, len(w.all))
	for i, p := range w.all {
		accounts[i] = &p.account
	}
	return arrived, judgeAccounts(accounts, arrivals)
}

// summary describes the accounts.
func (w *watched) summary() string {
	events, unknown := make(map[eventhubs.Storage]int), 0
	for _, p := range w.all {
		for _, batches := range p.account.ended {
			for _, b := range batches {
				events[b.storage] += len(b.events)
				unknown += b.unknown
			}
		}
	}
	return fmt.Sprintf("%d events stored, %d not, %d possibly; %d tries with an unknown outcome",
		events[eventhubs.Stored], events[eventhubs.NotStored], events[eventhubs.PossiblyStored], unknown)
}
