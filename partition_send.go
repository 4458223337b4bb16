package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A sender without work waits a while for some, of any partition, since the stack of a new goroutine has to grow first: a tenth of what a small batch costs.
const (
	idleTime    = time.Second
	idleSenders = 16 // how many wait at the most
)

// A readyBatch is work for a sender.
type readyBatch struct {
	partition *partition
	batch     *batch
}

// dispatch gives a batch to a sender. It does not wait.
func (p *BufferedProducer) dispatch(r readyBatch) {
	select {
	case p.ready <- r:
	default:
		// Ends when enough wait for work already, when none has come for idleTime, or with lifetime; Close waits for it.
		p.senders.Go(func() { p.serve(r) })
	}
}

// serve is a sender's goroutine.
func (p *BufferedProducer) serve(r readyBatch) {
	patience := time.NewTimer(idleTime)
	defer patience.Stop()
	tries := connection.NewDeadlines(p.lifetime)
	defer tries.Close()
	for again := true; again; r, again = p.nextReady(patience) {
		r.partition.send(r.batch, tries)
	}
}

// nextReady waits for a batch that is ready. It reports false if the goroutine is to end.
func (p *BufferedProducer) nextReady(patience *time.Timer) (r readyBatch, again bool) {
	defer p.idle.Add(-1)
	if p.idle.Add(1) > idleSenders {
		return r, false
	}
	patience.Reset(idleTime)
	select {
	case r = <-p.ready:
		return r, true
	case <-patience.C:
	case <-p.lifetime.Done():
	}
	return r, false
}

// send delivers b and then whatever else of the partition is ready, one batch at a time from end to end, until nothing is.
func (p *partition) send(b *batch, tries *connection.Deadlines) {
	for {
		o := p.deliver(b, tries)
		p.conclude(b, o)
		p.settle(b, p.explained(b, o)) // what has failed before is said, and nothing is concluded from it
		p.mu.Lock()
		if b = p.nextLocked(); b == nil {
			p.senders--
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
}

// deliver tries the batch until it has its outcome, and returns that.
func (p *partition) deliver(b *batch, tries *connection.Deadlines) Outcome {
	if b.sent.IsZero() {
		b.sent = time.Now()
	}
	p.work.begin(tryRuns) // until it is settled or rests: what a failure means is known before it counts as ended
	defer p.work.end(tryRuns)
	if err := p.prepare(b); err != nil {
		return b.failed(err)
	}
	p.producer.sealed(p.id, b)
	for {
		opened := p.producer.hub.Opened()
		result, err := p.try(b, tries)
		switch {
		case err != nil:
			return b.failed(err)
		case result.Outcome == connection.Accepted:
			p.producer.health.recovered(p)
			return Outcome{Storage: Stored, Tries: b.tries, Queued: b.sent.Sub(b.first), OnWire: time.Since(b.sent)}
		}
		cut, end := p.cutForSize(b, result)
		switch {
		case cut:
			continue
		case end != nil:
			p.producer.admission.troubled(p.share, troubleFailing, 0)
			p.producer.health.failed(p, b.failures.failed(result.Err, p.id), givenUp)
			return b.failed(end)
		}
		pause, again, reason := p.judge(b, result)
		if !again {
			return b.failed(reason)
		}
		p.rest(pause, wakes(result.Err, opened))
		if err := p.regain(b); err != nil {
			return b.failed(err)
		}
		if err := p.setExpiredApart(b); err != nil { // what has expired by now is not kept until a link opens
			return b.failed(err)
		}
	}
}

// judge says what a failed try means: whether there is to be another, how long to wait before, and why the batch fails otherwise. It tells everybody.
func (p *partition) judge(b *batch, r connection.Result) (pause time.Duration, again bool, reason error) {
	p.producer.admission.troubled(p.share, troubleFailing, 0)
	failed := &b.failures
	throttled, last := failed.throttled, failed.failed(r.Err, p.id)
	pause, again = failed.after(r.Err, p.id, r.Outcome == connection.Rejected, &p.producer.options)
	reason = failed.reason(last)
	if e, ok := errors.AsType[*Error](reason); ok && e.Code == CodePartitionUnknown {
		p.producer.refreshSoon()
	}
	ends := p.producer.deliveryEnds(b)
	late := again && !ends.IsZero() && time.Until(ends) <= pause
	switch {
	case late:
		p.producer.health.failed(p, reason, givenUp)
		return 0, false, p.producer.overdue(true, failed.last)
	case !again:
		p.producer.health.failed(p, reason, givenUp)
	case failed.throttled > throttled:
		p.producer.health.failed(p, reason, triedAgain)
		p.phase.Store(int32(WaitingThrottled))
		p.producer.throttled(p.producer.traced(p.id, b), reason, pause)
	default:
		p.producer.health.failed(p, reason, triedAgain)
		p.phase.Store(int32(WaitingToRetry))
		p.producer.retrying(p.producer.traced(p.id, b), reason, pause)
	}
	return pause, again, reason
}

// prepare looks at the batch once before its first try: whether it is still to be sent, and whether some of its events have expired. The error is
// why what is left in the batch fails.
func (p *partition) prepare(b *batch) error {
	if b.doom != nil {
		return b.doom
	}
	return p.setExpiredApart(b)
}

// setExpiredApart makes two batches of one in which some events have expired. The expired ones stay in b, to be told first, which the error says; the others
// go back, together and in order. A partition without gaps sends what is before the first that has expired, and looks at the rest when that is stored. What has
// been on its way once does not expire any more.
func (p *partition) setExpiredApart(b *batch) error {
	if b.handed {
		return nil
	}
	now := time.Now()
	switch expired, first := b.expired(now); {
	case expired == 0:
		return nil
	case first > 0 && p.producer.options.StopPartitionOnFailure:
		p.putBack(b.split(func(i int) bool { return i >= first }, math.MaxInt, p.producer.newBatch))
		return nil
	case expired < b.count:
		p.putBack(b.split(func(i int) bool { return !b.extras.expired(i, now) }, math.MaxInt, p.producer.newBatch))
	}
	return fmt.Errorf("eventhubs: %w: it was not sent before its ExpiresAt", ErrExpired)
}

// putBack ends the split of a batch that a sender has taken.
func (p *partition) putBack(s *split) {
	p.mu.Lock()
	p.putBackLocked(s)
	p.wakeLocked() // another sender may be free
	p.mu.Unlock()
	if s.stays != nil {
		p.producer.recycle(s.stays)
	}
}

// try sends the batch once. The error says why it is not to be tried any more, whatever the result.
func (p *partition) try(b *batch, tries *connection.Deadlines) (connection.Result, error) {
	earlier := b.tries
	result, err := p.tryOnce(b, tries)
	if p.identity != nil && err == nil && b.tries > earlier && result.Outcome == connection.NotSent && lost(result.Err) {
		// The link was closed while it was idle, which shows when it is used: no failure of this try. Without an identity the link itself sees to that.
		b.tries = earlier
		return p.tryOnce(b, tries)
	}
	return result, err
}

func lost(err error) bool {
	e, ok := errors.AsType[*connection.Error](err)
	return ok && e.Lost
}

func (p *partition) tryOnce(b *batch, tries *connection.Deadlines) (connection.Result, error) {
	timeout, err := p.producer.tryTimeout(b)
	if err != nil {
		return connection.Result{}, err
	}
	stored, err := p.open(b, timeout)
	switch {
	case err != nil:
		return connection.Result{Outcome: connection.NotSent, Err: err}, p.producer.stopped()
	case stored:
		return connection.Result{Outcome: connection.Accepted}, nil
	}
	if err := p.setExpiredApart(b); err != nil {
		return connection.Result{}, err
	}
	if !b.numbered { // the numbers of what is cut would not be those that the service may know it by
		if err := p.fit(b); err != nil {
			return connection.Result{}, err
		}
	}
	if timeout, err = p.producer.tryTimeout(b); err != nil { // anew: the link may have taken long to open
		return connection.Result{}, err
	}
	b.tries++
	p.phase.Store(int32(WaitingForService))
	p.producer.sending(p.id, b)
	// Unlike an opening, a send goes on when Abandon forbids any further: its outcome is worth waiting for.
	result := p.transmit(tries.Start(timeout), b)
	tries.Stop()
	b.held = result.Held
	if result.Outcome != connection.NotSent {
		b.handed, b.numbered = true, p.identity != nil
		e, refused := errors.AsType[*connection.Error](result.Err)
		b.doubtful = b.doubtful || refused && leavesOpen(e)
	}
	switch result.Outcome {
	case connection.Accepted:
		return result, nil
	case connection.Unknown:
		b.ambiguous = true
		p.producer.counts.ambiguousTries.Add(1)
	case connection.NotSent:
		if e, ok := errors.AsType[*connection.Error](result.Err); ok && e.Code == connection.CodeTimeout && timeout == p.producer.options.Retry.TryTimeout && p.alone() {
			p.link.Detach() // it was allowed no message all the time: another link may be
		}
	}
	return result, p.producer.stopped()
}

// alone reports whether the partition has no other sender at work, under which a link must not be given up.
func (p *partition) alone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.senders == 1
}

// open opens the partition's link if it is not open, for as long as anything is to be tried at all. It also finds out whether the service knows the batch
// as stored, which was sent before.
func (p *partition) open(b *batch, timeout time.Duration) (stored bool, err error) {
	if p.identity == nil && p.link.IsOpen() {
		p.noteLargest()
		return false, p.producer.stopped()
	}
	ctx, cancel := context.WithTimeout(p.producer.trying, timeout)
	defer cancel()
	p.phase.Store(int32(WaitingForLink))
	if p.identity == nil {
		return false, p.openLink(ctx)
	}
	if err := p.identity.take(ctx); err != nil {
		return false, &Error{Code: CodeTimeout, PartitionID: p.id, Transient: true, Err: fmt.Errorf("waiting for Connect, which opens the partition's link: %w", err)}
	}
	defer p.identity.release()
	if err := p.attachAs(ctx); err != nil {
		return false, err
	}
	anew := b.attach != p.identity.attach
	b.attach = p.identity.attach
	if b.numbered {
		return anew && p.stored(b), nil // an old reply tells nothing about a batch that was sent after it: numbers come round
	}
	b.numbers = p.identity.next
	return false, nil
}

// transmit hands the batch to the link and waits for its outcome. An idempotent producer's batch has its final numbers as soon as it was handed over.
func (p *partition) transmit(ctx context.Context, b *batch) connection.Result {
	if p.identity == nil {
		return p.link.Send(ctx, b.frames())
	}
	if !b.numbered {
		b.write(b.numbers)
	}
	return p.link.SendOn(ctx, b.attach, b.frames())
}

// openLink opens the link and notes how large a message it takes.
func (p *partition) openLink(ctx context.Context) error {
	if err := p.link.Open(ctx); err != nil {
		return err
	}
	p.noteLargest()
	return nil
}

func (p *partition) noteLargest() {
	largest := p.link.MaxMessageSize()
	if largest == 0 || largest > math.MaxInt {
		largest = math.MaxInt // no limit, or one that no batch can reach
	}
	switch p.linkMax.Swap(int64(largest)) {
	case int64(largest):
		return
	case 0:
		p.producer.openLinks.Add(1)
	}
	p.learned.Store(unlimited) // another limit, or the first: what was learned is over
}

// fit cuts the batch down to what the link and the service take. An event that is too large for the link by itself is left alone in its batch, in its
// place, with an error; what the service takes is tried.
func (p *partition) fit(b *batch) error {
	stated := p.linkMax.Load()
	p.shorten(b, int(min(stated, p.learned.Load())))
	if int64(b.bytes) > stated {
		return &EventTooLargeError{Size: b.bytes, Limit: int(stated)}
	}
	return nil
}

// shorten leaves in the batch as many of its first events as fit within limit bytes, and one at the least; the others go back to the front of the queue, in order.
func (p *partition) shorten(b *batch, limit int) {
	if b.bytes <= limit {
		return
	}
	if keep := b.fitting(limit); keep < b.count {
		p.putBack(b.split(func(i int) bool { return i >= keep }, limit, p.producer.newBatch))
	}
}

// wakes returns what ends the pause after a failure early, nil if nothing does: there was no connection, and then anybody has opened one.
func wakes(err error, opened <-chan struct{}) <-chan struct{} {
	if e, ok := errors.AsType[*connection.Error](err); ok && e.Unreached {
		return opened
	}
	return nil
}

// rest waits before the next try.
func (p *partition) rest(pause time.Duration, wake <-chan struct{}) {
	p.work.end(tryRuns)
	defer p.work.begin(tryRuns)
	p.producer.pause(pause, wake)
}

// regain waits until the connection has let go of the memory of a batch, before that is cut or tried again. The error is why it is not to be.
func (p *partition) regain(b *batch) error {
	if b.held == nil {
		return nil
	}
	var over <-chan time.Time
	if ends := p.producer.deliveryEnds(b); !ends.IsZero() {
		timer := time.NewTimer(time.Until(ends))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-b.held:
		b.held = nil
		return nil
	case <-over:
		return p.producer.overdue(true, b.failures.last)
	case <-p.producer.trying.Done():
		return p.producer.stopped()
	}
}

// pause waits for so long, until wake is closed, or until nothing is to be tried any more, which the next try sees.
func (p *BufferedProducer) pause(pause time.Duration, wake <-chan struct{}) {
	if pause <= 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-p.trying.Done():
	}
}

// failed is the outcome of a batch that is not tried any more.
func (b *batch) failed(err error) Outcome {
	o := Outcome{Err: err, Storage: NotStored, Tries: b.tries, Queued: b.sent.Sub(b.first), OnWire: time.Since(b.sent)}
	if b.ambiguous {
		o.Storage = PossiblyStored
	}
	return o
}

// deliveryEnds is when the delivery of a batch is over, whatever became of it by then: the zero time means never.
func (p *BufferedProducer) deliveryEnds(b *batch) time.Time {
	limit := p.options.DeliveryTimeout
	switch _, untilFull := p.options.linger(); {
	case limit < 0:
		return time.Time{}
	case untilFull:
		return b.sent.Add(limit) // the caller asked to wait: that must not be what fails the batch
	default:
		return b.first.Add(limit)
	}
}

// tryTimeout is how long the next try of a batch may take. The error is why there is to be none.
func (p *BufferedProducer) tryTimeout(b *batch) (time.Duration, error) {
	if err := p.stopped(); err != nil {
		return 0, err
	}
	timeout := p.options.Retry.TryTimeout
	if ends := p.deliveryEnds(b); !ends.IsZero() {
		left := time.Until(ends)
		if left <= 0 {
			return 0, p.overdue(false, hindrance{})
		}
		timeout = min(timeout, left)
	}
	return timeout, nil
}

// stopped returns why nothing is tried any more: Abandon was called, or Close's context has ended. Before, it returns nil.
func (p *BufferedProducer) stopped() error {
	if p.trying.Err() == nil {
		return nil
	}
	return context.Cause(p.trying)
}
