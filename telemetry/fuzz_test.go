package telemetry

import (
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// FuzzTraceParent checks that our code and OpenTelemetry's propagator read a traceparent as the
// same, and write the same.
func FuzzTraceParent(f *testing.F) {
	for _, text := range []string{"", "00-01000000000000000000000000000000-0200000000000000-01", "00-01000000000000000000000000000000-0200000000000000-00", "00-00000000000000000000000000000000-0200000000000000-01",
		"01-01000000000000000000000000000000-0200000000000000-01", "00-0100000000000000000000000000000A-0200000000000000-03", "00-01000000000000000000000000000000_0200000000000000-01"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		carried := propagation.MapCarrier{"traceparent": text}
		ctx := propagation.TraceContext{}.Extract(t.Context(), carried)
		want, got := trace.SpanContextFromContext(ctx), decodeParent(text)
		if want.IsValid() && len(text) == parentLength && text[:3] == parentPrefix {
			if got.TraceID() != want.TraceID() || got.SpanID() != want.SpanID() || got.IsSampled() != want.IsSampled() {
				t.Errorf("%q is read as %v, want %v", text, got, want)
			}
			written := propagation.MapCarrier{}
			propagation.TraceContext{}.Inject(ctx, written)
			if again := encodeParent(want); again != written["traceparent"] {
				t.Errorf("%q is written as %q, want %q", text, again, written["traceparent"])
			}
		}
		if !got.IsValid() && want.IsValid() && text[:2] == "00" {
			t.Errorf("%q is refused, want %v", text, want)
		}
	})
}
