#!/usr/bin/env bash
# azure-eventhub 5.15.1 (Python), rhea 3.0.5 as the server (JavaScript), 2026-11-29.
# AMQP 1.0 lets an encoder leave out the null fields at the end of an open, a begin, an attach or a transfer. Python's client needs all of them: against an
# AMQP server that leaves them out every call fails with an IndexError's text, at the very first frame. The JavaScript client, @azure/event-hubs 6.0.4,
# goes on to the attach of $cbs.
# A good guess: a client of a standard protocol talks to whatever speaks it, or says what it misses.
# Seen:
#   JavaScript: the server saw an attach to $cbs
#   Python: EventHubError: list index out of range
set -euo pipefail
dir=$(mktemp -d); trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 >/dev/null
python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1
cat > server.js <<'JS'
const container = require('rhea').create_container({ id: 'server' });
container.sasl_server_mechanisms.enable_anonymous();
for (const e of ['connection_error', 'protocol_error', 'error', 'disconnected']) container.on(e, () => {});
container.on('receiver_open', c => console.log('attach ' + c.receiver.target.address));
const listener = container.listen({ host: '127.0.0.1', port: 0 });
listener.on('listening', () => console.log(listener.address().port));
JS
node server.js > seen & server=$!
for _ in $(seq 50); do [ -s seen ] && break; sleep 0.1; done
export CONNECTION="Endpoint=sb://127.0.0.1:$(head -1 seen);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
got=$(timeout 60 node - <<'JS'
const { EventHubProducerClient } = require('@azure/event-hubs');
const client = new EventHubProducerClient(process.env.CONNECTION, 'hub', { retryOptions: { maxRetries: 0, timeoutInMs: 3000 } });
client.getPartitionIds().catch(() => {}).then(() => process.exit());
JS
grep -q '^attach $cbs' seen && echo 'JavaScript: the server saw an attach to $cbs' || echo 'JavaScript: no attach'
timeout 60 v/bin/python - 2>/dev/null <<'PY'
import os
from azure.eventhub import EventHubProducerClient
client = EventHubProducerClient.from_connection_string(os.environ['CONNECTION'], eventhub_name='hub', retry_total=0)
try:
    client.get_partition_ids()
    print('Python: no error')
except Exception as e:
    print(f'Python: {type(e).__name__}: {str(e).splitlines()[0]}')
PY
)
want='JavaScript: the server saw an attach to $cbs
Python: EventHubError: list index out of range'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
