#!/usr/bin/env bash
# azure-messaging-eventhubs 5.21.5 with its blob checkpoint store 1.21.5 (Java), azure-eventhub
# 5.15.1 with the store 1.2.0 (Python), @azure/event-hubs 6.0.4 with the store 2.0.0 (JavaScript);
# azurite 3.35.0 as the storage, rhea 3.0.5 as the server, 2026-11-30.
# A processor may read the container of checkpoints and may not write it, as with the role Storage
# Blob Data Reader or a token without the right to write. So it cannot store what it claims.
# Java then reads nothing, calls no error handler, and logs the refusal at its lowest level only.
# Python takes all partitions all the same, in every process, and calls no error handler either.
# A good guess: the error handler is told, since it is for errors outside of the event handler.
# Seen, 2 partitions with 3 events each:
#   Java:       0 events, 0 errors handled, still running
#   JavaScript: 0 events, an error handled in each round
#   Python:     the first process takes 0 1, the second process takes 0 1
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${servers:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs</artifactId><version>5.21.5</version></dependency>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs-checkpointstore-blob</artifactId><version>1.21.5</version></dependency>
</dependencies></project>
POM
{ npm install --silent --no-audit --no-fund azurite@3.35.0 rhea@3.0.5 @azure/event-hubs@6.0.4 @azure/eventhubs-checkpointstore-blob@2.0.0 \
  @azure/storage-blob@12.32.0; } >/dev/null & installs=$!
{ python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1 azure-eventhub-checkpointstoreblob==1.2.0; } & installs="$installs $!"
{ mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib; } >/dev/null 2>&1 & installs="$installs $!"
for install in $installs; do wait "$install"; done
AZURITE_ACCOUNTS=account:a2V5 node node_modules/azurite/dist/src/blob/main.js --silent --inMemoryPersistence --disableTelemetry --skipApiVersionCheck \
  --blobPort 0 > log 2>&1 & servers=$!
PARTITIONS=2 EVENTS=3 NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 > port & servers="$servers $!"
for _ in $(seq 100); do grep -aq 'listens on' log && [ -s port ] && break; sleep 0.1; done
export STORAGE="DefaultEndpointsProtocol=http;AccountName=account;AccountKey=a2V5;BlobEndpoint=$(grep -a 'listens on' log | grep -aoE 'http://127.0.0.1:[0-9]+')/account;"
cat > container.js <<'JS'
const { ContainerClient, ContainerSASPermissions } = require('@azure/storage-blob');
const container = new ContainerClient(process.env.STORAGE, 'checkpoints');
container.create().then(() => container.generateSasUrl({ permissions: ContainerSASPermissions.parse('rl'), expiresOn: new Date(Date.now() + 600000) })).then(console.log);
JS
export READ_ONLY; READ_ONLY=$(node container.js)
cat > Finding.java <<'JAVA'
import com.azure.messaging.eventhubs.*;
import com.azure.messaging.eventhubs.checkpointstore.blob.BlobCheckpointStore;
import com.azure.messaging.eventhubs.models.*;
import com.azure.storage.blob.*;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
public class Finding {
    public static void main(String[] a) throws Exception {
        var container = new BlobContainerClientBuilder().endpoint(System.getenv("READ_ONLY")).buildAsyncClient();
        var events = new AtomicInteger();
        var errors = new AtomicInteger();
        var processor = new EventProcessorClientBuilder().connectionString(a[0], "hub").consumerGroup("$Default")
            .checkpointStore(new BlobCheckpointStore(container)).initialPartitionEventPosition(p -> EventPosition.earliest())
            .loadBalancingUpdateInterval(Duration.ofSeconds(1)).processEvent(e -> events.incrementAndGet()).processError(e -> errors.incrementAndGet())
            .buildEventProcessorClient();
        processor.start();
        Thread.sleep(6000);
        System.out.println("Java:       " + events + " events, " + errors + " errors handled, " + (processor.isRunning() ? "still running" : "stopped"));
        System.exit(0);
    }
}
JAVA
cat > client.js <<'JS'
const { EventHubConsumerClient } = require('@azure/event-hubs');
const { ContainerClient } = require('@azure/storage-blob');
const { BlobCheckpointStore } = require('@azure/eventhubs-checkpointstore-blob');
const store = new BlobCheckpointStore(new ContainerClient(process.env.READ_ONLY));
const client = new EventHubConsumerClient('$Default', process.argv[2], 'hub', store, { loadBalancingOptions: { updateIntervalInMs: 500 } });
let events = 0, errors = 0;
client.subscribe({
  processEvents: async list => { events += list.length; },
  processError: async () => {
    if (++errors < 6) return;
    console.log(`JavaScript: ${events} events, an error handled in each round`);
    process.exit();
  },
}, { startPosition: { offset: '-1' } });
JS
cat > client.py <<'PY'
import os
from types import SimpleNamespace
from azure.eventhub import LoadBalancingStrategy
from azure.eventhub._eventprocessor.ownership_manager import OwnershipManager
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
url, token = os.environ['READ_ONLY'].split('?')
account, container = url.rsplit('/', 1)
# The part of a consumer client's receive() that chooses its partitions, without the hub.
hub = SimpleNamespace(_address=SimpleNamespace(hostname='127.0.0.1'), eventhub_name='hub', get_partition_ids=lambda: ['0', '1'])
def takes(owner):
    store = BlobCheckpointStore(account + '?' + token, container)
    return ' '.join(sorted(OwnershipManager(hub, '$Default', owner, store, 180, LoadBalancingStrategy.GREEDY, None).claim_ownership()))
print('Python:     the first process takes', takes('first') + ', the second process takes', takes('second'))
PY
hub="Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
got=$(timeout 60 java -cp 'lib/*' Finding.java "$hub" 2>/dev/null; timeout 30 node client.js "$hub"; timeout 30 v/bin/python client.py 2>/dev/null)
want="Java:       0 events, 0 errors handled, still running
JavaScript: 0 events, an error handled in each round
Python:     the first process takes 0 1, the second process takes 0 1"
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
