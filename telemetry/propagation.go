package telemetry

import (
	"context"
	"strings"

	"github.com/go-eventhubs/eventhubs"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The application properties that carry a span's context.
const (
	traceParent  = "traceparent"   // of the W3C
	traceState   = "tracestate"    // of the W3C
	diagnosticID = "Diagnostic-Id" // of older Azure SDKs, with the same content as traceparent
)

// Inject writes the span in ctx, if any, into an event's properties, as traceparent and tracestate.
// It changes nothing if they already carry a span. The map must not be nil. [NewTrace] does the
// same for a producer's events; Inject is for events that other clients send.
func Inject(ctx context.Context, properties map[string]any) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return
	}
	if carrier(properties).Get(traceParent) != "" {
		return
	}
	properties[traceParent] = parentOf(span).String()
	if state := span.TraceState(); state.Len() > 0 {
		properties[traceState] = state.String()
	}
}

// Extract returns a context with the span in an event's properties, from traceparent or
// Diagnostic-Id. It is a remote span: a span started with the context continues the trace of the
// event. Without these properties, or if they are malformed, Extract returns ctx.
func Extract(ctx context.Context, properties map[string]any) context.Context {
	return propagation.TraceContext{}.Extract(ctx, carrier(properties))
}

// encoding is Inject for Trace.Encoding. It allocates only for a state or a Diagnostic-Id.
func (t *instrumentation) encoding(ctx context.Context, e eventhubs.TracedEncoding) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return
	}
	parent := parentOf(span)
	if !e.Properties.AddTraceParent(parent) {
		return // the event keeps its own, and its state
	}
	if t.options.WriteDiagnosticID {
		e.Properties.Add(diagnosticID, parent.String())
	}
	if state := span.TraceState(); state.Len() > 0 {
		e.Properties.Add(traceState, state.String())
	}
}

func parentOf(span trace.SpanContext) eventhubs.TraceParent {
	return eventhubs.TraceParent{TraceID: span.TraceID(), SpanID: span.SpanID(), Flags: byte(span.TraceFlags())}
}

// contextOf returns the context of another process's span.
func contextOf(parent eventhubs.TraceParent) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: parent.TraceID, SpanID: parent.SpanID, TraceFlags: trace.TraceFlags(parent.Flags), Remote: true,
	})
}

// A carrier reads an event's properties. Headers of Kafka producers arrive as bytes, and in any
// case.
type carrier map[string]any

func (c carrier) Get(key string) string {
	if text := c.text(key); text != "" || key != traceParent {
		return text
	}
	return c.text(diagnosticID)
}

// text returns the property of that name, or else of that name in another case.
func (c carrier) text(name string) string {
	if text := textOf(c[name]); text != "" {
		return text
	}
	for other, value := range c {
		if text := textOf(value); text != "" && strings.EqualFold(other, name) {
			return text
		}
	}
	return ""
}

// textOf returns a text that is a string or bytes; empty for another value.
func textOf(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case []byte:
		return string(value)
	}
	return ""
}

// Set is never called: Inject writes the properties itself.
func (c carrier) Set(key, value string) { c[key] = value }

// Keys is never called: the propagator knows the W3C's names.
func (c carrier) Keys() []string { return nil }
