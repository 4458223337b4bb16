package telemetry

import (
	"context"
	"encoding/hex"
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
	properties[traceParent] = encodeParent(span)
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

// encoding is Inject for Trace.Encoding. It notes that there are events with a context. Before
// that, no batch is searched for contexts.
func (t *instrumentation) encoding(ctx context.Context, e eventhubs.TracedEncoding) {
	properties := e.Properties
	for _, name := range []string{traceParent, diagnosticID} {
		if _, ok := properties.Get(name); ok {
			t.carried.Store(true)
			return
		}
	}
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return
	}
	if !t.carried.Load() {
		t.carried.Store(true)
	}
	parent := encodeParent(span)
	properties.Add(traceParent, parent)
	if t.options.WriteDiagnosticID {
		properties.Add(diagnosticID, parent)
	}
	if state := span.TraceState(); state.Len() > 0 {
		properties.Add(traceState, state.String())
	}
}

// A traceparent of version 00 is "00-", the trace's id, "-", the span's id, "-" and the flags, the
// three in hexadecimal digits.
const (
	parentPrefix = "00-"
	spanAt       = len(parentPrefix) + 32 + 1
	flagsAt      = spanAt + 16 + 1
	parentLength = flagsAt + 2
)

// encodeParent returns a traceparent of version 00. It keeps only the flags that this version
// defines.
func encodeParent(span trace.SpanContext) string {
	var text [parentLength]byte
	traceID, spanID, flags := span.TraceID(), span.SpanID(), [1]byte{byte(span.TraceFlags() & (trace.FlagsSampled | trace.FlagsRandom))}
	copy(text[:], parentPrefix)
	hex.Encode(text[len(parentPrefix):], traceID[:])
	hex.Encode(text[spanAt:], spanID[:])
	hex.Encode(text[flagsAt:], flags[:])
	text[spanAt-1], text[flagsAt-1] = '-', '-'
	return string(text[:])
}

// decodeParent returns the context of a traceparent of version 00. For another version, or
// malformed text, the context is invalid.
func decodeParent(parent string) trace.SpanContext {
	if len(parent) != parentLength || !strings.HasPrefix(parent, parentPrefix) {
		return trace.SpanContext{}
	}
	traceID, err := trace.TraceIDFromHex(parent[len(parentPrefix) : spanAt-1])
	spanID, err2 := trace.SpanIDFromHex(parent[spanAt : flagsAt-1])
	if err != nil || err2 != nil {
		return trace.SpanContext{}
	}
	config := trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, Remote: true}
	if isSampled(parent) {
		config.TraceFlags = trace.FlagsSampled
	}
	return trace.NewSpanContext(config)
}

// isSampled reads the sampled flag in a traceparent's last digit.
func isSampled(parent string) bool {
	return len(parent) == parentLength && strings.IndexByte("13579bdf", parent[parentLength-1]) >= 0
}

// A carrier reads an event's properties.
type carrier map[string]any

func (c carrier) Get(key string) string {
	text, _ := c[key].(string)
	if text == "" && key == traceParent {
		text, _ = c[diagnosticID].(string)
	}
	return text
}

// Set is never called: Inject writes the properties itself.
func (c carrier) Set(key, value string) { c[key] = value }

// Keys is never called: the propagator knows the W3C's names.
func (c carrier) Keys() []string { return nil }
