// Package telemetry reports a producer's metrics and traces through OpenTelemetry. It needs only
// OpenTelemetry's API. The application chooses the SDK, the exporter and the sampler. One line
// instruments a producer:
//
//	options := &eventhubs.Options{Trace: telemetry.NewTrace(nil)}
//
// # Metrics
//
// The semantic conventions for messaging ask a producer for two metrics:
// messaging.client.operation.duration and messaging.client.sent.messages, with messaging.system
// "eventhubs". This package adds its own, eventhubs.producer.…. They show how full the buffer is,
// how old its oldest event is, and how many callers wait for room. They also count failures, and
// say which failed events may be stored nevertheless. The constants Metric… are all of them. The
// document docs/operations.md says what each means and what to do about it.
//
// The attribute error.type is the result of [eventhubs.CodeOf], or _OTHER for an error without a
// code.
//
// # Traces
//
// The span in Enqueue's context travels with the event, as the W3C's application properties
// traceparent and tracestate. With [Options.WriteDiagnosticID] it also travels as Diagnostic-Id,
// which JavaScript's client, older Azure SDKs and Azure Functions read. [Extract] reads either at
// the consumer, and traceparent first. If JavaScript's client has handed an event on, its
// Diagnostic-Id is newer than the traceparent beside it. An event that already has traceparent or
// Diagnostic-Id keeps it. These properties may be strings or bytes, and their names may have any
// case, since headers of Kafka producers arrive so. The sampling decision is passed on unchanged.
//
// Each batch that was tried is one span of the kind client, "send HUB", from its first try to its
// outcome. It has links to the different sampled contexts of its events, at most 128. If all events
// of the batch come from one span, the batch's span is its child. Otherwise it begins a new trace,
// and the sampler decides about it. A batch has no span if its events have contexts and none of
// them is sampled.
//
// # Cost
//
// Metrics and the span cost about 40 µs for each batch at full speed: the batch has pushed their
// memory out of the processor's caches. Each different context of its events adds a link.
//
// For each event, the package looks for a span in its context, which takes 10 ns. With a span, that
// and the property take 50 ns, and allocate nothing. The property adds 78 bytes to the event in the
// buffer and on the wire, a thirteenth of an event of 1 KB. A tracestate and a Diagnostic-Id
// allocate a string each. [Options.DisablePropagation] saves the cost of each event. At full speed
// the cost is higher: docs/benchmarks.md has it.
package telemetry
