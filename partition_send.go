package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// send delivers b and then every other batch of the partition that is ready, one at a time from end
// to end. It returns when no batch is ready.
func (p *partition) send(b *batch, tries *connection.Deadlines) {
	for b != nil {
		o := p.deliver(b, tries)
		if p.identity != nil {
			p.identity.record(b, o)
		}
		keeps := p.keeps(b, o)
		o = p.explained(b, o) // the text says what failed before; nothing is concluded from that
		if keeps {
			p.leave(b, o)
		} else {
			p.settle(b, o)
		}
		p.mu.Lock()
		if b = p.nextLocked(); b == nil {
			p.sending--
		}
		p.mu.Unlock()
	}
}

// deliver tries the batch until it has its outcome, and returns that.
func (p *partition) deliver(b *batch, tries *connection.Deadlines) Outcome {
	if b.sent.IsZero() {
		b.sent = time.Now()
		p.doubt(b)
	}
	p.work.begin(tryRuns) // until the batch is settled or backs off: what a failure means is known before it counts as ended
	defer p.work.end(tryRuns)
	if err := p.prepare(b); err != nil {
		return b.failed(err)
	}
	p.observer.sealed(p.id, b)
	for {
		opened := p.hub.Opened()
		result, err := p.try(b, tries)
		switch {
		case err != nil:
			return b.failed(err)
		case result.Outcome == connection.Accepted:
			p.observer.health.recovered(p)
			return Outcome{Storage: Stored, Tries: b.tries, Queued: b.sent.Sub(b.first), OnWire: time.Since(b.sent)}
		}
		smaller, end := p.cutForSize(b, result)
		switch {
		case smaller:
			continue
		case end != nil && !p.unclear(b):
			p.admission.troubled(p.share, troubleFailing, 0)
			p.observer.health.failed(p, b.failures.failed(result.Err, p.id), givenUp)
			return b.failed(end)
		}
		pause, again, reason := p.judge(b, result)
		if !again {
			return b.failed(reason)
		}
		p.backOff(pause, wakes(result.Err, opened))
		if err := p.regain(b); err != nil {
			return b.failed(err)
		}
		if err := p.setExpiredApart(b); err != nil { // an expired event does not wait until a link opens
			return b.failed(err)
		}
	}
}

// judge decides what follows a failed try, and reports it: whether there is another, how long to
// wait before, or else why the batch fails.
func (p *partition) judge(b *batch, r connection.Result) (pause time.Duration, again bool, reason error) {
	p.admission.troubled(p.share, troubleFailing, 0)
	failed := &b.failures
	throttled, last := failed.throttled, failed.failed(r.Err, p.id)
	pause, again = failed.after(r.Err, p.id, r.Outcome == connection.Rejected, p.options)
	reason = failed.reason(last)
	if e, ok := errors.AsType[*Error](reason); ok && e.Code == CodePartitionUnknown {
		p.directory.refreshSoon()
	}
	if !again && p.goesOn(b, r) {
		pause, again = max(p.options.Retry.delay(max(1, failed.total())), leastPause), true
		p.askNumber(b, reason)
	}
	ends := p.options.deliveryEnds(b)
	late := again && !ends.IsZero() && time.Until(ends) <= pause
	f := triedAgain
	if late || !again {
		f = givenUp
	}
	p.observer.health.failed(p, reason, f)
	switch {
	case late:
		return 0, false, p.options.overdue(true, failed.last)
	case !again:
	case failed.throttled > throttled:
		p.phase.Store(int32(WaitingThrottled))
		p.observer.throttled(p.observer.traced(p.id, b), reason, pause)
	default:
		p.phase.Store(int32(WaitingToRetry))
		p.observer.retrying(p.observer.traced(p.id, b), reason, pause)
	}
	return pause, again, reason
}

// prepare looks at the batch once before its first try: whether it is still to be sent, and whether
// events in it have expired. The error is why the events that are left in it fail.
func (p *partition) prepare(b *batch) error {
	if b.doom != nil {
		return b.doom
	}
	if err := p.halted(); err != nil {
		return err
	}
	return p.setExpiredApart(b)
}

// setExpiredApart makes two batches of one in which some events have expired. The expired ones stay
// in b and are reported first; the error says so. The others go back to the front of the queue,
// together and in order. A partition without gaps sends the events before the first expired one,
// and looks at the rest when those are stored. An event that was handed to the transport does not
// expire any more.
func (p *partition) setExpiredApart(b *batch) error {
	if b.handed || p.mayBeStored(b) {
		return nil
	}
	now := time.Now()
	switch expired, first := b.expired(now); {
	case expired == 0:
		return nil
	case first > 0 && p.options.StopPartitionOnFailure:
		p.putBack(b.split(func(i int) bool { return i >= first }, math.MaxInt))
		return nil
	case expired < b.count:
		p.putBack(b.split(func(i int) bool { return !b.extras.expired(i, now) }, math.MaxInt))
	}
	return fmt.Errorf("eventhubs: %w: it was not sent before its ExpiresAt", ErrExpired)
}

// putBack ends the split of a taken batch.
func (p *partition) putBack(s *split) {
	p.mu.Lock()
	p.putBackLocked(s)
	p.wakeLocked() // another sender may be free
	p.mu.Unlock()
	s.recycle()
}

// try sends the batch once. The error says why the batch is not tried any more, whatever the
// result. A link that had ended while it was idle is replaced within the try: that is no failure.
func (p *partition) try(b *batch, tries *connection.Deadlines) (connection.Result, error) {
	result, err := p.tryOnce(b, tries, false)
	if result.Stale && err == nil {
		return p.tryOnce(b, tries, true)
	}
	return result, err
}

// tryOnce opens the link and sends the batch once. begun says that the try has begun
// already, on a stale link.
func (p *partition) tryOnce(b *batch, tries *connection.Deadlines, begun bool) (connection.Result, error) {
	timeout, err := p.tryTimeout(b)
	if err != nil {
		return connection.Result{}, err
	}
	stored, err := p.openFor(b, timeout)
	switch {
	case err != nil:
		return connection.Result{Outcome: connection.NotSent, Err: err}, p.lifetime.over()
	case stored:
		return connection.Result{Outcome: connection.Accepted}, nil
	}
	if err := p.setExpiredApart(b); err != nil {
		return connection.Result{}, err
	}
	if !b.numbered { // the service may know the events of a numbered batch by other numbers than a shorter one would have
		if err := p.cutToLink(b); err != nil {
			return connection.Result{}, err
		}
	}
	if timeout, err = p.tryTimeout(b); err != nil { // again: the link may have taken long to open
		return connection.Result{}, err
	}
	p.phase.Store(int32(WaitingForService))
	if !begun {
		b.tries++
		p.observer.sending(p.id, b)
	}
	// A send, unlike an opening, goes on when Abandon forbids further tries: its outcome is worth
	// waiting for.
	result := p.transmit(tries.Start(timeout), b)
	tries.Stop()
	p.note(b, result, timeout)
	if result.Outcome == connection.Accepted {
		return result, nil
	}
	return result, p.lifetime.over()
}

// transmit hands the batch to the link and waits for its outcome. An idempotent producer's batch
// has its final numbers from then on.
func (p *partition) transmit(ctx context.Context, b *batch) connection.Result {
	if p.identity == nil {
		return p.link.Send(ctx, b.frames())
	}
	if !b.numbered {
		b.write(b.numbers)
	}
	return p.link.SendOn(ctx, b.attach, b.frames())
}

// note keeps what a try says about the batch and about its link.
func (p *partition) note(b *batch, r connection.Result, timeout time.Duration) {
	b.held = r.Held
	if r.Outcome != connection.NotSent {
		b.handed, b.numbered = true, p.identity != nil
		e, refused := errors.AsType[*connection.Error](r.Err)
		b.doubtful = b.doubtful || refused && leavesOpen(e)
	}
	switch r.Outcome {
	case connection.Unknown:
		b.ambiguous = true
		p.observer.ambiguous()
	case connection.NotSent:
		if e, ok := errors.AsType[*connection.Error](r.Err); ok && e.Code == connection.CodeTimeout && timeout == p.options.Retry.TryTimeout && p.alone() {
			p.link.Detach() // it was allowed no message all the time: another link may be
		}
	}
}

// alone reports whether the partition has no other sender at work, under which a link must not be
// given up.
func (p *partition) alone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sending == 1
}

// tryTimeout is how long the next try of a batch may take. The error is why there is none.
func (p *partition) tryTimeout(b *batch) (time.Duration, error) {
	if err := p.lifetime.over(); err != nil {
		return 0, err
	}
	timeout := p.options.Retry.TryTimeout
	if ends := p.options.deliveryEnds(b); !ends.IsZero() {
		left := time.Until(ends)
		if left <= 0 {
			return 0, p.options.overdue(false, hindrance{})
		}
		timeout = min(timeout, left)
	}
	return timeout, nil
}

// deliveryEnds is when the delivery of a batch is over, whatever became of it by then. The zero
// time means never.
func (o *Options) deliveryEnds(b *batch) time.Time {
	limit := o.DeliveryTimeout
	switch _, untilFull := o.linger(); {
	case limit < 0:
		return time.Time{}
	case untilFull:
		return b.sent.Add(limit) // the caller asked for a wait until the batch is full: that wait must not fail it
	default:
		return b.first.Add(limit)
	}
}

// wakes returns what ends the pause after a failure early: the next connection that opens, if there
// was none. Otherwise it returns nil.
func wakes(err error, opened <-chan struct{}) <-chan struct{} {
	if e, ok := errors.AsType[*connection.Error](err); ok && e.Unreached {
		return opened
	}
	return nil
}

// backOff waits before the next try.
func (p *partition) backOff(pause time.Duration, wake <-chan struct{}) {
	p.work.end(tryRuns)
	defer p.work.begin(tryRuns)
	p.lifetime.sleep(pause, wake)
}

// regain waits until the connection has let go of the memory of a batch, before the batch is cut or
// tried again. The error is why that is not to be.
func (p *partition) regain(b *batch) error {
	if b.held == nil {
		return nil
	}
	var over <-chan time.Time
	if ends := p.options.deliveryEnds(b); !ends.IsZero() {
		timer := time.NewTimer(time.Until(ends))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-b.held:
		b.held = nil
		return nil
	case <-over:
		return p.options.overdue(true, b.failures.last)
	case <-p.lifetime.tries.Done():
		return p.lifetime.over()
	}
}

// failed is the outcome of a batch that is not tried any more.
func (b *batch) failed(err error) Outcome {
	o := Outcome{Err: err, Storage: NotStored, Tries: b.tries, Queued: b.sent.Sub(b.first), OnWire: time.Since(b.sent)}
	if b.ambiguous || b.unsure {
		o.Storage = PossiblyStored
	}
	return o
}
