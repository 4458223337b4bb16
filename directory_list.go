package eventhubs

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// ask tries once to learn the hub's partitions, within that time and Retry.TryTimeout.
func (d *directory) ask(within time.Duration) (partitionList, error) {
	if err := d.lifetime.over(); err != nil {
		return partitionList{}, err
	}
	ctx, cancel := context.WithTimeout(d.lifetime.tries, min(within, d.options.Retry.TryTimeout))
	defer cancel()
	list, err := d.list(ctx)
	if over := d.lifetime.over(); over != nil {
		return partitionList{}, over
	}
	return list, err
}

// A partitionList is the hub's partitions as the service listed them, and the number of the
// question. Of two lists, the one with the later question counts.
type partitionList struct {
	ids      []string
	question uint64
}

// list asks the service for the hub's partitions.
func (d *directory) list(ctx context.Context) (partitionList, error) {
	question := d.questions.Add(1)
	properties, err := d.hub.Properties(ctx)
	switch {
	case err != nil:
		return partitionList{}, err
	case len(properties.PartitionIDs) == 0:
		return partitionList{}, &Error{Code: CodeNotFound, Err: errors.New("the service says that the event hub has no partitions")}
	}
	return partitionList{properties.PartitionIDs, question}, nil
}

// refreshIfDue asks for the list again, in the background, if it is old.
func (d *directory) refreshIfDue(now time.Time) {
	due := d.refreshAt.Load()
	if due == 0 || now.UnixNano() < due {
		return
	}
	if !d.asking.CompareAndSwap(false, true) {
		return // one at a time, however long the answer takes
	}
	d.askedAt.Store(now.UnixNano())
	d.refreshAt.Store(d.refreshTime())
	// refresh ends with its one try; Close waits for it.
	d.crew.run(d.refresh)
}

// refreshPause is the least time between two refreshes when the service calls a partition unknown.
// A namespace answers 50 questions a second, and a thousand partitions may be unknown at once.
const refreshPause = time.Second

// refreshSoon refreshes the list now, or with the first batch after refreshPause. The service has
// called a partition unknown.
func (d *directory) refreshSoon() {
	due := d.refreshAt.Load()
	if due == 0 {
		return
	}
	if soon := d.askedAt.Load() + refreshPause.Nanoseconds(); soon < due {
		d.refreshAt.CompareAndSwap(due, soon)
	}
	d.refreshIfDue(time.Now())
}

func (d *directory) refresh() {
	defer d.asking.Store(false)
	list, err := d.ask(d.options.Retry.TryTimeout)
	if err != nil {
		d.observer.notRefreshed(err)
		return
	}
	d.adopt(list)
}

// refreshTime returns when a list that came just now is refreshed, in Unix nanoseconds.
func (d *directory) refreshTime() int64 { return time.Now().Add(d.refreshInterval()).UnixNano() }

// refreshInterval returns how long the list counts as fresh: the option, times 0.5 to 1.5 at
// random.
func (d *directory) refreshInterval() time.Duration {
	const never = 50 * 365 * 24 * time.Hour // 1.5 times as much is still a time in nanoseconds
	interval := d.options.PartitionRefreshInterval
	if interval < 0 || interval > never {
		interval = never
	}
	return interval/2 + rand.N(interval+1)
}
