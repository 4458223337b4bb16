package telemetry_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

// A world is an emulator in memory, a producer with telemetry, and OpenTelemetry's SDK, all in a
// test's bubble of virtual time.
type world struct {
	t        *testing.T
	server   *emulator.Server
	producer *eventhubs.BufferedProducer
	metrics  *sdkmetric.ManualReader
	spans    *tracetest.SpanRecorder
	tracers  *sdktrace.TracerProvider
	options  eventhubs.Options // of the producer

	mu      sync.Mutex // guards the field below
	actions []emulator.Action
}

// newWorld has a hub of two partitions. A span is sampled if the span in Enqueue's context is, or
// if there is none.
func newWorld(t *testing.T, options eventhubs.Options, config telemetry.Options) *world {
	t.Helper()
	w := &world{t: t, metrics: sdkmetric.NewManualReader(), spans: tracetest.NewSpanRecorder()}
	w.server = emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: []emulator.Hub{{Name: "hub", Partitions: 2}}, Hook: w.hook})
	w.tracers = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w.spans))
	config.MeterProvider, config.TracerProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.metrics)), w.tracers
	options.Identifier = "me"
	options.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	options.Connection.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return w.server.Dial(ctx) }
	var err error
	options.Trace = eventhubs.JoinTraces(options.Trace, telemetry.NewTrace(&config))
	w.options = options
	if w.producer, err = eventhubs.NewBufferedProducerFromConnectionString(w.server.ConnectionString("hub"), "", &options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Its error has the failures that the test caused.
		_ = w.producer.Close(context.Background())
	})
	return w
}

// next sets the emulator's actions for the next transfers; later ones pass.
func (w *world) next(actions ...emulator.Action) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.actions = actions
}

func (w *world) hook(_ context.Context, op emulator.Operation) emulator.Action {
	w.mu.Lock()
	defer w.mu.Unlock()
	if op.Kind != emulator.KindTransfer || len(w.actions) == 0 {
		return emulator.Pass()
	}
	action := w.actions[0]
	w.actions = w.actions[1:]
	return action
}

// enqueue enqueues an event for a partition, in a context.
func (w *world) enqueue(ctx context.Context, partition, body string) {
	w.t.Helper()
	if err := w.producer.Enqueue(ctx, &eventhubs.Event{Body: []byte(body), PartitionID: partition}); err != nil {
		w.t.Fatal(err)
	}
}

// flush returns Flush's error.
func (w *world) flush() error {
	w.t.Helper()
	return w.producer.Flush(w.t.Context())
}

// collect returns each metric's data points as lines "name{attributes} value", without the
// attributes that are the same everywhere. A histogram's value is its count and sum.
func (w *world) collect() (lines []string) {
	w.t.Helper()
	for _, m := range w.read() {
		for _, p := range points(m) {
			lines = append(lines, m.Name+p)
		}
	}
	slices.Sort(lines)
	return lines
}

func (w *world) read() []metricdata.Metrics {
	w.t.Helper()
	var all metricdata.ResourceMetrics
	if err := w.metrics.Collect(context.Background(), &all); err != nil {
		w.t.Fatal(err)
	}
	var metrics []metricdata.Metrics
	for _, scope := range all.ScopeMetrics {
		metrics = append(metrics, scope.Metrics...)
	}
	return metrics
}

// want fails the test for each line that collect does not have.
func (w *world) want(lines ...string) {
	w.t.Helper()
	got := w.collect()
	for _, line := range lines {
		if !slices.Contains(got, line) {
			w.t.Errorf("no %s; there are\n%s", line, strings.Join(got, "\n"))
		}
	}
}

// everywhere are the attributes of each data point.
var everywhere = map[attribute.Key]string{"messaging.system": "eventhubs", "messaging.destination.name": "hub", "server.address": "emulator-in-memory.invalid"}

func labels(set attribute.Set) string {
	var shown []string
	missing := maps.Clone(everywhere)
	for _, a := range set.ToSlice() {
		if missing[a.Key] == a.Value.String() {
			delete(missing, a.Key)
			continue
		}
		shown = append(shown, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
	}
	for key := range missing {
		shown = append(shown, "NO "+string(key))
	}
	return "{" + strings.Join(shown, ",") + "}"
}

func points(m metricdata.Metrics) (lines []string) {
	add := func(set attribute.Set, value string) { lines = append(lines, labels(set)+" "+value) }
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprint(p.Value))
		}
	case metricdata.Sum[float64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprintf("%.3f", p.Value))
		}
	case metricdata.Gauge[int64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprint(p.Value))
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprintf("%.3f", p.Value))
		}
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprintf("%d of %d", p.Count, p.Sum))
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			add(p.Attributes, fmt.Sprintf("%d of %.3f", p.Count, p.Sum))
		}
	default:
		add(attribute.Set{}, fmt.Sprintf("of the unexpected type %T", m.Data))
	}
	return lines
}
