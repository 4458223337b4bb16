#!/usr/bin/env bash
# @azure/event-hubs 6.0.4 with its blob store 2.0.0 (JavaScript), azure-eventhub 5.15.1 with the
# store 1.2.0 (Python); azurite 3.35.0 as the storage, rhea 3.0.5 as the server, 2026-11-30.
# A processor compares the time of a claim, which the storage wrote, with its own machine's clock.
# If that clock is ahead by the time after which claims expire, all claims of others look expired:
# that is a minute in JavaScript, and three in Python. It takes all partitions, in each round, and
# the others take their share back. Each change reads the events since the last checkpoint again.
# A good guess: a claim is a lease, which the storage alone judges, so clocks do not matter.
# Seen, two processors, 4 partitions, changes of owner in 10 rounds after they have settled:
#   JavaScript, clocks agree:       none
#   JavaScript, one is 90 s ahead:  5 or more
#   Python, clocks agree:           none
#   Python, one is 200 s ahead:     5 or more
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${servers:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
{ npm install --silent --no-audit --no-fund azurite@3.35.0 rhea@3.0.5 @azure/event-hubs@6.0.4 @azure/eventhubs-checkpointstore-blob@2.0.0 \
  @azure/storage-blob@12.32.0; } >/dev/null & installs=$!
{ python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1 azure-eventhub-checkpointstoreblob==1.2.0; } & installs="$installs $!"
for install in $installs; do wait "$install"; done
AZURITE_ACCOUNTS=account:a2V5 node node_modules/azurite/dist/src/blob/main.js --silent --inMemoryPersistence --disableTelemetry --skipApiVersionCheck \
  --blobPort 0 > log 2>&1 & servers=$!
PARTITIONS=4 NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 > port & servers="$servers $!"
for _ in $(seq 100); do grep -aq 'listens on' log && [ -s port ] && break; sleep 0.1; done
export STORAGE="DefaultEndpointsProtocol=http;AccountName=account;AccountKey=a2V5;BlobEndpoint=$(grep -a 'listens on' log | grep -aoE 'http://127.0.0.1:[0-9]+')/account;"
cat > processor.js <<'JS'
const { EventHubConsumerClient } = require('@azure/event-hubs');
const { ContainerClient } = require('@azure/storage-blob');
const { BlobCheckpointStore } = require('@azure/eventhubs-checkpointstore-blob');
const [connection, container, ahead] = process.argv.slice(2);
const now = Date.now;
Date.now = () => now() + Number(ahead) * 1000; // the clock of this process is ahead
const store = new BlobCheckpointStore(new ContainerClient(process.env.STORAGE, container));
const client = new EventHubConsumerClient('$Default', connection, 'hub', store, { loadBalancingOptions: { updateIntervalInMs: 500, strategy: 'greedy' } });
client.subscribe({ processEvents: async () => {}, processError: async e => console.error(e.message) });
JS
cat > watch.js <<'JS'
const { spawn } = require('child_process');
const { ContainerClient } = require('@azure/storage-blob');
const { BlobCheckpointStore } = require('@azure/eventhubs-checkpointstore-blob');
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
const count = n => (n === 0 ? 'none' : n >= 5 ? '5 or more' : String(n));
(async () => {
  for (const ahead of [0, 90]) {
    const container = new ContainerClient(process.env.STORAGE, 'ahead' + ahead);
    await container.create();
    const store = new BlobCheckpointStore(container);
    const start = skew => spawn('node', ['processor.js', process.argv[2], 'ahead' + ahead, skew], { stdio: ['ignore', 'ignore', 'inherit'] });
    const list = () => store.listOwnership('127.0.0.1', 'hub', '$Default');
    const processors = [start(0)];
    while ((await list()).length < 4) await sleep(100);
    const [{ ownerId: first }] = await list();
    processors.push(start(ahead));
    while ((await list()).every(o => o.ownerId === first)) await sleep(100);
    await sleep(2000);
    const owners = new Map();
    let changes = -4; // the first look at each partition
    for (const end = Date.now() + 5000; Date.now() < end; await sleep(100)) {
      for (const o of await list()) if (owners.get(o.partitionId) !== o.ownerId) changes += owners.set(o.partitionId, o.ownerId) ? 1 : 0;
    }
    processors.forEach(p => p.kill());
    console.log(`JavaScript, ${ahead ? `one is ${ahead} s ahead: ` : 'clocks agree:      '}`, count(changes));
  }
})();
JS
cat > client.py <<'PY'
import os, time
from types import SimpleNamespace
from azure.eventhub import LoadBalancingStrategy
from azure.eventhub._eventprocessor import ownership_manager
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
# The part of a consumer client's receive() that chooses its partitions, without the hub.
hub = SimpleNamespace(_address=SimpleNamespace(hostname='127.0.0.1'), eventhub_name='hub', get_partition_ids=lambda: ['0', '1', '2', '3'])
for ahead in 0, 200:
    store = BlobCheckpointStore.from_connection_string(os.environ['STORAGE'], f'python{ahead}')
    store._container_client.create_container()
    managers = {name: ownership_manager.OwnershipManager(hub, '$Default', name, store, 180, LoadBalancingStrategy.GREEDY, None) for name in ('first', 'second')}
    owners, changes = {}, 0
    for round in range(15):
        for name, skew in ('first', 0), ('second', ahead):
            ownership_manager.time = SimpleNamespace(time=lambda: time.time() + skew)  # the clock of this processor
            managers[name].claim_ownership()
            for o in store.list_ownership('127.0.0.1', 'hub', '$Default'):
                changes += round >= 5 and owners.get(o['partition_id']) != o['owner_id']
                owners[o['partition_id']] = o['owner_id']
    print('Python,', f'one is {ahead} s ahead:    ' if ahead else 'clocks agree:          ', 'none' if changes == 0 else '5 or more' if changes >= 5 else changes)
PY
got=$(timeout 60 node watch.js "Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"; timeout 40 v/bin/python client.py)
want='JavaScript, clocks agree:       none
JavaScript, one is 90 s ahead:  5 or more
Python, clocks agree:           none
Python, one is 200 s ahead:     5 or more'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
