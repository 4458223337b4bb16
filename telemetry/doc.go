// Package telemetry makes a producer's metrics and traces those of OpenTelemetry. It needs OpenTelemetry's API only: which SDK, which exporter and which sampler
// there are, the application decides. One line instruments a producer:
//
//	options := &eventhubs.Options{Trace: telemetry.NewTrace(nil)}
//
// # Metrics
//
// The two that the semantic conventions for messaging ask of a producer, messaging.client.operation.duration and messaging.client.sent.messages, with messaging.system
// "eventhubs"; and this package's own, eventhubs.producer.…, for what a buffer has besides: how full it is, how old its oldest event, who waits for room, what
// has failed and whether it may be stored all the same. The constants Metric… are all of them. docs/operations.md says what each means and what to do about it.
//
// The attribute error.type is what [eventhubs.CodeOf] returns, and _OTHER for an error without a code.
//
// # Traces
//
// Whatever span is in Enqueue's context travels with the event: as the application properties traceparent and tracestate of the W3C, and with [Options.WriteDiagnosticID] as Diagnostic-Id
// too, which older Azure SDKs and Azure Functions read. [Extract] reads either back at the consumer. An event that has traceparent or Diagnostic-Id already keeps what it has.
// Which spans are sampled is passed on unchanged.
//
// Each batch that was tried is one span of the kind client, "send HUB", from its first try to its outcome, linked to the sampled contexts of its events, 128 different ones at the
// most. If all events of the batch come from one span, it is that span's child. Otherwise it begins a trace of its own, of which the sampler
// decides. A batch whose events all have contexts that were not sampled has no span.
//
// # Cost
//
// Metrics cost a few microseconds for each batch; for an event, one look for a span in its context. An event whose context has a span takes 80 bytes more in
// the buffer and on the wire, and costs as much more as they are of it: at 1 KB about a twelfth, plus some half a microsecond
// to write the property and to read it back for the links. [Options.DisablePropagation] saves both. BenchmarkCost measures it at full speed: a few per cent for metrics.
package telemetry
