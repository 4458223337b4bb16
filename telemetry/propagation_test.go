package telemetry_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/trace"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

func TestEventsCarryTheContextOfTheirEnqueue(t *testing.T) {
	t.Run("as traceparent", func(t *testing.T) { testEventsCarryTheContext(t, telemetry.Options{}) })
	t.Run("as Diagnostic-Id too", func(t *testing.T) { testEventsCarryTheContext(t, telemetry.Options{WriteDiagnosticID: true}) })
}

func testEventsCarryTheContext(t *testing.T, options telemetry.Options) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, options)
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
			event := &eventhubs.Event{Properties: e.properties, PartitionID: "0"}
			if err := w.producer.Enqueue(in(t, e.span), event); err != nil {
				t.Fatal(err)
			}
		}
		message := &eventhubs.Event{PartitionID: "0", AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: "v"}}}
		if err := w.producer.TryEnqueue(in(t, unsampled), message); err != nil {
			t.Fatal(err)
		}
		if len(properties) != 1 || message.Properties != nil {
			t.Errorf("the caller's own maps became %v and %v", properties, message.Properties)
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		const first, second = "00-01010000000000000000000000000000-0201000000000000-01", "00-01020000000000000000000000000000-0202000000000000-00"
		want := []string{
			"map[Diagnostic-Id:" + first + " mine:1 traceparent:" + first + " tracestate:vendor=value]",
			"map[Diagnostic-Id:" + second + " traceparent:" + second + "]", "map[]", "map[traceparent:its own]", "map[Diagnostic-Id:its own]",
			"map[Diagnostic-Id:" + second + " traceparent:" + second + "]",
		}
		if !options.WriteDiagnosticID {
			want[0] = "map[mine:1 traceparent:" + first + " tracestate:vendor=value]"
			want[1], want[5] = "map[traceparent:"+second+"]", "map[traceparent:"+second+"]"
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

func TestABatchIsLinkedToAContextThatTheApplicationWrote(t *testing.T) {
	for _, config := range []telemetry.Options{{}, {DisablePropagation: true}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, eventhubs.Options{}, config)
			event := &eventhubs.Event{Properties: map[string]any{}}
			telemetry.Inject(in(t, spanContext(1, true)), event.Properties)
			if err := w.producer.Enqueue(t.Context(), event); err != nil {
				t.Fatal(err)
			}
			if err := w.flush(); err != nil {
				t.Fatal(err)
			}
			if got := len(w.theSpan().Links()); got != 1 {
				t.Errorf("%+v: %d links, want 1", config, got)
			}
		})
	}
}

func TestEventsAreLeftAloneIfAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Options{DisablePropagation: true})
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
		if properties["Diagnostic-Id"] != nil {
			t.Errorf("Inject wrote %v, want no Diagnostic-Id", properties)
		}
		properties["Diagnostic-Id"] = properties["traceparent"]
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

// Headers of Kafka producers arrive as bytes, and their names in the case that the producer chose.
func TestExtractReadsBytesInAnyCase(t *testing.T) {
	const parent = "00-01010000000000000000000000000000-0201000000000000-01"
	other := strings.Replace(parent, "-0201", "-0909", 1)
	for name, c := range map[string]struct {
		properties map[string]any
		state      string
	}{
		"string":                        {map[string]any{"traceparent": parent}, ""},
		"bytes":                         {map[string]any{"traceparent": []byte(parent)}, ""},
		"Traceparent":                   {map[string]any{"Traceparent": parent}, ""},
		"bytes, TRACEPARENT":            {map[string]any{"TRACEPARENT": []byte(parent)}, ""},
		"Diagnostic-Id":                 {map[string]any{"Diagnostic-Id": parent}, ""},
		"bytes, Diagnostic-Id":          {map[string]any{"Diagnostic-Id": []byte(parent)}, ""},
		"diagnostic-id":                 {map[string]any{"diagnostic-id": parent}, ""},
		"bytes, DIAGNOSTIC-ID":          {map[string]any{"DIAGNOSTIC-ID": []byte(parent)}, ""},
		"both":                          {map[string]any{"Diagnostic-Id": other, "traceparent": parent}, ""},
		"both, in another case":         {map[string]any{"Diagnostic-Id": other, "TraceParent": []byte(parent)}, ""},
		"the exact name is believed":    {map[string]any{"TraceParent": other, "traceparent": parent}, ""},
		"an empty one, Diagnostic-Id":   {map[string]any{"traceparent": "", "Diagnostic-Id": parent}, ""},
		"with a state":                  {map[string]any{"traceparent": parent, "tracestate": "a=1"}, "a=1"},
		"with a state, bytes":           {map[string]any{"traceparent": []byte(parent), "tracestate": []byte("a=1")}, "a=1"},
		"with a state, in another case": {map[string]any{"TraceParent": parent, "TraceState": []byte("a=1")}, "a=1"},
	} {
		got := trace.SpanContextFromContext(telemetry.Extract(t.Context(), c.properties))
		if got.SpanID() != (trace.SpanID{2, 1}) || !got.IsSampled() || !got.IsRemote() || got.TraceState().String() != c.state {
			t.Errorf("%s: got %v, state %q, want the span 0201…, sampled, with the state %q", name, got.SpanID(), got.TraceState(), c.state)
		}
	}
}

// An event that is forwarded keeps the span of its first producer, whatever wrote it.
func TestAForwardedEventKeepsItsSpan(t *testing.T) {
	const own = "00-01010000000000000000000000000000-0201000000000000-01"
	for name, value := range map[string]any{"traceparent": own, "Traceparent": []byte(own), "TRACEPARENT": own, "Diagnostic-Id": own, "diagnostic-id": []byte(own)} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, eventhubs.Options{}, telemetry.Options{WriteDiagnosticID: true})
			properties := map[string]any{name: value}
			telemetry.Inject(in(t, spanContext(7, true)), properties)
			if len(properties) != 1 {
				t.Errorf("%s: Inject wrote %v", name, properties)
			}
			if err := w.producer.Enqueue(in(t, spanContext(7, true)), &eventhubs.Event{PartitionID: "0", Properties: properties}); err != nil {
				t.Fatal(err)
			}
			if err := w.flush(); err != nil {
				t.Fatal(err)
			}
			for event := range w.server.Events("hub", "0") {
				if len(event.Properties) != 1 || event.Properties[name] == nil {
					t.Errorf("%s: the event has %v, want its own property only", name, event.Properties)
				}
			}
			if span := w.theSpan(); len(span.Links()) != 1 || span.Links()[0].SpanContext.SpanID() != (trace.SpanID{2, 1}) || span.Parent().SpanID() != (trace.SpanID{2, 1}) {
				t.Errorf("%s: got the links %v and the parent %v, want the event's own span", name, span.Links(), span.Parent().SpanID())
			}
		})
	}
}

func TestEventsThatAreEnqueuedAgainKeepTheirSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := func(ctx context.Context, b *eventhubs.Batch) {
			if _, err := b.EnqueueAgain(ctx); err != nil {
				t.Error(err)
			}
		}
		w := newWorld(t, eventhubs.Options{OnBatchFailed: again}, telemetry.Options{})
		w.next(emulator.Reject("amqp:not-allowed", "not today"))
		w.enqueue(in(t, spanContext(1, true)), "0", "a")
		w.enqueue(t.Context(), "0", "b")
		w.enqueue(in(t, spanContext(2, true)), "0", "c")
		for range 2 { // the first reports the failure
			_ = w.flush()
		}
		spans := w.spans.Ended()
		if len(spans) != 2 {
			t.Fatalf("%d spans, want one for each batch", len(spans))
		}
		for i, span := range spans {
			if links := span.Links(); len(links) != 2 || links[0].SpanContext.SpanID() != (trace.SpanID{2, 1}) || links[1].SpanContext.SpanID() != (trace.SpanID{2, 2}) {
				t.Errorf("batch %d has the links %v, want the spans of both events", i, links)
			}
		}
	})
}

func TestEventsFromTheJournalKeepTheirSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := journaled(t)
		for _, properties := range []map[string]any{nil, {"Diagnostic-Id": []byte("00-01050000000000000000000000000000-0205000000000000-01")}} {
			if err := w.producer.Enqueue(in(t, spanContext(1, true)), &eventhubs.Event{PartitionID: "0", Properties: properties}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if links := w.theSpan().Links(); len(links) != 2 || links[0].SpanContext.SpanID() != (trace.SpanID{2, 1}) || links[1].SpanContext.SpanID() != (trace.SpanID{2, 5}) {
			t.Errorf("got the links %v, want the spans of both events", links)
		}
	})
}
