package eventhubs

import (
	"errors"
	"math"
	"slices"
	"time"
)

// Staging holds the events that were accepted before the hub's partitions were known. It is a queue
// without a link, and each event keeps its route. The first event starts discovery, which asks the
// service for the list. Then staging hands the events over to their partitions.
type staging struct {
	nowhere turn // of the handlers for events that name no partition

	queue            // its lock also guards the publishing of a table
	discovering bool // the discovery's goroutine runs; guarded by mu
	over        bool // a table is published; guarded by mu
}

func newStaging(p *parts) *staging {
	s := &staging{nowhere: turn{free: 1}, queue: queue{parts: p}}
	s.work.watch, s.work.numbers = p.watch, s.numbers
	return s
}

// errOver says that no event is staged any more, since the partitions are known.
var errOver = errors.New("eventhubs: staging is over")

// append puts an event into staging. It returns errOver when the partitions are known, and
// ErrClosed after Close began.
func (s *staging) append(w *wireEvent, x *extra, urgent bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return errOver
	case s.lifetime.closing.Load(): // as in partition.putLocked
		return errClosed()
	}
	b := s.openLocked(sectionSize(w.size()), batchBytesUnknown)
	b.append(w.head, w.body, x, time.Now())
	b.flush = b.flush || urgent
	if !s.discovering {
		s.discovering = true
		// discover ends when the partitions are known or when nothing is staged.
		s.crew.run(s.discover)
	}
	return nil
}

// cover covers every staged event by a barrier. With hurry, these events do not linger later.
func (s *staging) cover(r *barrier, hurry bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coverLocked(r, hurry)
}

// clear fails every staged event with that error, and returns how many these are.
func (s *staging) clear(err error) (events int) {
	s.mu.Lock()
	defer s.unlock()
	s.freed.given = true
	var failed []failedBatch
	for len(s.waiting) > 0 {
		failed = append(failed, failedBatch{batch: s.takeLocked(), err: err})
	}
	return s.failLocked(failed)
}

// clearNamed is clear for the events that name a partition. It reports false if the partitions are
// known: then the partition has these events.
func (s *staging) clearNamed(id string, err error) (events int, staged bool) {
	s.mu.Lock()
	defer s.unlock()
	if s.over {
		return 0, false
	}
	s.freed.given = true
	var failed []failedBatch
	for i := 0; i < len(s.waiting); {
		b := s.waiting[i]
		switch b.named(id) {
		case 0:
			i++
		case b.count:
			s.waiting = slices.Delete(s.waiting, i, i+1)
			s.taken = append(s.taken, b)
			failed = append(failed, failedBatch{batch: b, err: err})
		default:
			for _, piece := range s.splitLocked(b, func(i int) bool { return at(b.extras.routes, i).id == id }) {
				failed = append(failed, failedBatch{batch: piece, err: err})
			}
			i++
		}
	}
	return s.failLocked(failed), true
}

// splitLocked moves some events of a batch to other batches, which are taken.
func (s *staging) splitLocked(b *batch, leaves func(i int) bool) (pieces []*batch) {
	split := b.split(leaves, math.MaxInt)
	split.leaveLocked()
	s.taken = append(s.taken, split.pieces...)
	split.recycle()
	return split.pieces
}

// named returns how many of a staged batch's events name that partition.
func (b *batch) named(id string) (events int) {
	for i := range b.count {
		if at(b.extras.routes, i).id == id {
			events++
		}
	}
	return events
}

// named returns how many staged events name that partition. It reports false if the partitions are
// known.
func (s *staging) named(id string) (events int, staged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.waiting {
		events += b.named(id)
	}
	return events, !s.over
}

// A failedBatch is a staged batch that fails.
type failedBatch struct {
	batch  *batch
	err    error
	lane   *lane                      // of its one event from the journal; else nil
	places map[string]<-chan struct{} // in the turns of the partitions that its events name; see failLocked
}

// failLocked fails taken batches, and returns how many events they have. Their room is free when
// the queue is unlocked. The outcomes for each named partition are reported in its turn, in a place
// before everything that is enqueued later. The call does not wait for the reports: a handler that
// hangs delays neither the list of partitions nor another partition.
func (s *staging) failLocked(failed []failedBatch) (events int) {
	if len(failed) == 0 {
		return 0
	}
	for i, f := range failed {
		s.freeLocked(f.batch)
		events += f.batch.count
		failed[i].places = make(map[string]<-chan struct{})
		for n := range f.batch.count {
			id := at(f.batch.extras.routes, n).id
			if failed[i].places[id] == nil && s.options.OnBatchFailed != nil {
				failed[i].places[id] = s.turnOf(id).ask()
			}
		}
	}
	// Ends when a goroutine for each partition reports.
	s.crew.run(func() { s.settle(failed) })
	return events
}

// turnOf returns the turn of the events that name that partition, or no partition if id is empty.
func (s *staging) turnOf(id string) *turn {
	if id == "" {
		return &s.nowhere
	}
	return s.handlers.turns.of(id, s.options)
}

// settle ends failed batches. The partitions are reported at the same time, and each partition's
// batches in order.
func (s *staging) settle(failed []failedBatch) {
	endings := map[string][]*ending{}
	for _, f := range failed {
		o := Outcome{Err: f.err, Storage: NotStored, Queued: time.Since(f.batch.first)}
		for _, part := range s.parted(f.batch) {
			id := at(part.extras.routes, 0).id
			o.PartitionID = id
			endings[id] = append(endings[id], &ending{queue: &s.queue, partitionID: id, turn: s.turnOf(id), place: f.places[id],
				batch: part, lane: f.lane, outcome: o, limit: batchBytesUnknown})
		}
	}
	for _, its := range endings {
		// Ends when the handlers that it calls have returned.
		s.crew.run(func() {
			for _, e := range its {
				s.handlers.settle(e)
			}
		})
	}
}

// parted splits a taken batch into a batch for each partition that its events name. The batch
// itself keeps the events of the first partition.
func (s *staging) parted(b *batch) []*batch {
	batches := []*batch{b}
	for {
		rest := batches[len(batches)-1]
		id := at(rest.extras.routes, 0).id
		if rest.named(id) == rest.count {
			return batches
		}
		s.mu.Lock()
		batches = append(batches, s.splitLocked(rest, func(i int) bool { return at(rest.extras.routes, i).id != id })...)
		s.mu.Unlock()
	}
}

// moveLocked moves every staged event to its partition, with the barriers that cover it. No sender
// knows the partitions yet. An event that names an unknown partition fails, in a batch of its own.
func (s *staging) moveLocked(t *table) (unroutable []failedBatch) {
	for len(s.waiting) > 0 {
		b := s.takeLocked()
		for i, encoded := range b.all() {
			if err := s.moveEvent(t, b, i, encoded); err != nil {
				target := newBatch()
				target.append(encoded, nil, new(b.extras.of(i)), b.first)
				s.taken = append(s.taken, target)
				unroutable = append(unroutable, failedBatch{batch: target, err: err})
				b.coverTarget(i, target)
			}
		}
		for _, c := range s.doneLocked(b) {
			c.barrier.moved(c.events)
		}
		b.recycle()
	}
	return unroutable
}

// moveEvent moves the i-th event of a staged batch to its partition.
func (s *staging) moveEvent(t *table, b *batch, i int, encoded []byte) (err error) {
	to, size := at(b.extras.routes, i), sectionSize(len(encoded))
	var p *partition
	if to.open() && s.options.Partitioning == Sticky {
		p = s.directory.receiveSticky(t, b, i, encoded)
	} else {
		if p, err = s.directory.assignGuarded(t, to, size); err != nil {
			return err
		}
		p.receive(b, i, encoded, false)
	}
	s.admission.charge(p.share, 1, size)
	return nil
}

// coverTarget covers the last event of target by each barrier that covers the i-th event of b. The
// lock of target's queue must be held.
func (b *batch) coverTarget(i int, target *batch) {
	for _, c := range b.coverage {
		if i < c.events {
			c.barrier.cover(target, 1)
		}
	}
}

// stats returns the numbers of the events whose partition is not known, and the state of the list
// of partitions.
func (s *staging) stats(now time.Time) PartitionStats {
	q := s.numbers(now)
	s.observer.health.judge(nil, &q)
	return q
}

// numbers returns what is in stats without the state, whose text has some of these numbers.
func (s *staging) numbers(now time.Time) PartitionStats {
	q := s.queue.stats(now)
	q.LastNumber = -1
	age, handlers, _ := s.work.busy()
	q.RunningAge, q.Waiting = age, WaitingForList
	if handlers {
		q.Waiting = WaitingForHandler
	}
	return q
}
