package eventhubs

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"
)

// Staging holds the events that were accepted before the hub's partitions are known: a partition without a link, whose events each remember their
// route. The first of them starts discovery, which asks the service for the list and hands the events on to their partitions.
type staging struct {
	// Immutable after newProducer.
	producer *BufferedProducer
	work     work

	nowhere turn // of the handlers of what names no partition

	queue              // its lock also guards the publishing of a table
	discovering bool   // a goroutine is; guarded by queue.mu
	question    uint64 // of the list that was adopted last; guarded by queue.mu
	over        bool   // a table is published; guarded by queue.mu
}

// errOver tells who still meant to stage an event that the table is there now.
var errOver = errors.New("eventhubs: staging is over")

// append puts an event into staging. It returns errOver when the partitions are known by now, ErrClosed after Close began.
func (s *staging) append(w *wireEvent, x *extra, urgent bool) error {
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
	b.flush = b.flush || urgent
	if !s.discovering {
		s.discovering = true
		// discover ends when the partitions are known or when nothing is staged any more; Close waits for it.
		s.producer.senders.Go(s.discover)
	}
	return nil
}

// cover puts a barrier behind every event in staging; with hurry they will not linger.
func (s *staging) cover(r *barrier, hurry bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coverLocked(r, hurry)
}

// clear fails everything that is staged with that error and returns how many events that were.
func (s *staging) clear(err error) int {
	s.mu.Lock()
	var doomed []ending
	for len(s.waiting) > 0 {
		doomed = append(doomed, ending{batch: s.takeLocked(), err: err})
	}
	return s.clearUnlock(doomed)
}

// clearNamed is clear for the events that name a partition. It reports false if the partitions are known, and what is theirs with them.
func (s *staging) clearNamed(id string, err error) (events int, staged bool) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return 0, false
	}
	var doomed []ending
	for i := 0; i < len(s.waiting); {
		b := s.waiting[i]
		switch b.named(id) {
		case 0:
			i++
		case b.count:
			s.waiting = slices.Delete(s.waiting, i, i+1)
			s.taken = append(s.taken, b)
			doomed = append(doomed, ending{batch: b, err: err})
		default:
			split := b.split(func(i int) bool { return at(b.extras.routes, i).id == id }, math.MaxInt, s.producer.newBatch)
			split.leaveLocked()
			s.taken = append(s.taken, split.pieces...)
			for _, piece := range split.pieces {
				doomed = append(doomed, ending{batch: piece, err: err})
			}
			if split.stays != nil {
				s.producer.recycle(split.stays)
			}
			i++
		}
	}
	return s.clearUnlock(doomed), true
}

// clearUnlock ends batches that were taken, gives the lock back, and then their room. It returns how many events that were.
func (s *staging) clearUnlock(doomed []ending) int {
	events, bytes := 0, 0
	for _, d := range doomed {
		d.batch.roomless = true
		events += d.batch.count
		bytes += d.batch.bytes
	}
	s.endLocked(doomed)
	s.mu.Unlock()
	s.producer.admission.leave(nil, events, bytes)
	return events
}

// discover asks for the hub's partitions until it has them, with pauses between tries. Each try that fails is a failed try of every batch
// that is staged by then, unless the service was only too busy; a batch that has used up its tries or its time fails.
func (s *staging) discover() {
	for failed := (retries{}); ; {
		opened := s.producer.hub.Opened()
		list, failure := s.ask(&failed)
		if failure == nil {
			s.adopt(list)
			return
		}
		if s.failExhausted(failure); s.emptied() {
			return
		}
		s.tellRetrying(failure)
		s.producer.pause(min(failure.pause, s.timeLeft()), wakes(failure.err, opened))
		if s.failExhausted(&verdict{last: failure.last}); s.emptied() { // whose time ended with the pause: another try would have none
			return
		}
	}
}

// A verdict is what a failed try to learn the partitions means for the events that wait for them.
type verdict struct {
	err       error         // as it came
	reason    error         // the failure of the try, which ends a batch that has used up its tries
	last      hindrance     // the same, for a batch that has used up its time
	hopeless  bool          // for every batch
	counts    bool          // as a try of every batch
	throttled bool          // the service was too busy
	pause     time.Duration // before the next try
}

// ask is one try to learn the partitions. The verdict is nil if there is nothing to judge.
func (s *staging) ask(failed *retries) (partitionList, *verdict) {
	s.work.begin(tryRuns)
	defer s.work.end(tryRuns)
	list, err := s.producer.askPartitions(s.timeLeft())
	if err == nil {
		return list, nil
	}
	return list, s.judge(err, failed)
}

func (s *staging) judge(err error, failed *retries) *verdict {
	o := &s.producer.options
	if stopped := s.producer.stopped(); stopped != nil {
		return &verdict{err: err, reason: s.producer.health.hindrance(nil).with(stopped), hopeless: true}
	}
	before, last := *failed, failed.failed(err, "")
	pause, again := failed.after(err, "", false, o)
	v := &verdict{err: err, reason: failed.reason(last), last: failed.last,
		counts: failed.counted > before.counted, throttled: failed.throttled > before.throttled, pause: pause}
	// A batch that came later has more tries left than there were in all: failExhausted looks at each.
	v.hopeless = !again && (!v.counts || o.Retry.Policy != nil)
	f := triedAgain
	if v.hopeless {
		f = givenUp
	}
	s.producer.health.failed(nil, v.reason, f)
	return v
}

// timeLeft is how long the batch that has been staged first may still wait: at least a moment, so that a try can be made.
func (s *staging) timeLeft() time.Duration {
	limit := s.producer.options.DeliveryTimeout
	if limit < 0 {
		return math.MaxInt64
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.headLocked(); b != nil {
		return max(time.Until(b.first.Add(limit)), time.Millisecond)
	}
	return limit
}

// askPartitions is one try to learn the hub's partitions, within that time and that of any try.
func (p *BufferedProducer) askPartitions(within time.Duration) (partitionList, error) {
	if err := p.stopped(); err != nil {
		return partitionList{}, err
	}
	ctx, cancel := context.WithTimeout(p.trying, min(within, p.options.Retry.TryTimeout))
	defer cancel()
	list, err := p.listPartitions(ctx)
	if stopped := p.stopped(); stopped != nil {
		return partitionList{}, stopped
	}
	return list, err
}

// A partitionList is the hub's partitions as the service has listed them, and the number of the question: of two lists the one that was asked for later holds.
type partitionList struct {
	ids      []string
	question uint64
}

// listPartitions asks the service for the hub's partitions.
func (p *BufferedProducer) listPartitions(ctx context.Context) (partitionList, error) {
	question := p.questions.Add(1)
	properties, err := p.hub.Properties(ctx)
	switch {
	case err != nil:
		return partitionList{}, err
	case len(properties.PartitionIDs) == 0:
		return partitionList{}, &Error{Code: CodeNotFound, Err: errors.New("the service says that the event hub has no partitions")}
	}
	return partitionList{properties.PartitionIDs, question}, nil
}

// An ending is a staged batch that fails.
type ending struct {
	batch  *batch
	err    error
	places map[string]<-chan struct{} // in the turns of the partitions that its events name; see endLocked
}

// failExhausted counts a failed try for every staged batch, and ends those that have no try or no time left.
func (s *staging) failExhausted(v *verdict) {
	o := &s.producer.options
	var ended []ending
	s.mu.Lock()
	for range len(s.waiting) {
		b := s.takeLocked()
		if v.counts {
			b.full = true // what comes now has its own tries to come
			b.tries++
		}
		switch {
		case v.hopeless || o.Retry.Policy == nil && b.tries > max(0, o.Retry.MaxRetries):
			ended = append(ended, ending{batch: b, err: v.reason})
		case o.DeliveryTimeout >= 0 && time.Since(b.first) >= o.DeliveryTimeout:
			ended = append(ended, ending{batch: b, err: s.producer.overdue(true, v.last)})
		default:
			s.taken = s.taken[:len(s.taken)-1]
			s.waiting = append(s.waiting, b)
		}
	}
	if o.StopPartitionOnFailure && len(ended) > 0 {
		for range len(s.waiting) {
			ended = append(ended, ending{batch: s.takeLocked(), err: partitionStopped("", ended[0].err)}) // it may be for the same partition
		}
	}
	s.endLocked(ended)
	s.mu.Unlock()
}

// endLocked tells of batches that were taken: of each named partition in its turn, in which they have their places from now on, before whatever is enqueued later. Nobody waits for that: a
// handler that hangs holds up neither the list of partitions nor another partition.
func (s *staging) endLocked(ended []ending) {
	if len(ended) == 0 {
		return
	}
	for i, e := range ended {
		ended[i].places = make(map[string]<-chan struct{})
		for n := range e.batch.count {
			id := at(e.batch.extras.routes, n).id
			if ended[i].places[id] == nil && s.producer.options.OnBatchFailed != nil {
				ended[i].places[id] = s.turnOf(id).ask()
			}
		}
	}
	// Ends when it has begun to tell; Close waits for it.
	s.producer.senders.Go(func() { s.end(ended) })
}

// turnOf is the turn of what names that partition, or none.
func (s *staging) turnOf(id string) *turn {
	if id == "" {
		return &s.nowhere
	}
	return s.producer.turns.of(id, &s.producer.options)
}

// end is endLocked without the lock.
func (s *staging) end(ended []ending) {
	tell := map[string][]func(){}
	for _, e := range ended {
		b, o := e.batch, Outcome{Err: e.err, Storage: NotStored, Queued: time.Since(e.batch.first)}
		if !b.roomless {
			s.producer.admission.leave(nil, b.count, b.bytes)
		}
		for _, part := range s.parts(b) {
			id := at(part.extras.routes, 0).id
			o := o // of the part
			o.PartitionID = id
			s.producer.settled(id, part, batchBytesUnknown, o)
			tell[id] = append(tell[id], func() {
				s.producer.tell(&s.queue, &s.work, id, s.turnOf(id), e.places[id], part, o)
				s.producer.conclude(&s.queue, part, o)
			})
		}
	}
	for _, calls := range tell {
		// Ends when the handlers that it calls have returned; Close waits for it.
		s.producer.senders.Go(func() {
			for _, call := range calls {
				call()
			}
		})
	}
}

// tellRetrying tells of a failed try, for every batch that is staged still.
func (s *staging) tellRetrying(v *verdict) {
	var staged []TracedBatch
	s.mu.Lock()
	for _, b := range s.waiting {
		t := s.producer.traced("", b)
		t.batch = nil // Connect may move its events to their partitions at any moment
		staged = append(staged, t)
	}
	s.mu.Unlock()
	tell := s.producer.retrying
	if v.throttled {
		tell = s.producer.throttled
	}
	for _, t := range staged {
		tell(t, v.reason, v.pause)
	}
}

// parts makes a batch for each partition that is named in one that was taken. That one is left with what comes first.
func (s *staging) parts(b *batch) []*batch {
	parts := []*batch{b}
	for {
		rest := parts[len(parts)-1]
		id := at(rest.extras.routes, 0).id
		others := rest.count - rest.named(id)
		if others == 0 {
			return parts
		}
		split := rest.split(func(i int) bool { return at(rest.extras.routes, i).id != id }, math.MaxInt, s.producer.newBatch)
		for _, piece := range split.pieces {
			piece.roomless = rest.roomless
		}
		s.mu.Lock()
		split.leaveLocked()
		s.taken = append(s.taken, split.pieces...)
		s.mu.Unlock()
		if split.stays != nil {
			s.producer.recycle(split.stays)
		}
		parts = append(parts, split.pieces...)
	}
}

// named is how many of a staged batch's events name that partition.
func (b *batch) named(id string) (events int) {
	for i := range b.count {
		if at(b.extras.routes, i).id == id {
			events++
		}
	}
	return events
}

// named is how many of the events that are staged name that partition. It reports false if the partitions are known.
func (s *staging) named(id string) (events int, staged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.waiting {
		events += b.named(id)
	}
	return events, !s.over
}

// emptied reports whether nothing is staged; then discovery has ended, and the next event starts it again.
func (s *staging) emptied() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discovering = len(s.waiting) > 0
	return !s.discovering
}

// adopt publishes the table for the service's list. The first time, it moves what is staged to its partitions, in order; whoever still comes
// to stage an event is sent to the table.
func (s *staging) adopt(list partitionList) {
	p := s.producer
	s.mu.Lock()
	if list.question < s.question {
		s.mu.Unlock()
		p.health.recovered(nil)
		return // a later question was answered sooner
	}
	s.question = list.question
	t := p.table.Load()
	if t == nil || !slices.Equal(t.ids(), list.ids) {
		t = newTable(p, list.ids)
	}
	if !s.over {
		s.endLocked(s.moveLocked(t))
		s.over = true
	}
	p.table.Store(t)
	p.admission.spread(len(t.byID) > 1)
	s.mu.Unlock()
	p.health.recovered(nil) // after the table is published: what fails to get it from now on is no failure
	p.refreshAt.Store(time.Now().Add(p.refreshInterval()).UnixNano())
	p.health.forget(func(part *partition) bool { return part.gone(t) })

	for _, part := range t.partitions {
		part.wake()
	}
}

// moveLocked moves every staged event to its partition, with the barriers that cover it. Nobody but us knows the partitions yet. An event that names a partition that there is not
// fails, in a batch of its own.
func (s *staging) moveLocked(t *table) (unroutable []ending) {
	for len(s.waiting) > 0 {
		b := s.takeLocked()
		for i, encoded := range b.all() {
			to, size := at(b.extras.routes, i), sectionSize(len(encoded))
			part, err := t.assignHere(to, size)
			if to.open() && s.producer.options.Partitioning == Sticky {
				// As place does, but that adopt tells the senders, when the table is published.
				part = t.stickyFor(part, size, false, func() *partition { return t.anyFor(size) })
			}
			if err != nil {
				target := s.producer.newBatch()
				target.append(encoded, nil, new(b.extras.of(i)), b.first)
				s.taken = append(s.taken, target)
				unroutable = append(unroutable, ending{batch: target, err: err})
				b.coverTarget(i, target)
				continue
			}
			part.receive(b, i, encoded)
		}
		for _, c := range s.doneLocked(b) {
			c.barrier.moved(c.events)
		}
		s.producer.recycle(b)
	}
	return unroutable
}

// receive appends the i-th event of a staged batch to the partition.
func (p *partition) receive(staged *batch, i int, encoded []byte) {
	x := staged.extras.of(i)
	x.route = route{}
	p.producer.admission.charge(p.share, 1, sectionSize(len(encoded)))
	p.mu.Lock()
	defer p.mu.Unlock()
	target := p.appendLocked(encoded, nil, &x, staged.first)
	target.flush = target.flush || staged.flush
	staged.coverTarget(i, target)
}

// coverTarget covers the event that came last into target by the barriers that cover the i-th event of b. The lock of target's queue must be held.
func (b *batch) coverTarget(i int, target *batch) {
	for _, c := range b.coverage {
		if i < c.events {
			c.barrier.cover(target, 1)
		}
	}
}
