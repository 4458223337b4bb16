package telemetry

import (
	"context"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// maxLinks bounds the links of a span. OpenTelemetry's SDK keeps that many by default.
const maxLinks = 128

// span makes the span of a batch with its outcome, in one step, with explicit start and end times.
// So a batch in progress needs no state.
func (t *instrumentation) span(to *target, b eventhubs.TracedOutcome) {
	o := b.Outcome
	var links []trace.Link
	var only trace.SpanContext
	if t.carried.Load() {
		unsampled := false
		if links, only, unsampled = linksOf(b.TracedBatch); unsampled {
			return
		}
	}
	ended := time.Now()
	ctx := context.Background()
	if only.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, only)
	}
	attributes := append(make([]attribute.KeyValue, 0, len(to.attributes)+10), to.attributes...)
	attributes = append(attributes, keyClientID.String(to.producer.Identifier()), keyOperation.String("send"), keyType.String("send"), keyMessageCount.Int(b.Events),
		keyBytes.Int(b.Bytes), keyTries.Int(o.Tries), keyQueued.Float64(o.Queued.Seconds()))
	if b.PartitionID != "" {
		attributes = append(attributes, keyPartition.String(b.PartitionID))
	}
	if o.Err != nil {
		attributes = append(attributes, keyErrorType.String(errorType(o.Err)), keyStorage.String(o.Storage.String()))
	}
	_, span := t.tracer.Start(ctx, "send "+to.producer.EventHubName(), trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(ended.Add(-o.OnWire)),
		trace.WithLinks(links...), trace.WithAttributes(attributes...))
	if o.Err != nil {
		span.SetStatus(codes.Error, o.Err.Error())
	}
	span.End(trace.WithTimestamp(ended))
}

// linksOf returns links to the different sampled contexts in a batch's events. If all events have
// the same context, only is that context. unsampled says that there are contexts, but none is
// sampled.
func linksOf(b eventhubs.TracedBatch) (links []trace.Link, only trace.SpanContext, unsampled bool) {
	var seen map[string]bool
	last, same := "", 0
	for parent := range b.Property(traceParent) {
		switch {
		case parent == "":
			continue
		case parent == last, seen[parent]:
			same++
			continue
		case len(parent) == parentLength && !isSampled(parent):
			unsampled = true // there may be a thousand different ones, so they are not kept
			continue
		}
		context := decodeParent(parent)
		if !context.IsValid() {
			continue // a malformed one is ignored
		}
		if seen == nil {
			seen = map[string]bool{}
		}
		last, seen[parent] = parent, true
		if links = append(links, trace.Link{SpanContext: context}); len(links) == maxLinks {
			break
		}
	}
	if len(links) == 1 && 1+same == b.Events {
		only = links[0].SpanContext
	}
	return links, only, unsampled && len(links) == 0
}
