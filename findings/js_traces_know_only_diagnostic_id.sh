#!/usr/bin/env bash
# @azure/event-hubs 6.0.4 with @azure/opentelemetry-instrumentation-azure-sdk 1.0.0 (JavaScript),
# azure-eventhub 5.15.1 (Python), Linux, 2026-11-30.
# OpenTelemetry carries a trace in traceparent, and Python and Java write this property, too.
# JavaScript writes and reads the older Diagnostic-Id alone. It does not see a traceparent, nor
# replace it: an event that JavaScript hands on belongs to two traces, and a reader picks one.
# A good guess: under OpenTelemetry an event's trace is its traceparent, in every language.
# Seen (A is the trace of the first sender, B that of a span in JavaScript):
#   sent with a traceparent of A  traceparent=A                  Python: A, JavaScript: none
#   handed on by JavaScript       traceparent=A Diagnostic-Id=B  Python: A, JavaScript: B
#   new from JavaScript           Diagnostic-Id=B                Python: B, JavaScript: B
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 \
  @azure/opentelemetry-instrumentation-azure-sdk@1.0.0 @opentelemetry/api@1.9.1 \
  @opentelemetry/instrumentation@0.211.0 @opentelemetry/sdk-trace-node@2.12.1 >/dev/null
cat > finding.js <<'JS'
const { NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');
const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { createAzureSdkInstrumentation } = require('@azure/opentelemetry-instrumentation-azure-sdk');
new NodeTracerProvider().register();
registerInstrumentations({ instrumentations: [createAzureSdkInstrumentation()] });
const { trace, context } = require('@opentelemetry/api');
const rhea = require('rhea');
const library = './node_modules/@azure/event-hubs/dist/commonjs/';
const { EventDataBatchImpl } = require(library + 'eventDataBatch.js');
const { fromRheaMessage, toRheaMessage } = require(library + 'eventData.js');
const { extractSpanContextFromEventData } = require(library + 'diagnostics/instrumentEventData.js');
const A = '0af7651916cd43dd8448eb211c80319c';
const span = trace.getTracer('finding').startSpan('work');
const letter = id => ({ [A]: 'A', [span.spanContext().traceId]: 'B' })[id] ?? id;
/** The bytes of the event as a batch holds it. */
const add = event => {
  const batch = new EventDataBatchImpl({ config: { host: 'host', entityPath: 'hub' } }, 1 << 20, false);
  context.with(trace.setSpan(context.active(), span), () => batch.tryAdd(event));
  return rhea.message.decode(batch._generateMessage()).body.content;
};
const first = () => ({ body: 'x', properties: { traceparent: `00-${A}-b7ad6b7169203331-01` } });
const events = { 'sent with a traceparent of A': rhea.message.encode(toRheaMessage(first())),
  'handed on by JavaScript': add(first()), 'new from JavaScript': add({ body: 'x' }) };
for (const [name, bytes] of Object.entries(events)) {
  const event = fromRheaMessage(rhea.message.decode(bytes), true);
  const linked = extractSpanContextFromEventData(event); // as the consumer does
  const properties = Object.entries(event.properties).map(([k, v]) => k + '=' + letter(v.split('-')[1])).join(' ');
  console.log([name, bytes.toString('hex'), span.spanContext().traceId, properties,
    linked ? letter(trace.getSpanContext(linked).traceId) : 'none'].join('\t'));
}
JS
cat > finding.py <<'PY'
import sys
from azure.eventhub import EventData
from azure.eventhub._pyamqp._decode import decode_payload
from azure.eventhub._tracing import get_span_links_from_received_events
for line in sys.stdin:
    name, message, b, properties, javascript = line.rstrip('\n').split('\t')
    event = EventData._from_message(decode_payload(memoryview(bytes.fromhex(message))))
    [link] = get_span_links_from_received_events([event])
    python = {'0af7651916cd43dd8448eb211c80319c': 'A', b: 'B'}[link.headers['traceparent'].split('-')[1]]
    print(f'{name:29} {properties:30} Python: {python}, JavaScript: {javascript}')
PY
timeout 60 node finding.js > events
got=$(timeout 60 v/bin/python finding.py < events)
want='sent with a traceparent of A  traceparent=A                  Python: A, JavaScript: none
handed on by JavaScript       traceparent=A Diagnostic-Id=B  Python: A, JavaScript: B
new from JavaScript           Diagnostic-Id=B                Python: B, JavaScript: B'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
