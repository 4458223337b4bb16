package telemetry

import (
	"math"

	"github.com/go-eventhubs/eventhubs"
	"go.opentelemetry.io/otel/metric"
)

// journalInstruments are the metrics of producers with a journal. All are observed.
type journalInstruments struct {
	events, bytes, limit     metric.Int64ObservableUpDownCounter
	utilization, slowestSync metric.Float64ObservableGauge
	diskFree, failed         metric.Int64ObservableGauge
}

// journalGauges are the gauges of one hub's journals: the worst value of each.
type journalGauges struct {
	utilization, slowestSync float64
	diskFree                 int64 // math.MaxInt64 while not known
	failed                   int64
}

// readJournal observes the sums of a producer's journal, and brings its worst values to the hub's.
func (t *instrumentation) readJournal(o metric.Observer, s *eventhubs.JournalState, g *gauges, attributes metric.MeasurementOption) {
	i := &t.instruments.journal
	o.ObserveInt64(i.events, int64(s.Events), attributes)
	o.ObserveInt64(i.bytes, s.Bytes, attributes)
	o.ObserveInt64(i.limit, s.MaxBytes, attributes)
	if g.journal == nil {
		g.journal = &journalGauges{diskFree: math.MaxInt64}
	}
	j := g.journal
	j.utilization = max(j.utilization, float64(s.Bytes)/float64(max(1, s.MaxBytes)))
	j.slowestSync = max(j.slowestSync, s.SlowestSync.Seconds())
	if s.DiskFree > 0 {
		j.diskFree = min(j.diskFree, s.DiskFree)
	}
	if s.Err != nil {
		j.failed = 1
	}
}

// observe observes the hub's worst values.
func (j *journalGauges) observe(o metric.Observer, i *journalInstruments, attributes metric.MeasurementOption) {
	o.ObserveFloat64(i.utilization, j.utilization, attributes)
	o.ObserveFloat64(i.slowestSync, j.slowestSync, attributes)
	if j.diskFree != math.MaxInt64 {
		o.ObserveInt64(i.diskFree, j.diskFree, attributes)
	}
	o.ObserveInt64(i.failed, j.failed, attributes)
}
