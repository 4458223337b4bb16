package main

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// A store keeps events by their number, in a database.
type store interface {
	// put keeps events in one commit.
	put(events ...[]byte) error
	// read returns copies of up to so many events from a number on, without a gap.
	read(from uint64, most int) ([][]byte, error)
	// remove removes events in one commit.
	remove(numbers []uint64) error
	close() error
}

const (
	outboxSet  = 1000 // events that are put, or read, in one transaction
	outboxWait = time.Millisecond
)

// An outbox is a program's own way to keep events that it has accepted. It puts them into a store,
// and reads them from there in order. A producer without a journal publishes them. They are removed
// when they are stored. The first event has the number 1.
type outbox struct {
	store    store
	producer *eventhubs.BufferedProducer
	ctx      context.Context
	stop     context.CancelFunc
	moved    chan struct{} // has room for the news that events were put
	reading  sync.WaitGroup

	put, removed atomic.Uint64
	failed       atomic.Pointer[error]
}

func openOutbox(ctx context.Context, j *job, s store) (producer, error) {
	told := *j
	told.Scenario.Journal = noJournal
	options, err := ourOptions(&told)
	if err != nil {
		return nil, err
	}
	p := &outbox{store: s, moved: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancel(ctx)
	options.OnBatchSucceeded = p.stored
	if p.producer, err = eventhubs.NewBufferedProducerFromConnectionString(j.Server.ConnectionString, hubName, options); err != nil {
		return nil, err
	}
	if err := p.producer.Connect(ctx, nil); err != nil {
		return nil, err
	}
	p.reading.Go(p.read) // ends with p.ctx, or with an error
	return p, nil
}

// read publishes what was put.
func (p *outbox) read() {
	for next := uint64(1); p.ctx.Err() == nil; {
		events, err := p.store.read(next, outboxSet)
		for _, body := range events {
			if err = p.producer.Enqueue(p.ctx, &eventhubs.Event{Body: body, Tag: next}); err != nil {
				break
			}
			next++
		}
		if err != nil {
			p.fail(err)
			return
		}
		if len(events) == 0 {
			select {
			case <-p.moved:
			case <-p.ctx.Done():
			}
		}
	}
}

// stored removes the events of a batch.
func (p *outbox) stored(_ context.Context, b *eventhubs.Batch) {
	numbers := make([]uint64, 0, b.Count)
	for tag := range b.Tags() {
		numbers = append(numbers, tag.(uint64))
	}
	if err := p.store.remove(numbers); err != nil {
		p.fail(err)
	}
	p.removed.Add(uint64(len(numbers)))
}

func (p *outbox) fail(err error) {
	if p.ctx.Err() == nil {
		p.failed.CompareAndSwap(nil, &err)
	}
}

func (p *outbox) keep(events ...[]byte) error {
	if err := p.store.put(events...); err != nil {
		return err
	}
	p.put.Add(uint64(len(events)))
	select {
	case p.moved <- struct{}{}:
	default:
	}
	return nil
}

func (p *outbox) produce(ctx context.Context, l *load) error {
	return l.each(publish{
		enqueue: func(e event) error { return p.keep(e.body) },
		all: func(source iter.Seq[event]) error {
			set := make([][]byte, 0, outboxSet)
			for e := range source {
				if set = append(set, e.body); len(set) < outboxSet {
					continue
				}
				if err := p.keep(set...); err != nil {
					return err
				}
				set = set[:0]
			}
			return p.keep(set...)
		},
		flush: func() error { return p.flush(ctx) },
	})
}

// flush waits until all events are removed.
func (p *outbox) flush(ctx context.Context) error {
	for p.removed.Load() < p.put.Load() {
		if failed := p.failed.Load(); failed != nil {
			return *failed
		}
		select {
		case <-time.After(outboxWait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *outbox) close(ctx context.Context) error {
	p.stop()
	p.reading.Wait()
	if err := p.producer.Close(ctx); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	return p.store.close()
}
