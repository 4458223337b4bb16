package eventhubs

import (
	"math/rand/v2"
	"time"
)

// refreshIfDue asks for the list again, in the background, if it is old.
func (p *BufferedProducer) refreshIfDue(now time.Time) {
	due := p.refreshAt.Load()
	if due == 0 || now.UnixNano() < due {
		return
	}
	if !p.asking.CompareAndSwap(false, true) {
		return // one at a time, however long the answer takes
	}
	p.askedAt.Store(now.UnixNano())
	p.refreshAt.Store(now.Add(p.refreshInterval()).UnixNano())
	// refresh ends with its one try; Close waits for it.
	p.senders.Go(p.refresh)
}

// refreshPause is how soon after a refresh there may be another because the service calls a partition unknown: a namespace answers 50 questions a second,
// and a thousand partitions may be unknown at once.
const refreshPause = time.Second

// refreshSoon makes the list be asked for now, or with the first batch after refreshPause: the service has called a partition unknown.
func (p *BufferedProducer) refreshSoon() {
	due := p.refreshAt.Load()
	if due == 0 {
		return
	}
	if soon := p.askedAt.Load() + refreshPause.Nanoseconds(); soon < due {
		p.refreshAt.CompareAndSwap(due, soon)
	}
	p.refreshIfDue(time.Now())
}

func (p *BufferedProducer) refresh() {
	defer p.asking.Store(false)
	list, err := p.askPartitions(p.options.Retry.TryTimeout)
	if err != nil {
		p.logger.Info("eventhubs: the list of partitions could not be refreshed; it stays as it was", "hub", p.hubName, "error", err)
		return
	}
	p.staging.adopt(list)
}

// refreshInterval is how long the list is good for: the option, varied by half either way.
func (p *BufferedProducer) refreshInterval() time.Duration {
	const never = 50 * 365 * 24 * time.Hour // half as much again still is a date in nanoseconds
	interval := p.options.PartitionRefreshInterval
	if interval < 0 || interval > never {
		interval = never
	}
	return interval/2 + rand.N(interval+1)
}
