package telemetry

import (
	"context"
	"encoding/binary"
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
	links, only, unsampled := linksOf(b.TracedBatch)
	if unsampled {
		return
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
	var seen parentSet
	var last eventhubs.TraceParent
	same := 0
	for parent := range b.TraceParents() {
		if !parent.IsSampled() {
			unsampled = true
			continue
		}
		if parent == last || !seen.add(parent) {
			same++
			continue
		}
		if last = parent; seen.count == maxLinks {
			break
		}
	}
	if seen.count > 0 {
		links = make([]trace.Link, seen.count)
	}
	for i := range links {
		links[i].SpanContext = contextOf(seen.parents[i])
	}
	if len(links) == 1 && 1+same == b.Events {
		only = links[0].SpanContext
	}
	return links, only, unsampled && len(links) == 0
}

// A parentSet is a set of up to maxLinks contexts. It allocates nothing.
type parentSet struct {
	parents [maxLinks]eventhubs.TraceParent
	count   int
	places  [4 * maxLinks]uint8 // of a parent in parents, plus one; zero: a free place
}

// add adds a context, unless the set has it. It reports whether it did.
func (s *parentSet) add(parent eventhubs.TraceParent) (added bool) {
	// The ids are random, mostly. Others only take longer.
	hash := binary.LittleEndian.Uint64(parent.SpanID[:]) ^ binary.LittleEndian.Uint64(parent.TraceID[8:])
	for place := (hash * 0x9e3779b97f4a7c15) >> 32; ; place++ {
		at := &s.places[place%uint64(len(s.places))]
		switch {
		case *at == 0:
			s.parents[s.count] = parent
			s.count++
			*at = uint8(s.count)
			return true
		case s.parents[*at-1] == parent:
			return false
		}
	}
}
