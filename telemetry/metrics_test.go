package telemetry_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

// metricNames returns the constants Metric… of names.go.
func metricNames(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "names.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Metric") {
			return true
		}
		name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
		return true
	})
	if len(names) < 20 {
		t.Fatalf("only %d metrics were found in names.go", len(names))
	}
	return names
}

// eventful returns a producer with a whole life. Its first try is throttled, the second one's
// acknowledgement is lost, and its second batch is refused.
func eventful(t *testing.T) *world {
	w := newWorld(t, eventhubs.Options{
		MaxBufferedEvents: 100,
		OnBatchSucceeded:  func(context.Context, *eventhubs.Batch) { time.Sleep(time.Second) },
		OnBatchFailed:     func(context.Context, *eventhubs.Batch) { panic("a handler's own") },
		Retry:             eventhubs.RetryOptions{Policy: func(eventhubs.FailedTry) (time.Duration, bool) { return time.Second, true }},
	}, telemetry.Options{})
	w.next(emulator.Reject("com.microsoft:server-busy", "wait"), emulator.Cut().Stored())
	w.enqueue(t.Context(), "0", "a")
	w.enqueue(t.Context(), "0", "b")
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	w.next(emulator.Reject("amqp:not-allowed", "no"))
	w.enqueue(t.Context(), "1", "c")
	if err := w.flush(); err == nil {
		t.Fatal("Flush returned nil though an event was refused")
	}
	return w
}

func TestMetricsTellWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := eventful(t)
		stats := w.producer.Stats()
		send := "messaging.destination.partition.id=0,messaging.operation.name=send,messaging.operation.type=send"
		refused := "error.type=rejected,messaging.destination.partition.id=1"
		w.want(
			"messaging.client.sent.messages{"+send+"} 2",
			"messaging.client.sent.messages{"+refused+",messaging.operation.name=send,messaging.operation.type=send} 1",
			"messaging.client.operation.duration{"+send+"} 1 of "+strconv.FormatFloat(stats.OnWireTotal.Seconds(), 'f', 3, 64),
			"eventhubs.producer.settled.events{eventhubs.storage=stored,messaging.destination.partition.id=0} 2",
			"eventhubs.producer.settled.events{error.type=rejected,eventhubs.storage=not stored,messaging.destination.partition.id=1} 1",
			"eventhubs.producer.stored.bytes{messaging.destination.partition.id=0} "+strconv.FormatUint(stats.StoredBytes, 10),
			"eventhubs.producer.batch.events{messaging.destination.partition.id=0} 1 of 2",
			"eventhubs.producer.queue.duration{messaging.destination.partition.id=0} 1 of 0.000",
			"eventhubs.producer.throttled.tries{messaging.destination.partition.id=0} 1",
			"eventhubs.producer.throttled.duration{messaging.destination.partition.id=0} "+strconv.FormatFloat(stats.ThrottledTotal.Seconds(), 'f', 3, 64),
			"eventhubs.producer.retries{error.type=connection-lost,messaging.destination.partition.id=0} 1",
			"eventhubs.producer.ambiguous.tries{} 1",
			"eventhubs.producer.handler.duration{eventhubs.handler=succeeded} 1 of 1.000",
			"eventhubs.producer.handler.duration{eventhubs.handler=failed} 1 of 0.000",
			"eventhubs.producer.handler.panics{} 1",
			"eventhubs.producer.unheard.events{} 0",
			"eventhubs.producer.connections.opened{} 2",
			"eventhubs.producer.connections.lost{error.type=connection-lost} 1",
			"eventhubs.producer.health{eventhubs.health.state=ready} 0",
			"eventhubs.producer.health{eventhubs.health.state=refused} 1",
		)
	})
}

func TestMetricsTellWhatIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{MaxBufferedEvents: 4, MaxWaitTime: eventhubs.UntilFull}, telemetry.Options{})
		if err := w.producer.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		w.next(emulator.Pass().AnswerAfter(time.Minute))
		w.enqueue(t.Context(), "0", "a")
		go func() { _ = w.producer.Flush(t.Context()) }() // ends with the answer
		synctest.Wait()
		w.enqueue(t.Context(), "0", "b")
		w.enqueue(t.Context(), "1", "c")
		time.Sleep(11 * time.Second) // one more than until it counts as silent
		w.want(
			"eventhubs.producer.buffered.events{messaging.destination.partition.id=0} 2",
			"eventhubs.producer.buffered.events{messaging.destination.partition.id=1} 1",
			"eventhubs.producer.inflight.batches{messaging.destination.partition.id=0} 1",
			"eventhubs.producer.inflight.batches{messaging.destination.partition.id=1} 0",
			"eventhubs.producer.buffer.utilization{} 0.750",
			"eventhubs.producer.oldest_event.age{} 11.000",
			"eventhubs.producer.waiting.callers{} 0",
			"eventhubs.producer.partitions{eventhubs.waiting=for the service} 1",
			"eventhubs.producer.partitions{eventhubs.waiting=for events} 1",
			"eventhubs.producer.partitions{eventhubs.waiting=throttled} 0",
			"eventhubs.producer.trouble.duration{} 1.000",
			"eventhubs.producer.health{eventhubs.health.state=silent} 1",
		)
		// 0 has been silent for so long that it gets no more than half.
		w.enqueue(t.Context(), "1", "d")
		w.next(emulator.Pass().AnswerAfter(time.Minute), emulator.Pass().AnswerAfter(time.Minute))
		go func() { // ends when there is room
			if err := w.producer.Enqueue(t.Context(), &eventhubs.Event{}); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		w.want("eventhubs.producer.waiting.callers{} 1", "eventhubs.producer.buffer.utilization{} 1.000")
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		w.want("eventhubs.producer.waiting.callers{} 0")
	})
}

// A histogram shows a handler's duration only after it has returned.
func TestMetricsTellOfAHandlerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		w := newWorld(t, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { <-hold }}, telemetry.Options{})
		w.enqueue(t.Context(), "0", "a")
		time.Sleep(20 * time.Second)
		w.enqueue(t.Context(), "1", "a")
		time.Sleep(10 * time.Second)
		w.want(
			"eventhubs.producer.handler.running{} 30.000",
			"eventhubs.producer.partitions{eventhubs.waiting=for a handler} 2",
			"eventhubs.producer.health{eventhubs.health.state=blocked} 1",
			"eventhubs.producer.trouble.duration{} 20.000",
		)
		close(hold)
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		w.want(
			"eventhubs.producer.handler.running{} 0.000",
			"eventhubs.producer.handler.duration{eventhubs.handler=succeeded} 2 of 40.000",
			"eventhubs.producer.health{eventhubs.health.state=ready} 1",
		)
	})
}

func TestMetricsTellHowLongThereIsTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce}, telemetry.Options{})
		w.enqueue(t.Context(), "0", "a")
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		w.want("eventhubs.producer.health{eventhubs.health.state=ready} 1", "eventhubs.producer.trouble.duration{} 0.000")
		w.next(emulator.Reject("com.microsoft:server-busy", "wait"))
		w.enqueue(t.Context(), "0", "b")
		synctest.Wait()
		time.Sleep(3 * time.Second)
		w.want("eventhubs.producer.health{eventhubs.health.state=throttled} 1", "eventhubs.producer.trouble.duration{} 3.000",
			"eventhubs.producer.partitions{eventhubs.waiting=throttled} 1")
	})
}

func TestWhatIsNeverTriedIsNotCountedAsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}, telemetry.Options{})
		w.enqueue(t.Context(), "0", "a")
		w.producer.Clear(context.Background())
		if err := w.flush(); err != nil { // cleared events do not count
			t.Fatalf("Flush returned %v, want nil", err)
		}
		for _, line := range w.collect() {
			if strings.HasPrefix(line, "messaging.") {
				t.Errorf("%s, though nothing was sent", line)
			}
		}
		if spans := w.spans.Ended(); len(spans) != 0 {
			t.Errorf("%d spans, want none", len(spans))
		}
	})
}

// The error of a batch that was never tried names an earlier failure. That failure was not a try of
// these events.
func TestWhatIsClearedBehindAFailureIsNotCountedAsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, Retry: eventhubs.RetryOptions{MaxRetries: -1}, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}, telemetry.Options{})
		w.enqueue(t.Context(), "1", "a")
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		sent := w.collect()
		w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				return emulator.Reject("amqp:internal-error", "no")
			}
			return emulator.Pass()
		})
		w.enqueue(t.Context(), "0", "a")
		if err := w.flush(); err == nil {
			t.Fatal("Flush returned no error")
		}
		failed := w.collect()
		w.enqueue(t.Context(), "0", "b")
		w.producer.Clear(context.Background())
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		messaging := func(lines []string) (only []string) {
			for _, line := range lines {
				if strings.HasPrefix(line, "messaging.") {
					only = append(only, line)
				}
			}
			return only
		}
		if before, after := messaging(failed), messaging(w.collect()); len(before) == len(messaging(sent)) || !slices.Equal(before, after) {
			t.Errorf("the cleared batch is counted as sent: %q, before %q", after, before)
		}
	})
}

func TestMetricsTellOfEventsWhosePartitionsAreNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Options{})
		w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindManagement {
				return emulator.Pass().After(10 * time.Second)
			}
			return emulator.Pass()
		})
		w.enqueue(t.Context(), "0", "a")
		w.enqueue(t.Context(), "1", "b")
		time.Sleep(5 * time.Second)
		w.want("eventhubs.producer.partitions{eventhubs.waiting=for the list of partitions} 1", "eventhubs.producer.buffered.events{} 2")
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		w.want("eventhubs.producer.partitions{eventhubs.waiting=for the list of partitions} 0", "eventhubs.producer.partitions{eventhubs.waiting=not waiting} 2")
	})
}

func TestMetricsTellOfFailuresThatNobodyHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Without a handler; telemetry must not change that.
		w := newWorld(t, eventhubs.Options{}, telemetry.Options{})
		w.next(emulator.Reject("amqp:not-allowed", "no"))
		w.enqueue(t.Context(), "0", "a")
		if err := w.flush(); err == nil {
			t.Fatal("Flush returned nil")
		}
		w.want("eventhubs.producer.unheard.events{} 1")
	})
}

func TestAConnectionThatTheProducerClosesIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Options{})
		w.enqueue(t.Context(), "0", "a")
		if err := w.producer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.want("eventhubs.producer.connections.opened{} 1")
		for _, line := range w.collect() {
			if strings.HasPrefix(line, telemetry.MetricConnectionsLost) {
				t.Error(line)
			}
		}
	})
}

func TestPartitionsTogetherAreOneTimeSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull}, telemetry.Options{OmitPartition: true})
		for _, partition := range []string{"0", "1"} {
			w.enqueue(t.Context(), partition, "a")
		}
		if err := w.producer.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		w.want("eventhubs.producer.buffered.events{} 2")
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		w.want("messaging.client.sent.messages{messaging.operation.name=send,messaging.operation.type=send} 2", "eventhubs.producer.batch.events{} 2 of 2")
		for _, line := range w.collect() {
			if strings.Contains(line, "partition.id") {
				t.Errorf("%s has a partition", line)
			}
		}
	})
}

func TestMetricsHaveTheNamesAndUnitsOfTheConventions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := map[string]metricdata.Metrics{}
		for _, m := range eventful(t).read() {
			found[m.Name] = m
		}
		type convention interface {
			Name() string
			Unit() string
			Description() string
		}
		for _, c := range []convention{messagingconv.ClientOperationDuration{}, messagingconv.ClientSentMessages{}} {
			m, ok := found[c.Name()]
			if !ok || m.Unit != c.Unit() || m.Description != c.Description() {
				t.Errorf("got %q %q %q, want %q %q %q", m.Name, m.Unit, m.Description, c.Name(), c.Unit(), c.Description())
			}
		}
		// https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/.
		advised := []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
		p := found["messaging.client.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints[0]
		if len(p.Bounds) != len(advised) || p.Bounds[0] != advised[0] || p.Bounds[13] != advised[13] {
			t.Errorf("buckets %v, want %v", p.Bounds, advised)
		}
		for _, want := range []string{
			string(semconv.MessagingSystemEventHubs.Key) + semconv.MessagingSystemEventHubs.Value.AsString(), string(semconv.MessagingOperationNameKey), string(semconv.MessagingDestinationPartitionIDKey),
			string(semconv.ServerAddressKey), string(semconv.MessagingDestinationNameKey), string(semconv.MessagingOperationTypeSend.Key) + "send",
		} {
			var all strings.Builder
			for _, a := range p.Attributes.ToSlice() {
				all.WriteString(string(a.Key) + a.Value.String() + "\n")
			}
			if !strings.Contains(all.String(), want) {
				t.Errorf("%s is not among\n%s", want, all.String())
			}
		}
	})
}

func TestEveryMetricIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := map[string]metricdata.Metrics{}
		withJournal, _ := journaled(t)
		for _, m := range append(eventful(t).read(), withJournal.read()...) {
			found[m.Name] = m
		}
		for _, name := range metricNames(t) {
			if m, ok := found[name]; !ok || m.Description == "" || m.Unit == "" {
				t.Errorf("%s: reported %v, description %q, unit %q", name, ok, m.Description, m.Unit)
			}
			delete(found, name)
		}
		for name := range found {
			t.Errorf("%s is no constant of the package", name)
		}
	})
}
