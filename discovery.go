package eventhubs

import (
	"context"
	"errors"
	"time"
)

// Staging holds the events that were accepted before the hub's partitions are known: a partition without a link, whose events each remember their
// route. The first of them starts discovery, which asks the service for the list and hands the events on to their partitions.
type staging struct {
	producer *BufferedProducer // immutable

	queue
	discovering bool // a goroutine is; guarded by queue.mu
	over        bool // the table is published; guarded by queue.mu
}

// errOver tells who still meant to stage an event that the table is there now.
var errOver = errors.New("eventhubs: staging is over")

// append puts an event into staging. It returns errOver when the partitions are known by now, ErrClosed after Close began.
func (s *staging) append(w *wireEvent, x extra) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return errOver
	case s.producer.closing.Load(): // as in partition.append
		return errClosed()
	}
	b := s.openLocked(sectionSize(w.size()), batchBytesUnknown, s.producer.newBatch)
	b.append(w.head, w.body, x, time.Now())
	if !s.discovering {
		s.discovering = true
		// discover ends when the partitions are known or when nothing is staged any more; Close waits for it.
		s.producer.senders.Go(s.discover)
	}
	return nil
}

// cover puts a barrier behind every event in staging.
func (s *staging) cover(r *barrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coverLocked(r)
}

// discover asks for the hub's partitions until it has them, with pauses between tries. Each try that fails is a failed try of every batch
// that is staged by then; one that has used up its tries fails.
func (s *staging) discover() {
	for failures := 1; ; failures++ {
		ids, err := s.producer.askPartitions()
		if err == nil {
			s.handOver(ids)
			return
		}
		if s.failExhausted(err); s.emptied() {
			return
		}
		timer := time.NewTimer(s.producer.options.RetryOptions.delay(failures))
		select {
		case <-timer.C:
		case <-s.producer.lifetime.Done():
			timer.Stop()
		}
	}
}

// askPartitions is one try to learn the hub's partitions.
func (p *BufferedProducer) askPartitions() ([]string, error) {
	if err := p.aborted(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.lifetime, p.options.RetryOptions.TryTimeout)
	defer cancel()
	properties, err := p.hub.Properties(ctx)
	switch {
	case p.aborted() != nil:
		return nil, p.aborted()
	case err != nil:
		return nil, err
	case len(properties.PartitionIDs) == 0:
		return nil, &Error{Code: CodeNotFound, Err: errors.New("the service says that the event hub has no partitions")}
	}
	return properties.PartitionIDs, nil
}

// failExhausted counts a failed try for every staged batch, and ends those that have no try or no time left.
func (s *staging) failExhausted(err error) {
	options := &s.producer.options
	var ended []*batch
	s.mu.Lock()
	for range len(s.waiting) {
		b := s.takeLocked()
		b.full = true // what comes now has its own tries to come
		b.tries++
		late := options.DeliveryTimeout >= 0 && time.Since(b.first) >= options.DeliveryTimeout
		if late || b.tries > options.RetryOptions.MaxRetries || s.producer.aborted() != nil {
			ended = append(ended, b)
		} else {
			s.taken = s.taken[:len(s.taken)-1]
			s.waiting = append(s.waiting, b)
		}
	}
	s.mu.Unlock()
	for _, b := range ended {
		s.settle(b, Outcome{Err: failure(err, "", b.tries), Storage: NotStored, Queued: time.Since(b.first)})
	}
}

// settle is partition.settle for events whose partition is not known.
func (s *staging) settle(b *batch, o Outcome) {
	s.producer.admission.leave(len(b.events), b.bytes)
	s.producer.tell("", b, o)
	s.mu.Lock()
	coverage := s.doneLocked(b)
	s.mu.Unlock()
	for _, c := range coverage {
		c.barrier.told(c.events, o.Err)
	}
	s.producer.recycle(b)
}

// emptied reports whether nothing is staged; then discovery has ended, and the next event starts it again.
func (s *staging) emptied() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discovering = len(s.waiting) > 0
	return !s.discovering
}

// handOver publishes the table and moves what is staged to its partitions, in order. Whoever still comes to stage an event is sent to the table.
func (s *staging) handOver(ids []string) {
	p := s.producer
	partitions := make([]*partition, len(ids))
	for i, id := range ids {
		partitions[i] = newPartition(p, id)
	}
	t := newTable(partitions, &p.ring)

	s.mu.Lock()
	unroutable := s.moveLocked(t)
	s.over = true
	p.table.Store(t)
	s.mu.Unlock()

	for _, part := range partitions {
		part.wake()
	}
	for _, u := range unroutable {
		s.settle(u.batch, Outcome{Err: u.err, Storage: NotStored, Queued: time.Since(u.batch.first)})
	}
}

// An unroutable is a batch of one event that names a partition that there is not.
type unroutable struct {
	batch *batch
	err   error
}

// moveLocked moves every staged event to its partition, with the barriers that cover it. Nobody but us knows the partitions yet.
func (s *staging) moveLocked(t *table) (failed []unroutable) {
	for len(s.waiting) > 0 {
		b := s.takeLocked()
		for i, encoded := range b.events {
			x := b.extra(i)
			part, err := t.assign(x.route)
			var target *batch
			if err != nil {
				target = s.producer.newBatch()
				target.append(encoded, nil, x, b.first)
				s.taken = append(s.taken, target)
				failed = append(failed, unroutable{target, err})
			} else {
				x.route = route{}
				part.mu.Lock()
				target = part.appendLocked(encoded, nil, x, b.first)
			}
			for _, c := range b.coverage {
				if i < c.events {
					c.barrier.cover(target, 1)
					target.flush = true
				}
			}
			if err == nil {
				part.mu.Unlock()
			}
		}
		for _, c := range s.doneLocked(b) {
			c.barrier.moved(c.events)
		}
		s.producer.recycle(b)
	}
	return failed
}
