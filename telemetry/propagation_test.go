package telemetry_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/trace"

	"github.com/go-eventhubs/eventhubs"
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
