package eventhubs

import (
	"errors"
	"math"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A service may take less than its link has stated. The producer cuts a batch that the service
// refuses for its size, and sends the parts again. The partition's later batches are at most as
// large as the service is likely to take: the learned limit. An attach that states another limit
// than the previous one ends the learned limit.

// unlimited is the learned limit of a partition without a refusal for size.
const unlimited = math.MaxInt64

// learn lowers the learned limit.
func (p *partition) learn(refused, limit int) {
	for {
		old := p.learned.Load()
		if old <= int64(limit) {
			return
		}
		if p.learned.CompareAndSwap(old, int64(limit)) {
			if old == unlimited {
				p.observer.shrinks(p.id, refused, p.linkMax.Load())
			}
			return
		}
	}
}

// unlearn takes back the learned limit when the service refuses an event alone. That event explains
// the refusals of the batches that it was in: batches without it may be as large as before.
// Otherwise one event that the service calls too large, for any reason, would make all later events
// leave one by one.
func (p *partition) unlearn(b *batch) {
	if b.unlearned != 0 && b.unlearned > p.learned.Load() {
		p.learned.Store(b.unlearned)
	}
}

// cutForSize reports whether a try failed because the batch is too large, and the batch is smaller
// now. Its first events stay in it, and are tried again at once. The others go back to the queue.
// The error says why the batch ends instead: it is one event, or must not get other numbers.
func (p *partition) cutForSize(b *batch, r connection.Result) (smaller bool, end error) {
	e, ok := errors.AsType[*connection.Error](r.Err)
	if !ok || e.Code != connection.CodeTooLarge {
		return false, nil
	}
	if err := p.regain(b); err != nil {
		return false, err
	}
	stated, concerned := p.sizeStated(b, r.Outcome, e)
	if !concerned {
		return false, nil
	}
	limit, known := b.bytes/2, 0 < stated && stated < b.bytes
	if known {
		limit = stated
	}
	reason := failure(r.Err, p.id, b.failures.total()+1)
	if b.unlearned == 0 {
		b.unlearned = p.learned.Load()
	}
	switch {
	case b.count > 1 && b.numbered && b.ambiguous:
		return false, reason
	case b.count > 1:
		p.learn(b.bytes, limit)
	case known:
		p.learn(b.bytes, limit)
		return false, &EventTooLargeError{Size: b.bytes, Limit: limit, Err: reason}
	default:
		p.unlearn(b)
		return false, &EventTooLargeError{Size: b.bytes, Limit: b.bytes - 1, Err: reason}
	}
	p.observer.retrying(p.observer.traced(p.id, b), reason, 0)
	b.failures.shortened++
	p.numberAgain(b)
	p.shorten(b, limit)
	return true, nil
}

// sizeStated returns the limit that a refusal for size states; zero if it states none. Concerned
// says whether the refusal is about this batch.
func (p *partition) sizeStated(b *batch, outcome connection.Outcome, e *connection.Error) (limit int, concerned bool) {
	switch outcome {
	case connection.Rejected:
	case connection.Unknown:
		// Other batches were on the link, too. The largest is the most likely cause. An idempotent
		// producer must first ask whether its batch is stored.
		if p.identity != nil || b.count == 1 || !p.largest(b) {
			return 0, false
		}
	default:
		// Nothing was sent: the batch was cut for another link, or the refusal is about another
		// batch.
		p.noteLargest()
		limit = int(p.linkMax.Load())
		if limit >= b.bytes {
			return 0, false
		}
	}
	if e.Limit > 0 && outcome != connection.NotSent {
		limit = e.Limit
	}
	return limit, true
}

// numberAgain lets a batch of which no event is stored take other numbers with its next try, or the
// same ones for fewer events.
func (p *partition) numberAgain(b *batch) {
	if b.numbered && b.doubtful && p.identity.take(p.lifetime.all) == nil {
		p.identity.suspect() // an earlier refusal left open whether events are stored under these numbers
		p.identity.release()
	}
	b.numbered, b.doubtful = false, false
}

// cutToLink shortens the batch to what the link and the service take. An event that is too large
// for the link stays alone in its batch, in its place, with an error. An event that may only be too
// large for the service is tried.
func (p *partition) cutToLink(b *batch) error {
	stated := p.linkMax.Load()
	p.shorten(b, int(min(stated, p.learned.Load())))
	if int64(b.bytes) > stated {
		return &EventTooLargeError{Size: b.bytes, Limit: int(stated)}
	}
	return nil
}

// shorten keeps in the batch as many of its first events as fit in limit bytes, and at least one.
// The others go back to the front of the queue, in order.
func (p *partition) shorten(b *batch, limit int) {
	if b.bytes <= limit {
		return
	}
	if keep := b.countWithin(limit); keep < b.count {
		p.putBack(b.split(func(i int) bool { return i >= keep }, limit))
	}
}

// largest reports whether no taken batch of the partition is larger.
func (p *partition) largest(b *batch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.taken {
		if other.bytes > b.bytes {
			return false
		}
	}
	return true
}
