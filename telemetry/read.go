package telemetry

import (
	"context"
	"math"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"go.opentelemetry.io/otel/metric"
)

// observe registers read for each collection.
func (i *instruments) observe(read metric.Callback) (metric.Registration, error) {
	return i.meter.RegisterCallback(read,
		i.bufferedEvents, i.bufferedBytes, i.waitingCallers, i.inFlight, i.partitions,
		i.ambiguousTries, i.handlerPanics, i.unheardEvents,
		i.utilization, i.oldestEventAge, i.handlerRunning, i.troubleDuration, i.tokenRemaining, i.health,
		i.journal.events, i.journal.bytes, i.journal.limit, i.journal.utilization, i.journal.diskFree, i.journal.slowestSync, i.journal.failed)
}

// An ended has the counters' totals of a hub's closed producers.
type ended struct {
	to                                             *target // without a producer
	ambiguousTries, handlerPanics, unheardFailures uint64
}

// endedOf returns the totals for a target's hub. t.mu must be held.
func (t *instrumentation) endedOf(to *target) *ended {
	e := t.ended[to.hub]
	if e == nil {
		e = &ended{to: &target{together: to.together, hub: to.hub, attributes: to.attributes}}
		t.ended[to.hub] = e
	}
	return e
}

func (e *ended) add(s *eventhubs.Stats) {
	e.ambiguousTries += s.AmbiguousTries
	e.handlerPanics += s.HandlerPanics
	e.unheardFailures += s.UnheardFailures
}

// gauges are the gauges of one hub: the worst value of its producers. OpenTelemetry adds up sums
// itself.
type gauges struct {
	to *target
	// Seconds, except utilization, which is negative while not known; token is infinite while not known.
	utilization, oldest, handler, trouble, token float64
	state                                        eventhubs.HealthState
	journal                                      *journalGauges // nil if none of them has a journal
}

// read observes the numbers and the health of all producers.
func (t *instrumentation) read(_ context.Context, o metric.Observer) error {
	t.mu.Lock() // a producer that is closed meanwhile counts either as closed or as live
	defer t.mu.Unlock()
	hubs := map[string]*gauges{}
	t.targets.Range(func(_, value any) bool {
		to := value.(*target)
		g := hubs[to.hub]
		if g == nil {
			g = &gauges{to: to, utilization: -1, token: math.Inf(1)}
			hubs[to.hub] = g
		}
		t.readProducer(o, to, g)
		return true
	})
	for _, g := range hubs {
		t.readGauges(o, g)
	}
	for _, e := range t.ended {
		t.count(o, e, e.to.with("", "", ""))
	}
	return nil
}

// count observes the counters.
func (t *instrumentation) count(o metric.Observer, e *ended, attributes metric.MeasurementOption) {
	o.ObserveInt64(t.instruments.ambiguousTries, int64(e.ambiguousTries), attributes)
	o.ObserveInt64(t.instruments.handlerPanics, int64(e.handlerPanics), attributes)
	o.ObserveInt64(t.instruments.unheardEvents, int64(e.unheardFailures), attributes)
}

func (t *instrumentation) readProducer(o metric.Observer, to *target, g *gauges) {
	stats, health, all := to.producer.Stats(), to.producer.Health(), to.with("", "", "")
	var e ended
	e.add(&stats)
	t.count(o, &e, all)
	o.ObserveInt64(t.instruments.waitingCallers, int64(stats.WaitingCallers), all)
	handler := t.readPartitions(o, to, stats.Partitions)
	if stats.Journal != nil {
		t.readJournal(o, stats.Journal, g, all)
	} else {
		fullest := max(ratio(stats.BufferedEvents, stats.MaxBufferedEvents), ratio(stats.BufferedBytes, stats.MaxBufferedBytes))
		g.utilization = max(g.utilization, fullest)
	}

	g.oldest, g.handler = max(g.oldest, stats.OldestEventAge.Seconds()), max(g.handler, handler.Seconds())
	g.state = max(g.state, health.State)
	if health.State > eventhubs.HealthReady {
		g.trouble = max(g.trouble, time.Since(health.Since).Seconds())
	}
	if !health.TokenExpires.IsZero() {
		g.token = min(g.token, time.Until(health.TokenExpires).Seconds())
	}
}

func ratio(part, whole int) float64 { return float64(part) / float64(max(1, whole)) }

// readPartitions adds up the partitions with the same attributes: all with Options.OmitPartition,
// and those without an id. It returns how long the oldest running handler has run.
func (t *instrumentation) readPartitions(o metric.Observer, to *target, partitions []eventhubs.PartitionStats) (handler time.Duration) {
	type sum struct{ events, bytes, batches int64 }
	sums, phases := map[string]sum{}, map[eventhubs.Waiting]int64{}
	for _, p := range partitions {
		s := sums[to.partition(p.ID)]
		s.events += int64(p.BufferedEvents)
		s.bytes += int64(p.BufferedBytes)
		s.batches += int64(p.BatchesInFlight)
		sums[to.partition(p.ID)] = s
		phases[p.Waiting]++
		if p.Waiting == eventhubs.WaitingForHandler {
			handler = max(handler, p.RunningAge)
		}
	}
	for id, s := range sums {
		attributes := to.with(id, "", "")
		o.ObserveInt64(t.instruments.bufferedEvents, s.events, attributes)
		o.ObserveInt64(t.instruments.bufferedBytes, s.bytes, attributes)
		o.ObserveInt64(t.instruments.inFlight, s.batches, attributes)
	}
	for phase := eventhubs.WaitingForNothing; phase <= eventhubs.WaitingForHandler; phase++ {
		o.ObserveInt64(t.instruments.partitions, phases[phase], to.with("", keyWaiting, phase.String()))
	}
	return handler
}

func (t *instrumentation) readGauges(o metric.Observer, g *gauges) {
	i, all := t.instruments, g.to.with("", "", "")
	if g.utilization >= 0 {
		o.ObserveFloat64(i.utilization, g.utilization, all)
	}
	o.ObserveFloat64(i.oldestEventAge, g.oldest, all)
	o.ObserveFloat64(i.handlerRunning, g.handler, all)
	o.ObserveFloat64(i.troubleDuration, g.trouble, all)
	if !math.IsInf(g.token, 1) {
		o.ObserveFloat64(i.tokenRemaining, g.token, all)
	}
	for state := eventhubs.HealthConnecting; state <= eventhubs.HealthUnreachable; state++ {
		is := int64(0)
		if state == g.state {
			is = 1
		}
		o.ObserveInt64(i.health, is, g.to.with("", keyState, state.String()))
	}
	if g.journal != nil {
		g.journal.observe(o, &i.journal, all)
	}
}
