#!/usr/bin/env bash
# azeventhubs v2.0.2 with azblob v1.8.3 (Go), @azure/eventhubs-checkpointstore-blob 2.0.0 (JavaScript), azure-eventhub-checkpointstoreblob 1.2.0 (Python);
# azurite 3.35.0 as the storage, 2026-11-29.
# The checkpoint stores of JavaScript and Python put the names of namespace, hub and consumer group into lower case for a blob's name. Go's keeps them as they
# are. If one of them has a capital letter, as "Orders" does, Go sees no checkpoint of theirs and they see none of Go's; there is no error.
# A good guess: one container, one layout: a consumer that is moved to another language goes on where the last one stopped.
# Seen, after each has written a checkpoint for a partition of its own (Python 0, JavaScript 1, Go 2):
#   Python sees 0 1
#   JavaScript sees 0 1
#   Go sees 2
set -euo pipefail
dir=$(mktemp -d); trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund azurite@3.35.0 @azure/event-hubs@6.0.4 @azure/eventhubs-checkpointstore-blob@2.0.0 @azure/storage-blob@12.32.0 >/dev/null
python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1 azure-eventhub-checkpointstoreblob==1.2.0
go mod init finding >/dev/null 2>&1
go get github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2@v2.0.2 github.com/Azure/azure-sdk-for-go/sdk/storage/azblob@v1.8.3 >/dev/null 2>&1
AZURITE_ACCOUNTS=account:a2V5 node node_modules/azurite/dist/src/blob/main.js --silent --inMemoryPersistence --disableTelemetry --skipApiVersionCheck --blobPort 0 > log 2>&1 & server=$!
for _ in $(seq 100); do grep -aq 'listens on' log && break; sleep 0.1; done
export STORAGE="DefaultEndpointsProtocol=http;AccountName=account;AccountKey=a2V5;BlobEndpoint=$(grep -a 'listens on' log | grep -aoE 'http://127.0.0.1:[0-9]+')/account;"
cat > client.py <<'PY'
import os, sys
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
store = BlobCheckpointStore.from_connection_string(os.environ['STORAGE'], 'checkpoints')
if sys.argv[1] == 'write':
    store._container_client.create_container()
    store.update_checkpoint({'fully_qualified_namespace': 'name.servicebus.windows.net', 'eventhub_name': 'Orders', 'consumer_group': '$Default',
                             'partition_id': '0', 'sequence_number': 5, 'offset': '100'})
else:
    print('Python sees', *sorted(c['partition_id'] for c in store.list_checkpoints('name.servicebus.windows.net', 'Orders', '$Default')))
PY
cat > client.js <<'JS'
const { ContainerClient } = require('@azure/storage-blob');
const { BlobCheckpointStore } = require('@azure/eventhubs-checkpointstore-blob');
(async () => {
  const store = new BlobCheckpointStore(new ContainerClient(process.env.STORAGE, 'checkpoints'));
  const hub = { fullyQualifiedNamespace: 'name.servicebus.windows.net', eventHubName: 'Orders', consumerGroup: '$Default' };
  if (process.argv[2] === 'write') await store.updateCheckpoint({ ...hub, partitionId: '1', sequenceNumber: 6, offset: '101' });
  else console.log('JavaScript sees', ...(await store.listCheckpoints(hub.fullyQualifiedNamespace, hub.eventHubName, hub.consumerGroup)).map(c => c.partitionId).sort());
})();
JS
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
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
	ctx := context.Background()
	if os.Args[1] == "write" {
		if err := store.SetCheckpoint(ctx, azeventhubs.Checkpoint{FullyQualifiedNamespace: "name.servicebus.windows.net", EventHubName: "Orders",
			ConsumerGroup: "$Default", PartitionID: "2", SequenceNumber: new(int64(7)), Offset: new("102")}, nil); err != nil {
			panic(err)
		}
		return
	}
	fmt.Print("Go sees")
	for _, c := range must(store.ListCheckpoints(ctx, "name.servicebus.windows.net", "Orders", "$Default", nil)) {
		fmt.Print(" ", c.PartitionID)
	}
	fmt.Println()
}
GO
go mod tidy >/dev/null 2>&1; go build -o go-client .
got=$(for what in write read; do timeout 30 v/bin/python client.py $what; timeout 30 node client.js $what; timeout 30 ./go-client $what; done)
want='Python sees 0 1
JavaScript sees 0 1
Go sees 2'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
