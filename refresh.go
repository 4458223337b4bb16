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
	// Whoever moves the date on is the one to ask. Until the answer is there nobody else does.
	if p.refreshAt.CompareAndSwap(due, now.Add(p.refreshInterval()).UnixNano()) {
		// refresh ends with its one try; Close waits for it.
		p.senders.Go(p.refresh)
	}
}

// refreshSoon makes the list be asked for with the next batch: the service has called a partition unknown.
func (p *BufferedProducer) refreshSoon() {
	if p.refreshAt.Load() != 0 {
		p.refreshAt.Store(1)
		p.refreshIfDue(time.Now())
	}
}

func (p *BufferedProducer) refresh() {
	ids, err := p.askPartitions(p.options.RetryOptions.TryTimeout)
	if err != nil {
		p.logger.Info("eventhubs: the list of partitions could not be refreshed; it stays as it was", "hub", p.hubName, "error", err)
		return
	}
	p.staging.adopt(ids)
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
