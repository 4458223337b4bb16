package eventhubs

import (
	"errors"
	"math"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A service may take less than its link has stated. What it refuses for its size is cut and sent again, and the partition's later batches are not larger than
// what is likely to be taken: its learned limit. An attach that states another limit than the one before ends what was learned.

// unlimited is the learned limit of a partition in which nothing was refused for its size.
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
				p.producer.logger.Warn("eventhubs: the service has refused for its size what its link takes; it is cut, and later batches are smaller",
					"hub", p.producer.hubName, "partition", p.id, "bytes", refused, "linkTakes", p.linkMax.Load())
			}
			return
		}
	}
}

// unlearn takes back what was learned from the batches that an event was in which is refused alone: that explains what befell them, and nothing says that
// batches without it are too large. Otherwise one event of which the service says so, for whatever reason, would have all later ones leave one by one.
func (p *partition) unlearn(b *batch) {
	if b.unlearned != 0 && b.unlearned > p.learned.Load() {
		p.learned.Store(b.unlearned)
	}
}

// cutForSize looks whether a try has failed since the batch is too large. If so it leaves the batch's first events in it, to be tried again at once, puts the
// others back, and reports true. The error is why the batch ends instead: it is one event, or it must not be numbered anew.
func (p *partition) cutForSize(b *batch, r connection.Result) (cut bool, end error) {
	e, ok := errors.AsType[*connection.Error](r.Err)
	if !ok || e.Code != connection.CodeTooLarge {
		return false, nil
	}
	if err := p.regain(b); err != nil {
		return false, err
	}
	limit, told := b.bytes/2, 0
	switch r.Outcome {
	case connection.Rejected:
	case connection.Unknown:
		// It was not alone on its link, and the largest is the most likely cause. What an idempotent producer has sent it has to ask for first.
		if p.identity != nil || b.count == 1 || !p.largest(b) {
			return false, nil
		}
	default:
		p.noteLargest() // nothing was sent: the link is another than the batch was cut for, or it is not about the batch at all
		if told = int(p.linkMax.Load()); told >= b.bytes {
			return false, nil
		}
	}
	if e.Limit > 0 && r.Outcome != connection.NotSent {
		told = e.Limit
	}
	known := 0 < told && told < b.bytes
	if known {
		limit = told
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
	p.producer.retrying(p.producer.traced(p.id, b), reason, 0)
	b.failures.cut++
	p.numberAnew(b)
	p.shorten(b, limit)
	return true, nil
}

// numberAnew has the batch, none of which is stored, get other numbers, or the same ones for fewer events, with its next try.
func (p *partition) numberAnew(b *batch) {
	if b.numbered && b.doubtful && p.identity.take(p.producer.lifetime) == nil {
		p.identity.suspect = true // what was refused otherwise before may still be stored under them
		p.identity.release()
	}
	b.numbered, b.doubtful = false, false
}

// largest reports whether no sender of the partition has a larger batch.
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
