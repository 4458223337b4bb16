package telemetry

import (
	"time"

	"github.com/go-eventhubs/eventhubs"
	"go.opentelemetry.io/otel/metric"
)

// observe has read called at each collection.
func (i *instruments) observe(read metric.Callback) (metric.Registration, error) {
	return i.meter.RegisterCallback(read,
		i.bufferedEvents, i.bufferedBytes, i.waitingCallers, i.inFlight, i.partitions,
		i.ambiguousTries, i.handlerPanics, i.unheardEvents,
		i.utilization, i.oldestEventAge, i.handlerRunning, i.troubleDuration, i.tokenRemaining, i.health)
}

// read observes the producer's numbers and its health.
func (t *Instrumentation) read(o metric.Observer, producer *eventhubs.BufferedProducer) {
	i, stats, all := t.instruments, producer.Stats(), t.attributes("", "", "")
	t.readPartitions(o, stats.Partitions)
	o.ObserveInt64(i.waitingCallers, int64(stats.WaitingCallers), all)
	o.ObserveInt64(i.ambiguousTries, int64(stats.AmbiguousTries), all)
	o.ObserveInt64(i.handlerPanics, int64(stats.HandlerPanics), all)
	o.ObserveInt64(i.unheardEvents, int64(stats.UnheardFailures), all)
	o.ObserveFloat64(i.oldestEventAge, stats.OldestEventAge.Seconds(), all)
	fullest := max(ratio(stats.BufferedEvents, stats.MaxBufferedEvents), ratio(stats.BufferedBytes, stats.MaxBufferedBytes))
	o.ObserveFloat64(i.utilization, fullest, all)
	t.readHealth(o, producer.Health())
}

func ratio(part, whole int) float64 { return float64(part) / float64(max(1, whole)) }

// readPartitions adds partitions up that have the same attributes: all of them if they are together, and those without an id.
func (t *Instrumentation) readPartitions(o metric.Observer, partitions []eventhubs.PartitionStats) {
	type sum struct{ events, bytes, batches int64 }
	var handler time.Duration
	sums, phases := map[string]sum{}, map[eventhubs.Waiting]int64{}
	for _, p := range partitions {
		s := sums[t.partition(p.ID)]
		s.events += int64(p.BufferedEvents)
		s.bytes += int64(p.BufferedBytes)
		s.batches += int64(p.BatchesInFlight)
		sums[t.partition(p.ID)] = s
		phases[p.Waiting]++
		if p.Waiting == eventhubs.WaitingForHandler {
			handler = max(handler, p.RunningAge)
		}
	}
	o.ObserveFloat64(t.instruments.handlerRunning, handler.Seconds(), t.attributes("", "", ""))
	for id, s := range sums {
		attributes := t.attributes(id, "", "")
		o.ObserveInt64(t.instruments.bufferedEvents, s.events, attributes)
		o.ObserveInt64(t.instruments.bufferedBytes, s.bytes, attributes)
		o.ObserveInt64(t.instruments.inFlight, s.batches, attributes)
	}
	for phase := eventhubs.WaitingForNothing; phase <= eventhubs.WaitingForHandler; phase++ {
		o.ObserveInt64(t.instruments.partitions, phases[phase], t.attributes("", keyWaiting, phase.String()))
	}
}

func (t *Instrumentation) readHealth(o metric.Observer, h eventhubs.Health) {
	for state := eventhubs.HealthConnecting; state <= eventhubs.HealthUnreachable; state++ {
		is := int64(0)
		if state == h.State {
			is = 1
		}
		o.ObserveInt64(t.instruments.health, is, t.attributes("", keyState, state.String()))
	}
	all, trouble := t.attributes("", "", ""), 0.0
	if h.State > eventhubs.HealthReady {
		trouble = time.Since(h.Since).Seconds()
	}
	o.ObserveFloat64(t.instruments.troubleDuration, trouble, all)
	if !h.TokenExpires.IsZero() {
		o.ObserveFloat64(t.instruments.tokenRemaining, time.Until(h.TokenExpires).Seconds(), all)
	}
}
