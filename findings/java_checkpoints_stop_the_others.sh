#!/usr/bin/env bash
# azure-messaging-eventhubs 5.21.5 with its blob checkpoint store 1.21.5 (Java), the blob checkpoint
# stores 2.0.0 for JavaScript and 1.2.0 for Python, azeventhubs v2.0.2 with azblob v1.8.3 (Go);
# azurite 3.35.0 as the storage, rhea 3.0.5 as the server, 2026-11-30.
# EventContext.updateCheckpoint is for handlers of single events. It stores a sequence number and
# no offset. EventBatchContext.updateCheckpoint stores both. Java's processor goes on after either.
# The other languages' stores refuse a checkpoint without an offset, and with it the whole list.
# So their processors start no partition of the group, not even one with a complete checkpoint.
# A good guess: the stores share one format, so a consumer moved to another language goes on.
# Seen, partition 0 checkpointed by a handler of events, partition 1 by a handler of batches:
#   stored:     0 {sequencenumber=9}, 1 {offset=900, sequencenumber=9}
#   Java:       0 at 9, 1 at 9
#   JavaScript: Missing metadata property 'offset'
#   Python:     KeyError('offset')
#   Go:         offset is missing from metadata
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${servers:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
go mod init finding >/dev/null 2>&1
cat > pom.xml <<'POM'
<project><modelVersion>4.0.0</modelVersion><groupId>f</groupId><artifactId>f</artifactId><version>1</version><dependencies>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs</artifactId><version>5.21.5</version></dependency>
<dependency><groupId>com.azure</groupId><artifactId>azure-messaging-eventhubs-checkpointstore-blob</artifactId><version>1.21.5</version></dependency>
</dependencies></project>
POM
{ npm install --silent --no-audit --no-fund azurite@3.35.0 rhea@3.0.5 @azure/event-hubs@6.0.4 @azure/eventhubs-checkpointstore-blob@2.0.0 \
  @azure/storage-blob@12.32.0; } >/dev/null & installs=$!
{ python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1 azure-eventhub-checkpointstoreblob==1.2.0; } & installs="$installs $!"
{ go get github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2/checkpoints@v2.0.2 github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container@v1.8.3; } >/dev/null 2>&1 & installs="$installs $!"
{ mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib; } >/dev/null 2>&1 & installs="$installs $!"
for install in $installs; do wait "$install"; done
AZURITE_ACCOUNTS=account:a2V5 node node_modules/azurite/dist/src/blob/main.js --silent --inMemoryPersistence --disableTelemetry --skipApiVersionCheck \
  --blobPort 0 > log 2>&1 & servers=$!
PARTITIONS=2 EVENTS=10 NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 > port & servers="$servers $!"
for _ in $(seq 100); do grep -aq 'listens on' log && [ -s port ] && break; sleep 0.1; done
export STORAGE="DefaultEndpointsProtocol=http;AccountName=account;AccountKey=a2V5;BlobEndpoint=$(grep -a 'listens on' log | grep -aoE 'http://127.0.0.1:[0-9]+')/account;"
cat > Finding.java <<'JAVA'
import com.azure.messaging.eventhubs.*;
import com.azure.messaging.eventhubs.checkpointstore.blob.BlobCheckpointStore;
import com.azure.messaging.eventhubs.models.*;
import com.azure.storage.blob.*;
import com.azure.storage.blob.models.*;
import java.time.Duration;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
public class Finding {
    public static void main(String[] a) throws Exception {
        var container = new BlobContainerClientBuilder().connectionString(System.getenv("STORAGE")).containerName("checkpoints").buildAsyncClient();
        container.createIfNotExists().block();
        var store = new BlobCheckpointStore(container);
        for (String partition : new String[] {"0", "1"}) {
            var done = new CountDownLatch(1);
            var builder = new EventProcessorClientBuilder().connectionString(a[0], "hub").consumerGroup("$Default").checkpointStore(store)
                .initialPartitionEventPosition(p -> EventPosition.earliest()).loadBalancingUpdateInterval(Duration.ofSeconds(1))
                .loadBalancingStrategy(LoadBalancingStrategy.GREEDY).processError(e -> { });
            if (partition.equals("0")) builder.processEvent(e -> {
                if (!e.getPartitionContext().getPartitionId().equals("0")) return;
                e.updateCheckpoint();
                if (e.getEventData().getSequenceNumber() == 9) done.countDown();
            });
            else builder.processEventBatch(e -> {
                if (!e.getPartitionContext().getPartitionId().equals("1") || e.getEvents().isEmpty()) return;
                e.updateCheckpoint();
                if (e.getEvents().get(e.getEvents().size() - 1).getSequenceNumber() == 9) done.countDown();
            }, 10);
            var processor = builder.buildEventProcessorClient();
            processor.start();
            done.await();
            processor.stop();
        }
        var blobs = container.listBlobs(new ListBlobsOptions().setDetails(new BlobListDetails().setRetrieveMetadata(true))).toStream();
        System.out.println("stored:     " + blobs.filter(b -> b.getName().contains("/checkpoint/"))
            .map(b -> b.getName().replaceAll(".*/", "") + " " + new TreeMap<>(b.getMetadata())).collect(Collectors.joining(", ")));
        System.out.println("Java:       " + store.listCheckpoints("127.0.0.1", "hub", "$default").toStream()
            .map(c -> c.getPartitionId() + " at " + c.getSequenceNumber()).collect(Collectors.joining(", ")));
        System.exit(0);
    }
}
JAVA
cat > client.js <<'JS'
const { ContainerClient } = require('@azure/storage-blob');
const { BlobCheckpointStore } = require('@azure/eventhubs-checkpointstore-blob');
new BlobCheckpointStore(new ContainerClient(process.env.STORAGE, 'checkpoints')).listCheckpoints('127.0.0.1', 'hub', '$default')
  .then(list => list.map(c => `${c.partitionId} at ${c.sequenceNumber}`).join(', '), e => e.message.replace(/ on blob.*/, ''))
  .then(text => console.log('JavaScript: ' + text));
JS
cat > client.py <<'PY'
import os
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
store = BlobCheckpointStore.from_connection_string(os.environ['STORAGE'], 'checkpoints')
try:
    text = ', '.join(f"{c['partition_id']} at {c['sequence_number']}" for c in store.list_checkpoints('127.0.0.1', 'hub', '$default'))
except Exception as e:
    text = repr(e)
print('Python:    ', text)
PY
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2/checkpoints"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	store := must(checkpoints.NewBlobStore(must(container.NewClientFromConnectionString(os.Getenv("STORAGE"), "checkpoints", nil)), nil))
	list, err := store.ListCheckpoints(context.Background(), "127.0.0.1", "hub", "$default", nil)
	fmt.Print("Go:         ")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range list {
		fmt.Print(c.PartitionID, " at ", *c.SequenceNumber, " ")
	}
	fmt.Println()
}
GO
go build -o go-client .
got=$(timeout 60 java -cp 'lib/*' Finding.java "Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true" 2>/dev/null
timeout 30 node client.js; timeout 30 v/bin/python client.py; timeout 30 ./go-client)
want="stored:     0 {sequencenumber=9}, 1 {offset=900, sequencenumber=9}
Java:       0 at 9, 1 at 9
JavaScript: Missing metadata property 'offset'
Python:     KeyError('offset')
Go:         offset is missing from metadata"
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
