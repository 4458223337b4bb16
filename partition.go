package eventhubs

import (
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/defaults"
)

// How large a batch may be.
const (
	// batchBytesUnknown is used until the first link has told its largest message. It is what the smallest tier takes.
	batchBytesUnknown = 256 << 10
	// batchBytesFloor is what many open links never shrink a batch below.
	batchBytesFloor = defaults.LeastBatchBytes
	// batchBytesCeiling is never exceeded, whatever the link takes: larger batches gain nothing and hold events back.
	batchBytesCeiling = 1 << 20
)

// A partition collects the events for one partition of the hub in batches and has its senders deliver them, oldest first. With
// ServiceAssigned there is one that stands for all of them and has no id.
type partition struct {
	// Immutable after newPartition.
	id       string
	producer *BufferedProducer
	link     link
	work     work
	identity *identity // nil without EnableIdempotentRetries; guarded by its turn
	share    *share    // of the buffer
	turn     *turn     // of handlers; nil for what the service assigns

	linkMax atomic.Int64 // bytes: the largest message of the latest link; zero if none was open yet
	learned atomic.Int64 // bytes: what the service takes in fact, as far as its refusals have taught, or unlimited; see limit.go
	phase   atomic.Int32 // what its latest sender is doing: a Waiting

	queue               // its lock guards the fields below too
	senders int         // goroutines at work
	linger  *time.Timer // ends the linger of the open batch, or of one that was open before it; nil until first needed
	lingers bool        // the timer is set
	stopped error       // why it takes no events (StopPartitionOnFailure)
}

func newPartition(p *BufferedProducer, id string) *partition {
	part := &partition{id: id, producer: p, link: p.hub.Link(id), turn: p.turns.of(id, &p.options)}
	part.work.watch, part.work.partition = p.watch, part
	part.share = p.admission.newShare(part, id == "")
	part.learned.Store(unlimited)
	if p.options.EnableIdempotentRetries {
		part.identity = newIdentity()
	}
	return part
}

// append puts an event into the partition's open batch and starts a sender if that made a batch ready; urgent makes it so.
// After Close began it puts nothing and returns ErrClosed.
func (p *partition) append(w *wireEvent, x *extra, urgent bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Close sets the flag first and then visits every partition under this lock: what is appended here is still covered by it.
	switch {
	case p.producer.closing.Load():
		return errClosed()
	case p.stopped != nil:
		return p.stopped
	}
	b := p.appendLocked(w.head, w.body, x, time.Time{})
	b.flush = b.flush || urgent
	p.wakeLocked()
	return nil
}

// joins reports whether an event of that size would join the open batch, or begin the only one. If not, that batch is full now, which a sender is told with waking.
func (p *partition) joins(size int, waking bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.waiting)
	if n == 0 || p.waiting[n-1].fits(size, p.batchLimit()) {
		return true
	}
	p.waiting[n-1].full = true
	if waking {
		p.wakeLocked()
	}
	return false
}

// appendLocked puts an event into the open batch and returns that batch. The zero time stands for now.
func (p *partition) appendLocked(head, body []byte, x *extra, accepted time.Time) *batch {
	size := sectionSize(len(head) + len(body))
	b := p.openLocked(size, p.batchLimit(), p.producer.newBatch)
	if b.count == 0 {
		// Once for each batch, not for each event.
		now := time.Now()
		if accepted.IsZero() {
			accepted = now
		}
		p.producer.refreshIfDue(now)
	}
	b.append(head, body, x, accepted)
	return b
}

// batchLimit is how many bytes a batch of this partition may have now.
func (p *partition) batchLimit() int {
	takes := min(p.linkMax.Load(), p.learned.Load())
	if takes == 0 {
		return batchBytesUnknown
	}
	share := p.producer.options.MaxBufferedBytes / (2 * max(1, int(p.producer.openLinks.Load())))
	return int(min(takes, batchBytesCeiling, max(batchBytesFloor, int64(share))))
}

// wakeLocked gives ready batches to senders that are free, and sets the linger timer for an open batch that is not ready yet.
func (p *partition) wakeLocked() {
	for p.senders < p.producer.options.MaxConcurrentSendsPerPartition {
		b := p.nextLocked()
		if b == nil {
			return
		}
		p.senders++
		p.producer.dispatch(readyBatch{p, b})
	}
}

// nextLocked takes the oldest batch if it is ready, for the sender that calls it or is about to be started. If it is not, it is the open one: all
// before that are full. Then nextLocked sees to it that its linger ends.
func (p *partition) nextLocked() *batch {
	b := p.headLocked()
	if b == nil {
		return nil
	}
	wait, ready := p.readyLocked(b)
	if ready {
		if t := p.producer.table.Load(); t != nil && len(p.waiting) == 1 && p.producer.options.Partitioning == Sticky {
			t.stickyLeaves(p) // it may have been the open one
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

// readyLocked reports whether a free sender should take the batch now, and if not, how much of its linger is left (zero: time alone
// does not end it, or the timer is set).
func (p *partition) readyLocked(b *batch) (wait time.Duration, ready bool) {
	if b.full || b.flush {
		return 0, true
	}
	linger, untilFull := p.producer.options.linger()
	if (p.producer.admission.pressed.Load() || p.share.pressed.Load()) && (untilFull || linger > longLinger || p.producer.worthwhile(b)) {
		return 0, true
	}
	// The timer will tell, also if it was set for an earlier batch, whose linger ends sooner: no clock is read for each event.
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

// wake looks again whether a batch is ready: the buffer has come under pressure.
func (p *partition) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakeLocked()
}

// cover puts a barrier behind every event in the partition; with hurry it ends the linger, timer included: set still, it would keep a closed producer in memory.
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

// clear ends what is not in flight with that error. Its room is given back at once; its outcome is told by the partition's sender, in
// its turn. It returns how many events that were.
func (p *partition) clear(err error) int {
	p.mu.Lock()
	events, bytes := p.doomLocked(err)
	p.wakeLocked()
	p.mu.Unlock()
	p.producer.admission.leave(p.share, events, bytes)
	return events
}

// stop ends what waits behind a failure, and refuses what comes, until ResumePartition.
func (p *partition) stop(failure error) {
	p.producer.admission.troubled(p.share, troubleStopped, 0) // first: the ring passes it over from now on
	p.mu.Lock()
	p.stopped = partitionStopped("partition "+p.id+": ", failure)
	events, bytes := p.doomLocked(p.stopped)
	p.mu.Unlock()
	p.producer.admission.leave(p.share, events, bytes)
}

// gone reports whether the table has the partition no more.
func (p *partition) gone(t *table) bool {
	return p != p.producer.anywhere && t != nil && t.byID[p.id] != p
}

func (p *partition) isStopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped != nil
}

// resume takes events again.
func (p *partition) resume() {
	p.mu.Lock()
	p.stopped = nil
	p.mu.Unlock()
	p.producer.admission.troubled(p.share, 0, troubleStopped)
}

// settle ends a batch that a sender has taken: its room is given back, then its Deliveries and handler are told, then the barriers.
func (p *partition) settle(b *batch, o Outcome) {
	o.PartitionID = p.id
	p.phase.Store(int32(WaitingForNothing))
	events, bytes := b.count, b.bytes
	if b.roomless {
		events, bytes = 0, 0
	}
	switch {
	case b.doom != nil: // it was never tried, so it says nothing about the partition
		p.producer.admission.leave(p.share, events, bytes)
	case o.Err != nil && p.producer.options.StopPartitionOnFailure:
		p.stop(o.Err)
		p.producer.admission.settle(p.share, events, bytes, troubleStopped)
	default:
		p.producer.admission.settle(p.share, events, bytes, 0)
	}
	if o.Err != nil && p.gone(p.producer.table.Load()) {
		p.producer.health.forget(func(part *partition) bool { return part == p })
	}
	p.producer.settled(p.id, b, p.batchLimit(), o)
	p.producer.tell(&p.queue, &p.work, p.id, p.turn, nil, b, o)
	p.producer.conclude(&p.queue, b, o)
}
