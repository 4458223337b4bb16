package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// A piece is events of one partition, or its end.
type piece struct {
	from    *copiedPartition
	events  []consumer.Event
	digests []digest // of the events; nil with --no-verify
	over    bool     // no more is read
	err     error    // with over: why, if not for --until
}

// A feeding gives the events of all partitions to the producer, one after the other. It belongs to
// runCopy's goroutine.
type feeding struct {
	*copying
	pieces  <-chan piece
	reading int // partitions
	pace    *pace
	notes   notebook
	full    *time.Timer // until the journal counts as full

	present piece
	next    int // of present's events

	offered *eventhubs.Event // not accepted yet
	stretch *stretch         // of offered
	places  []byte           // memory for checkpoints
	stopped error            // why the source ends early
}

// feed enqueues the events of the source until the end of each partition, or until ctx ends.
// Sending is the context of the producer's calls.
func (c *copying) feed(ctx, sending context.Context) error {
	reading, cancel := context.WithCancel(ctx)
	pieces := make(chan piece)
	var readers sync.WaitGroup
	for _, p := range c.parts {
		// Each goroutine ends with its partition or with reading. feed waits for them.
		readers.Go(func() { c.read(reading, p, pieces) })
	}
	defer readers.Wait()
	defer cancel()
	f := &feeding{copying: c, pieces: pieces, reading: len(c.parts), pace: newPace(c.options.publish.rate), full: time.AfterFunc(fullAfter, c.pub.tellFull)}
	defer f.full.Stop()
	f.full.Stop()
	for {
		err := c.pub.enqueueAll(sending, f.events(ctx))
		switch {
		case f.stopped != nil && c.options.follow && ctx.Err() != nil:
			return nil
		case f.stopped != nil:
			return f.stopped
		case err == nil || f.offered == nil:
			return err
		}
		if err := f.refuse(err); err != nil {
			return err
		}
	}
}

// read passes on the events of a partition.
func (c *copying) read(ctx context.Context, p *copiedPartition, pieces chan<- piece) {
	w := newWalk(c.source, c.options.from.hub, c.options.group, p.start, c.options.until, c.process.now)
	defer w.close()
	var digests *digester
	if c.options.verify {
		digests = newDigester(c.plan.Described)
	}
	for {
		events, over, err := w.next(ctx)
		out := piece{from: p, events: slices.Clone(events), over: over || err != nil, err: err}
		if digests != nil {
			out.digests = make([]digest, len(events))
			for i := range events {
				if events[i].Err == nil {
					out.digests[i] = digests.of(&events[i].Message)
				}
			}
		}
		select {
		case pieces <- out:
		case <-ctx.Done():
			return
		}
		if out.over {
			return
		}
	}
}

// events yields the copies of the events, from the one after the last that was yielded. A refused
// event ends it.
func (f *feeding) events(ctx context.Context) iter.Seq2[*eventhubs.Event, error] {
	return func(yield func(*eventhubs.Event, error) bool) {
		for {
			if f.stopped = f.find(ctx); f.stopped != nil || f.reading == 0 && f.next == len(f.present.events) {
				return
			}
			p, from := f.present.from, &f.present.events[f.next]
			event, err := f.copy(p, from)
			if err != nil {
				if f.stopped = f.leaveOut(p, from, err); f.stopped != nil {
					return
				}
				continue
			}
			if f.stopped = f.pace.wait(ctx); f.stopped != nil {
				return
			}
			if f.offered = event; !f.offer(p, from, yield) {
				return
			}
		}
	}
}

// find makes next an event that is there, unless all partitions are at their end.
func (f *feeding) find(ctx context.Context) error {
	if f.next < len(f.present.events) {
		return context.Cause(ctx) // a journal does not look at ctx while it has room
	}
	for f.next == len(f.present.events) && f.reading > 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case f.present = <-f.pieces:
		}
		if f.next = 0; f.present.over {
			f.reading--
		}
		if err := f.present.err; err != nil {
			return explainReading(f.options.group, f.present.from.id, err)
		}
	}
	return nil
}

// copy makes the copy of an event that can be read.
func (f *feeding) copy(p *copiedPartition, from *consumer.Event) (*eventhubs.Event, error) {
	if from.Err != nil {
		return nil, &unreadableError{from.Err}
	}
	e, err := f.event(p, from)
	if err == nil && f.plan.Described && describeSource(e, p.id, from) {
		f.replaced++
	}
	return e, err
}

// offer offers an event to the producer. It reports whether the producer has accepted it.
func (f *feeding) offer(p *copiedPartition, from *consumer.Event, yield func(*eventhubs.Event, error) bool) bool {
	last := p.last
	p.last = from.SequenceNumber
	if f.options.publish.journal != nil {
		f.places = appendCopyCheckpoint(f.places[:0], f.parts)
		f.offered.Checkpoint = f.places
		f.full.Reset(fullAfter)
	} else {
		n := f.notes.next()
		n.bytes, n.stretch = len(sentBody(f.offered)), f.keeper.Load().offer(p.number)
		if key := keyOfMessage(&from.Message); key != "" {
			n.keyed, n.key = true, f.pub.tally.hash(key)
		}
		if f.pub.undelivered != nil {
			n.record = f.offered
		}
		f.stretch, f.offered.Tag = n.stretch, n
	}
	accepted := yield(f.offered, nil)
	if f.full.Stop(); !accepted {
		p.last = last
		f.keeper.Load().refused(p.number, f.stretch)
		return false
	}
	f.keeper.Load().accepted(p.number, f.stretch, from.SequenceNumber)
	f.passed(p, from, last)
	p.events++
	if f.present.digests != nil {
		f.sums.add(f.group(&from.Message, p.into), p.id, f.present.digests[f.next])
	}
	f.offered, f.next = nil, f.next+1
	return true
}

// passed counts the sequence numbers between an event and the one before it.
func (f *feeding) passed(p *copiedPartition, from *consumer.Event, before int64) {
	if p.first < 0 {
		p.first = from.SequenceNumber
	}
	if before >= 0 {
		p.gaps += from.SequenceNumber - before - 1
	}
	p.last = from.SequenceNumber
}

// An unreadableError says why an event of the source cannot be read.
type unreadableError struct {
	err error
}

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// leaveOut leaves an event out and says so, or returns why the copy ends there.
func (f *feeding) leaveOut(p *copiedPartition, from *consumer.Event, cause error) error {
	_, unreadable := errors.AsType[*unreadableError](cause)
	switch {
	case unreadable && f.options.stop:
		return fmt.Errorf("partition %s: %s is not a valid AMQP message (--on-unreadable skip leaves it out): %w", p.id, from, cause)
	case unreadable:
		f.unreadable++
		f.pub.progress.line(fmt.Sprintf("Partition %s: %s is not a valid AMQP message and is left out: %v", p.id, from, cause))
	case f.pub.undelivered == nil:
		return fmt.Errorf("partition %s: %s cannot be copied (--undelivered FILE leaves it out): %w", p.id, from, cause)
	default:
		f.pub.tally.refused()
		r := undeliveredRecord{Message: eventjson.New(&from.Message), Partition: p.id, Outcome: eventhubs.NotStored.String(), Error: f.process.message(cause)}
		if !f.pub.undelivered.write(r) {
			return fmt.Errorf("the copy ends before partition %s, %s, which the target does not take and %s cannot hold", p.id, from, f.options.publish.undelivered)
		}
		f.pub.progress.line(fmt.Sprintf("Partition %s: %s cannot be copied and is written to %s: %s", p.id, from, f.options.publish.undelivered, f.process.message(cause)))
	}
	f.next++
	if from.Placed {
		f.passed(p, from, p.last)
		f.keeper.Load().pass(p.number, from.SequenceNumber)
	}
	return nil
}

// refuse handles an event that the producer has not accepted. It returns why the copy ends there.
func (f *feeding) refuse(cause error) error {
	p, from := f.present.from, &f.present.events[f.next]
	f.offered = nil
	if errors.Is(cause, eventhubs.ErrInvalidArgument) || errors.Is(cause, eventhubs.ErrEventTooLarge) {
		return f.leaveOut(p, from, cause)
	}
	return fmt.Errorf("the copy ends before partition %s, %s: %w", p.id, from, cause)
}
