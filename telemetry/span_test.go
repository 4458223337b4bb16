package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

// spanContext makes a context of its own for each number.
func spanContext(number byte, sampled bool) trace.SpanContext {
	c := trace.SpanContextConfig{TraceID: trace.TraceID{1, number}, SpanID: trace.SpanID{2, number}}
	if sampled {
		c.TraceFlags = trace.FlagsSampled
	}
	return trace.NewSpanContext(c)
}

func in(t *testing.T, span trace.SpanContext) context.Context {
	return trace.ContextWithSpanContext(t.Context(), span)
}

// theSpan returns the one span that has ended.
func (w *world) theSpan() sdktrace.ReadOnlySpan {
	w.t.Helper()
	spans := w.spans.Ended()
	if len(spans) != 1 {
		w.t.Fatalf("%d spans have ended, want 1", len(spans))
	}
	return spans[0]
}

func value(span sdktrace.ReadOnlySpan, key attribute.Key) string {
	for _, a := range span.Attributes() {
		if a.Key == key {
			return a.Value.Emit()
		}
	}
	return "(none)"
}

func TestABatchIsOneSpanLinkedToItsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{MaxWaitTime: time.Second}, telemetry.Config{})
		w.next(emulator.Pass().AnswerAfter(2 * time.Second))
		for _, span := range []trace.SpanContext{spanContext(1, true), spanContext(2, true), spanContext(2, true), spanContext(1, true), spanContext(3, false), {}} {
			w.enqueue(in(t, span), "1", "body")
		}
		if err := w.producer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		span := w.theSpan()
		if got := span.Name(); got != "send hub" || span.SpanKind() != trace.SpanKindClient || span.Parent().IsValid() || span.Status().Code != codes.Unset {
			t.Errorf("got %q, %v, parent %v, status %v, want a root span %q of a client", got, span.SpanKind(), span.Parent(), span.Status(), "send hub")
		}
		if got := span.EndTime().Sub(span.StartTime()); got != 2*time.Second || got != w.producer.Stats().OnWire {
			t.Errorf("it lasts %v, want the 2s on the wire", got)
		}
		links := ""
		for _, l := range span.Links() {
			links += fmt.Sprint(l.SpanContext.TraceID()[1], l.SpanContext.SpanID()[1], l.SpanContext.IsSampled(), " ")
		}
		if links != "1 1 true 2 2 true " {
			t.Errorf("linked to %s, want the two sampled contexts, once each", links)
		}
		for key, want := range map[attribute.Key]string{
			semconv.MessagingSystemKey: "eventhubs", semconv.MessagingDestinationNameKey: "hub", semconv.MessagingDestinationPartitionIDKey: "1",
			semconv.MessagingOperationNameKey: "send", semconv.MessagingOperationTypeKey: "send", semconv.MessagingBatchMessageCountKey: "6",
			semconv.MessagingClientIDKey: "me", semconv.ServerAddressKey: "emulator-in-memory.invalid", semconv.ErrorTypeKey: "(none)",
			"eventhubs.tries": "1", "eventhubs.queued": "0",
		} {
			if got := value(span, key); got != want {
				t.Errorf("%s is %s, want %s", key, got, want)
			}
		}
	})
}

func TestABatchOfOneSpanIsItsChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Config{})
		ctx, request := w.tracers.Tracer("test").Start(t.Context(), "request")
		for range 3 {
			w.enqueue(ctx, "0", "body")
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if span := w.theSpan(); span.Parent().SpanID() != request.SpanContext().SpanID() || len(span.Links()) != 1 {
			t.Errorf("parent %v with %d links, want the span that enqueued, and a link to it", span.Parent().SpanID(), len(span.Links()))
		}
		request.End()
	})
}

func TestAnEventWithoutContextMakesTheBatchARootSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Config{})
		w.enqueue(in(t, spanContext(1, true)), "0", "a")
		w.enqueue(t.Context(), "0", "b")
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if span := w.theSpan(); span.Parent().IsValid() || len(span.Links()) != 1 {
			t.Errorf("parent %v with %d links, want a root span with a link", span.Parent(), len(span.Links()))
		}
	})
}

func TestWhatIsNotSampledHasNoSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Config{})
		w.enqueue(in(t, spanContext(1, false)), "0", "a")
		w.enqueue(in(t, spanContext(2, false)), "0", "b")
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if spans := w.spans.Ended(); len(spans) != 0 {
			t.Errorf("%d spans, want none", len(spans))
		}
	})
}

func TestASpanHasAtMost128Links(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Config{})
		for i := range 200 {
			w.enqueue(in(t, spanContext(byte(i), true)), "0", "body")
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if span := w.theSpan(); len(span.Links()) != 128 || span.DroppedLinks() != 0 {
			t.Errorf("%d links and %d dropped, want 128 and none", len(span.Links()), span.DroppedLinks())
		}
	})
}

func TestAFailedBatchIsAFailedSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}, telemetry.Config{})
		w.next(emulator.Reject("amqp:not-allowed", "not today"))
		w.enqueue(t.Context(), "0", "a")
		if err := w.flush(); err == nil {
			t.Fatal("Flush returned nil")
		}
		span := w.theSpan()
		if s := span.Status(); s.Code != codes.Error || !strings.Contains(s.Description, "not today") {
			t.Errorf("status %v, want an error with the service's text", s)
		}
		if got := value(span, "error.type") + ", " + value(span, "eventhubs.storage"); got != "rejected, not stored" {
			t.Errorf("got %s", got)
		}
	})
}

func TestABatchWhoseLinkNeverOpensIsASpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{DeliveryTimeout: 10 * time.Second, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}, telemetry.Config{})
		if err := w.producer.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindAttach {
				return emulator.Reject("amqp:unauthorized-access", "no Send right")
			}
			return emulator.Pass()
		})
		w.enqueue(t.Context(), "0", "a")
		if err := w.flush(); err == nil {
			t.Fatal("Flush returned nil")
		}
		if span := w.theSpan(); value(span, "eventhubs.tries") != "0" || value(span, "error.type") != "unauthorized" {
			t.Errorf("%s tries, %s, want 0 and unauthorized", value(span, "eventhubs.tries"), value(span, "error.type"))
		}
		w.want("eventhubs.producer.health{eventhubs.health.state=unauthorized} 1")
	})
}

func TestEventsCarryTheContextOfTheirEnqueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Config{})
		state, err := trace.ParseTraceState("vendor=value")
		if err != nil {
			t.Fatal(err)
		}
		properties := map[string]any{"mine": int64(1)}
		sampled, unsampled := spanContext(1, true).WithTraceState(state), spanContext(2, false)
		for _, e := range []struct {
			span       trace.SpanContext
			properties map[string]any
		}{
			{sampled, properties}, {unsampled, nil}, {trace.SpanContext{}, nil}, {sampled, map[string]any{"traceparent": "its own"}},
			{sampled, map[string]any{"Diagnostic-Id": "its own"}},
		} {
			event := &azeventhubs.EventData{Properties: e.properties}
			if err := w.producer.Enqueue(in(t, e.span), event, &eventhubs.EnqueueOptions{PartitionID: "0"}); err != nil {
				t.Fatal(err)
			}
		}
		if len(properties) != 1 {
			t.Errorf("the caller's own map became %v", properties)
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		const first, second = "00-01010000000000000000000000000000-0201000000000000-01", "00-01020000000000000000000000000000-0202000000000000-00"
		want := []string{
			"map[Diagnostic-Id:" + first + " mine:1 traceparent:" + first + " tracestate:vendor=value]",
			"map[Diagnostic-Id:" + second + " traceparent:" + second + "]", "map[]", "map[traceparent:its own]", "map[Diagnostic-Id:its own]",
		}
		i := 0
		for event := range w.server.Events("hub", "0") {
			if got := fmt.Sprint(event.Properties); i < len(want) && got != want[i] {
				t.Errorf("event %d has %s, want %s", i, got, want[i])
			}
			i++
		}
		if i != len(want) {
			t.Errorf("%d events are stored, want %d", i, len(want))
		}
	})
}

func TestEventsAreLeftAloneIfAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Config{LeaveEvents: true})
		w.enqueue(in(t, spanContext(1, true)), "0", "a")
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		for event := range w.server.Events("hub", "0") {
			if len(event.Properties) != 0 {
				t.Errorf("the event has %v, want nothing", event.Properties)
			}
		}
		if len(w.theSpan().Links()) != 0 {
			t.Errorf("%d links, want none", len(w.theSpan().Links()))
		}
	})
}

func TestExtractReadsWhatInjectWrote(t *testing.T) {
	state, err := trace.ParseTraceState("a=1,b=2")
	if err != nil {
		t.Fatal(err)
	}
	for _, span := range []trace.SpanContext{spanContext(1, true), spanContext(2, false), spanContext(3, true).WithTraceFlags(trace.FlagsSampled | trace.FlagsRandom), spanContext(4, true).WithTraceState(state)} {
		properties := map[string]any{}
		telemetry.Inject(in(t, span), properties)
		got := trace.SpanContextFromContext(telemetry.Extract(t.Context(), properties))
		if want := span.WithRemote(true); !got.Equal(want) {
			t.Errorf("got %v, want %v", got, want)
		}
		delete(properties, "traceparent")
		if got := trace.SpanContextFromContext(telemetry.Extract(t.Context(), properties)); got.SpanID() != span.SpanID() {
			t.Errorf("Diagnostic-Id alone gives %v, want %v", got.SpanID(), span.SpanID())
		}
	}
	for _, malformed := range []map[string]any{nil, {}, {"traceparent": 5}, {"traceparent": ""}, {"traceparent": "00-00000000000000000000000000000000-0000000000000000-01"}, {"Diagnostic-Id": "|old.style."}} {
		if ctx := telemetry.Extract(t.Context(), malformed); ctx != t.Context() {
			t.Errorf("%v gives a span, want none", malformed)
		}
	}
}

func TestWhatTheOptionsHadIsCalledStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := ""
		options := eventhubs.Options{
			Trace: &eventhubs.Trace{
				Encoding:     func(_ context.Context, p *eventhubs.Properties) { p.Add("traceparent", "mine") },
				Connected:    func() { told += "connected " },
				Throttled:    func(eventhubs.TracedBatch, error, time.Duration) { told += "throttled " },
				Retrying:     func(eventhubs.TracedBatch, error, time.Duration) { told += "retrying " },
				Settled:      func(eventhubs.TracedBatch, eventhubs.Outcome) { told += "settled " },
				Disconnected: func(err error) { told += fmt.Sprintf("disconnected %v ", err) },
			},
			OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { told += "handled " },
		}
		w := newWorld(t, options, telemetry.Config{})
		w.next(emulator.Reject("com.microsoft:server-busy", ""), emulator.Release())
		w.enqueue(in(t, spanContext(1, true)), "0", "a")
		if err := w.producer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if want := "connected throttled retrying settled handled disconnected <nil> "; told != want {
			t.Errorf("told %q, want %q", told, want)
		}
		for event := range w.server.Events("hub", "0") {
			if event.Properties["traceparent"] != "mine" {
				t.Errorf("the event has %v, want what the application has written", event.Properties)
			}
		}
	})
}

func TestAnInstrumentationIsForOneProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Config{})
		if err := w.made.Observe(w.producer); !errors.Is(err, eventhubs.ErrInvalidArgument) {
			t.Errorf("a second Observe returned %v, want ErrInvalidArgument", err)
		}
		if _, err := telemetry.Instrument(nil, nil); !errors.Is(err, eventhubs.ErrInvalidArgument) {
			t.Errorf("Instrument(nil) returned %v, want ErrInvalidArgument", err)
		}
		if len(w.read()) == 0 {
			t.Error("nothing is collected")
		}
		if err := errors.Join(w.made.Close(), w.made.Close()); err != nil {
			t.Fatal(err)
		}
		for _, line := range w.collect() {
			t.Errorf("after Close there is %s", line)
		}
	})
}
