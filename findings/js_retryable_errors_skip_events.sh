#!/usr/bin/env bash
# @azure/event-hubs 6.0.4 (JavaScript); rhea 3.0.5 as the server, 2026-11-30.
# An error thrown by processEvents stops the partition; it is read again from its checkpoint later.
# But if the error has a property retryable that is true, the client goes on with the next batch.
# The errors of the client's own producer have it: busy, timeout, connection lost. So a handler that
# forwards events loses the batch that it could not send, and the next checkpoint passes over it.
# A good guess: what a handler did not process comes again; at least once, whatever it throws.
# Seen, 10 events one by one, the handler checkpoints each, and fails once, at event 5:
#   a plain Error:     handled 0 1 2 3 4 (5 failed) 5 6 7 8 9, checkpoint 9
#   sendBatch is busy: handled 0 1 2 3 4 (5 failed) 6 7 8 9, checkpoint 9
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 >/dev/null
cat > client.js <<'JS'
const { EventHubConsumerClient, EventHubProducerClient } = require('@azure/event-hubs');
const connection = process.argv[2];
// A checkpoint store in memory.
class Store {
  owners = new Map();
  points = new Map();
  async listOwnership() { return [...this.owners.values()].map(o => ({ ...o })); }
  async claimOwnership(wanted) {
    return wanted.map(o => {
      const claimed = { ...o, lastModifiedTimeInMs: Date.now(), etag: String(Math.random()) };
      this.owners.set(o.partitionId, claimed);
      return claimed;
    });
  }
  async listCheckpoints() { return [...this.points.values()]; }
  async updateCheckpoint(point) { this.points.set(point.partitionId, point); }
}
async function run(name, fail) {
  const store = new Store(), handled = [];
  let failed = false, done;
  const end = new Promise(resolve => { done = resolve; });
  const loadBalancingOptions = { updateIntervalInMs: 500, partitionOwnershipExpirationIntervalInMs: 3000 };
  const consumer = new EventHubConsumerClient('$Default', connection, 'hub', store, { loadBalancingOptions });
  const subscription = consumer.subscribe({
    processEvents: async ([event], context) => {
      if (!event) return;
      if (event.sequenceNumber === 5 && !failed) {
        failed = true;
        handled.push('(5 failed)');
        await fail();
      }
      handled.push(event.sequenceNumber);
      await context.updateCheckpoint(event);
      if (event.sequenceNumber === 9) done();
    },
    processError: async () => {},
  }, { startPosition: { offset: '-1' }, maxBatchSize: 1 });
  await end;
  console.log(name.padEnd(18), 'handled', handled.join(' ') + ', checkpoint', store.points.get('0').sequenceNumber);
  await subscription.close();
  await consumer.close();
}
(async () => {
  await run('a plain Error:', async () => { throw new Error('failed'); });
  await run('sendBatch is busy:', async () => {
    const producer = new EventHubProducerClient(connection, 'hub', { retryOptions: { maxRetries: 0 } });
    await producer.sendBatch([{ body: 'forwarded' }]).finally(() => producer.close());
  });
  process.exit();
})();
JS
PARTITIONS=1 EVENTS=10 NODE_PATH="$dir/node_modules" node "$here/server.js" busy 1048576 > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
got=$(timeout 80 node client.js "Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true")
want='a plain Error:     handled 0 1 2 3 4 (5 failed) 5 6 7 8 9, checkpoint 9
sendBatch is busy: handled 0 1 2 3 4 (5 failed) 6 7 8 9, checkpoint 9'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
