package telemetry_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

// spanContext makes a different context for each number.
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

// theSpan returns the only span that has ended.
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
			return a.Value.String()
		}
	}
	return "(none)"
}

func TestABatchIsOneSpanLinkedToItsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{MaxWaitTime: time.Second}, telemetry.Options{})
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
		if got := span.EndTime().Sub(span.StartTime()); got != 2*time.Second || got != w.producer.Stats().OnWireTotal {
			t.Errorf("it lasts %v, want the 2s on the wire", got)
		}
		var links strings.Builder
		for _, l := range span.Links() {
			links.WriteString(fmt.Sprint(l.SpanContext.TraceID()[1], l.SpanContext.SpanID()[1], l.SpanContext.IsSampled(), " "))
		}
		if links.String() != "1 1 true 2 2 true " {
			t.Errorf("linked to %s, want the two sampled contexts, once each", links.String())
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
		w := newWorld(t, eventhubs.Options{}, telemetry.Options{})
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
		w := newWorld(t, eventhubs.Options{}, telemetry.Options{})
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
		w := newWorld(t, eventhubs.Options{}, telemetry.Options{})
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
		w := newWorld(t, eventhubs.Options{}, telemetry.Options{})
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
		w := newWorld(t, eventhubs.Options{OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}, telemetry.Options{})
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
		w := newWorld(t, eventhubs.Options{DeliveryTimeout: 10 * time.Second, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}, telemetry.Options{})
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

// Few bits of the ids differ, as in tests and in systems with small ids.
func TestAllDifferentSpansAreLinked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Options{})
		want := map[trace.SpanID]bool{}
		for range 3 { // each comes again after all others
			for i := range 100 {
				c := trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: byte(1 + i)}, TraceFlags: trace.FlagsSampled}
				want[c.SpanID] = true
				w.enqueue(in(t, trace.NewSpanContext(c)), "0", "body")
				w.enqueue(in(t, spanContext(byte(i), false)), "0", "body")
			}
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		span := w.theSpan()
		for _, link := range span.Links() {
			delete(want, link.SpanContext.SpanID())
		}
		if len(span.Links()) != 100 || len(want) != 0 || span.Parent().IsValid() {
			t.Errorf("%d links, without %v, parent %v; want each of 100 once, and no parent", len(span.Links()), want, span.Parent())
		}
	})
}
