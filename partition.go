package eventhubs

import (
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/defaults"
)

// How large a batch may be.
const (
	// batchBytesUnknown is used until the first link has stated its largest message. The smallest
	// tier takes as much.
	batchBytesUnknown = 256 << 10
	// batchBytesFloor bounds how far many open links shrink a batch.
	batchBytesFloor = defaults.LeastBatchBytes
	// batchBytesCeiling is never exceeded, whatever the link takes: larger batches gain nothing and
	// hold events back.
	batchBytesCeiling = 1 << 20
)

// A partition collects the events for one partition of the hub in batches, and its senders deliver
// them, oldest first. With ServiceAssigned one partition without an id stands for all.
type partition struct {
	// Immutable after newPartition.
	id       string
	link     link
	identity *identity // nil without EnableIdempotentRetries
	turn     *turn     // of handlers; nil without an id
	lane     *lane     // in the journal; nil without one

	linkMax atomic.Int64 // bytes: the largest message of the latest link; zero if none was open yet
	learned atomic.Int64 // bytes, from the service's refusals; see partition_size.go
	phase   atomic.Int32 // what its latest sender is doing: a Waiting

	queue               // its lock guards the fields below too
	sending int         // senders at work
	linger  *time.Timer // ends the linger of the open batch, or of an earlier one; nil until first needed
	lingers bool        // the timer is set
	stopped error       // why it takes no events (StopPartitionOnFailure)
}

func newPartition(parts *parts, id string) *partition {
	p := &partition{id: id, link: parts.hub.Link(id), turn: parts.handlers.turns.of(id, parts.options), queue: queue{parts: parts}}
	p.work.watch, p.work.partition, p.work.numbers = parts.watch, p, p.numbers
	p.share = parts.admission.newShare(p, id == "")
	p.learned.Store(unlimited)
	if parts.journal != nil {
		p.lane = parts.journal.lane(id)
	}
	if parts.options.EnableIdempotentRetries {
		p.identity = newIdentity(p)
	}
	return p
}

// append puts an event into the partition's open batch, and starts a sender if a batch is ready;
// urgent makes it so. After Close began it puts nothing and returns ErrClosed.
func (p *partition) append(w *wireEvent, x *extra, urgent bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.putLocked(w, x, urgent)
}

// join is append, unless the event would begin another batch while one is there. That batch is full
// then, and join reports false.
func (p *partition) join(w *wireEvent, x *extra) (joined bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.joinsLocked(sectionSize(w.size())) {
		p.wakeLocked()
		return false, nil
	}
	return true, p.putLocked(w, x, false)
}

// joinsLocked reports whether an event of that size joins the open batch, or begins the only one.
// If not, it closes the open batch to all events, also to keyed ones.
func (p *partition) joinsLocked(size int) bool {
	b := p.lastLocked()
	if b == nil || b.takes(size, p.batchLimit()) {
		return true
	}
	b.full = true
	return false
}

func (p *partition) putLocked(w *wireEvent, x *extra, urgent bool) error {
	// Close sets the flag first and then visits every partition under this lock: so it covers what
	// is appended here.
	switch {
	case p.lifetime.closing.Load():
		return errClosed()
	case p.stopped != nil:
		return p.stopped
	}
	b := p.appendLocked(w.head, w.body, x, time.Time{})
	b.flush = b.flush || urgent
	p.wakeLocked()
	return nil
}

// feed puts an event of the journal into the open batch, also after Close began. A batch has events
// of former lives, or of this one.
func (p *partition) feed(encoded []byte, x *extra, accepted time.Time, urgent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := p.lastLocked(); last != nil && x.position >= p.journal.life && p.journal.recovers(last) {
		last.full = true
	}
	b := p.appendLocked(encoded, nil, x, accepted)
	b.flush = b.flush || urgent || p.lifetime.closing.Load()
	p.wakeLocked()
}

// appendLocked puts an event into the open batch and returns that batch. The zero time stands for
// now.
func (p *partition) appendLocked(head, body []byte, x *extra, accepted time.Time) *batch {
	size := sectionSize(len(head) + len(body))
	b := p.openLocked(size, p.batchLimit())
	if b.count == 0 {
		// Once for each batch, not for each event.
		now := time.Now()
		if accepted.IsZero() {
			accepted = now
		}
		p.directory.refreshIfDue(now)
	}
	b.append(head, body, x, accepted)
	return b
}

// receive takes over the i-th event of a staged batch, with the barriers that cover it. No sender
// learns of it. With join it does so only if the event joins the open batch or begins the only one,
// and reports whether it did.
func (p *partition) receive(staged *batch, i int, encoded []byte, join bool) (received bool) {
	size := sectionSize(len(encoded))
	x := staged.extras.of(i)
	x.route = route{}
	p.mu.Lock()
	defer p.mu.Unlock()
	if join && !p.joinsLocked(size) {
		return false
	}
	target := p.appendLocked(encoded, nil, &x, staged.first)
	target.flush = target.flush || staged.flush
	staged.coverTarget(i, target)
	return true
}

// batchLimit is how many bytes a batch of this partition may have now.
func (p *partition) batchLimit() int {
	takes := min(p.linkMax.Load(), p.learned.Load())
	if takes == 0 {
		return batchBytesUnknown
	}
	share := p.options.MaxBufferedBytes / (2 * max(1, int(p.directory.openLinks.Load())))
	return int(min(takes, batchBytesCeiling, max(batchBytesFloor, int64(share))))
}

// wakeLocked gives ready batches to senders, as long as the partition may have more senders. It
// sets the linger timer for an open batch that is not ready yet.
func (p *partition) wakeLocked() {
	for p.sending < p.options.MaxConcurrentSendsPerPartition {
		b := p.nextLocked()
		if b == nil {
			return
		}
		p.sending++
		p.crew.dispatch(readyBatch{p, b})
	}
}

// nextLocked takes the oldest batch if it is ready, for a sender. If it is not ready it is the open
// batch, since all before that are full; then nextLocked makes sure that its linger ends.
func (p *partition) nextLocked() *batch {
	b := p.headLocked()
	if b == nil {
		return nil
	}
	wait, ready := p.readyLocked(b)
	if ready {
		if len(p.waiting) == 1 && p.options.Partitioning == Sticky {
			p.directory.advance(p.directory.table.Load(), p) // this may be the open batch
		}
		return p.takeLocked()
	}
	if wait > 0 {
		p.lingers = true
		if p.linger == nil {
			p.linger = time.AfterFunc(wait, p.lingerEnded)
		} else {
			p.linger.Reset(wait)
		}
	}
	return nil
}

// readyLocked reports whether a free sender should take the batch now. If not, it returns how much
// of its linger is left; zero if time alone does not end it, or if the timer is set.
func (p *partition) readyLocked(b *batch) (wait time.Duration, ready bool) {
	if b.full || b.flush {
		return 0, true
	}
	linger, untilFull := p.options.linger()
	if (p.admission.pressed.Load() || p.share.pressed.Load()) && (untilFull || linger > longLinger || p.directory.worthwhile(b)) {
		return 0, true
	}
	// The timer decides, also if it was set for an earlier batch, whose linger ends sooner: this
	// way no clock is read for each event.
	if untilFull || p.lingers {
		return 0, false
	}
	if linger > 0 {
		if wait = time.Until(b.first.Add(linger)); wait > 0 {
			return wait, false
		}
	}
	return 0, true
}

// lingerEnded is called by the timer, on a goroutine of its own.
func (p *partition) lingerEnded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lingers = false
	p.wakeLocked()
}

// wake looks again whether a batch is ready, since the buffer came under pressure.
func (p *partition) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeLocked()
}

// cover covers every event in the partition by a barrier. With hurry it ends the linger and stops
// the timer: a timer that is set would keep a closed producer in memory.
func (p *partition) cover(r *barrier, hurry bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.coverLocked(r, hurry)
	if !hurry {
		return
	}
	if p.lingers {
		p.linger.Stop()
		p.lingers = false
	}
	p.wakeLocked()
}

// clear ends every batch that is not in flight with that error, and returns how many events these
// have. Their room is free at once. The partition's sender reports their outcome in its turn.
func (p *partition) clear(err error) (events int) {
	p.mu.Lock()
	defer p.unlock()
	events = p.doomLocked(err)
	p.wakeLocked()
	return events
}

// stop ends the waiting batches after a failure, and refuses new events until ResumePartition.
func (p *partition) stop(failure error) {
	p.admission.troubled(p.share, troubleStopped, 0) // first: from now on the ring passes the partition over
	p.mu.Lock()
	defer p.unlock()
	p.stopped = partitionStopped("partition "+p.id+": ", failure)
	p.doomLocked(p.stopped)
}

func (p *partition) isStopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped != nil
}

// resume lets the partition take events again.
func (p *partition) resume() {
	p.mu.Lock()
	p.stopped = nil
	p.mu.Unlock()
	p.admission.troubled(p.share, 0, troubleStopped)
}

// settle ends a batch that a sender has taken. First its room is free; then its outcome is
// reported.
func (p *partition) settle(b *batch, o Outcome) {
	o.PartitionID = p.id
	p.phase.Store(int32(WaitingForNothing))
	if o.Err != nil && b.doom == nil && p.options.StopPartitionOnFailure {
		p.stop(o.Err)
	}
	p.mu.Lock()
	p.freeLocked(b)
	p.freed.given = true
	if b.doom == nil { // a doomed batch was never tried, so it says nothing about the partition
		p.freed.ceased = troubleFailing
	}
	p.unlock()
	if o.Err != nil && p.directory.lacks(p) {
		p.observer.health.forget(func(part *partition) bool { return part == p })
	}
	p.handlers.settle(&ending{queue: &p.queue, partitionID: p.id, turn: p.turn, batch: b, lane: p.lane, outcome: o, limit: p.batchLimit()})
}

// stats returns the partition's numbers and its state.
func (p *partition) stats(now time.Time) PartitionStats {
	s := p.numbers(now)
	p.observer.health.judge(p, &s)
	return s
}

// numbers returns what is in stats without the state, whose text has some of these numbers.
func (p *partition) numbers(now time.Time) PartitionStats {
	s := p.queue.stats(now)
	s.ID = p.id
	age, handlers, _ := p.work.busy()
	s.RunningAge = age
	s.BufferedEvents, s.BufferedBytes = p.admission.holds(p.share)
	s.MaxMessageSize = int(p.linkMax.Load())
	s.LastNumber = -1
	if p.identity != nil {
		s.LastNumber = p.identity.last.Load()
	}
	s.Waiting = Waiting(p.phase.Load())
	switch {
	case handlers:
		s.Waiting = WaitingForHandler
	case p.isStopped(), p.halted() != nil:
		s.Waiting = WaitingStopped
	case s.Waiting == WaitingForService && p.link.WaitingForCredit():
		s.Waiting = WaitingForCredit
	case s.Waiting == WaitingForNothing && s.BufferedEvents > 0:
		s.Waiting = WaitingForEvents
	}
	return s
}
