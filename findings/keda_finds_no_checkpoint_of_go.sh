#!/usr/bin/env bash
# KEDA v2.21.0 (its package pkg/scalers/azure), azeventhubs v2.0.2 with azblob v1.8.3 (Go),
# @azure/eventhubs-checkpointstore-blob 2.0.0 (JavaScript); azurite 3.35.0 as the storage, Linux,
# 2026-11-30.
# KEDA scales consumers by their lag, which it counts from their checkpoints. Its checkpointStrategy
# blobMetadata, for today's layout, puts the consumer group into lower case for a checkpoint's path,
# and keeps the hub's name. Go's store keeps both, JavaScript's lowers both. Its goSdk reads the
# layout of an earlier Go client. So with either strategy KEDA finds no checkpoint of a Go consumer
# in $Default. It finds none of JavaScript's in a hub whose name has a capital letter. It then
# counts every event that the hub still holds, however far the consumers are.
# A good guess: goSdk finds what Go's client writes, and blobMetadata what every client of today
# writes.
# Seen, hub and group, each with a checkpoint at 7:
#   orders $Default:  goSdk: Go BlobNotFound; blobMetadata: Go BlobNotFound, JavaScript 7
#   orders workers:   goSdk: Go BlobNotFound; blobMetadata: Go 7, JavaScript 7
#   Orders $Default:  goSdk: Go BlobNotFound; blobMetadata: Go BlobNotFound, JavaScript BlobNotFound
#   Orders workers:   goSdk: Go BlobNotFound; blobMetadata: Go 7, JavaScript BlobNotFound
# The first build of KEDA's package takes some minutes more.
set -euo pipefail
dir=$(mktemp -d); trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund azurite@3.35.0 @azure/event-hubs@6.0.4 @azure/eventhubs-checkpointstore-blob@2.0.0 @azure/storage-blob@12.32.0 >/dev/null
AZURITE_ACCOUNTS=account:a2V5 node node_modules/azurite/dist/src/blob/main.js --silent --inMemoryPersistence --disableTelemetry --skipApiVersionCheck --blobPort 0 > log 2>&1 & server=$!
for _ in $(seq 100); do grep -aq 'listens on' log && break; sleep 0.1; done
export STORAGE="DefaultEndpointsProtocol=http;AccountName=account;AccountKey=a2V5;BlobEndpoint=$(grep -a 'listens on' log | grep -aoE 'http://127.0.0.1:[0-9]+')/account;"
cat > client.js <<'JS'
const { ContainerClient } = require('@azure/storage-blob');
const { BlobCheckpointStore } = require('@azure/eventhubs-checkpointstore-blob');
const [eventHubName, consumerGroup, container] = process.argv.slice(2);
(async () => {
  const client = new ContainerClient(process.env.STORAGE, container);
  await client.create();
  await new BlobCheckpointStore(client).updateCheckpoint({ fullyQualifiedNamespace: 'name.servicebus.windows.net', eventHubName, consumerGroup,
    partitionId: '0', sequenceNumber: 7, offset: '100' });
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
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/kedacore/keda/v2/pkg/scalers/azure"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	what, hub, group, name, strategy := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	ctx := context.Background()
	if what == "write" {
		client := must(container.NewClientFromConnectionString(os.Getenv("STORAGE"), name, nil))
		must(client.Create(ctx, nil))
		if err := must(checkpoints.NewBlobStore(client, nil)).SetCheckpoint(ctx, azeventhubs.Checkpoint{
			FullyQualifiedNamespace: "name.servicebus.windows.net", EventHubName: hub, ConsumerGroup: group, PartitionID: "0",
			SequenceNumber: new(int64(7)), Offset: new("100")}, nil); err != nil {
			panic(err)
		}
		return
	}
	found, err := azure.GetCheckpointFromBlobStorage(ctx, must(azblob.NewClientFromConnectionString(os.Getenv("STORAGE"), nil)), azure.EventHubInfo{
		EventHubConnection:    "Endpoint=sb://name.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=a2V5;EntityPath=" + hub,
		EventHubConsumerGroup: group, BlobContainer: name, CheckpointStrategy: strategy}, "0")
	switch {
	case bloberror.HasCode(err, bloberror.BlobNotFound):
		fmt.Print("BlobNotFound")
	case err != nil:
		fmt.Print(err)
	default:
		fmt.Print(found.SequenceNumber)
	}
}
GO
go mod init finding >/dev/null 2>&1
go mod edit -replace github.com/nexus-rpc/nexus-proto-annotations@v0.1.0=github.com/nexus-rpc/nexus-proto-annotations@v0.1.1-0.20260629224316-835bd8d49cb4
go get github.com/kedacore/keda/v2/pkg/scalers/azure@v2.21.0 github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2@v2.0.2 \
  github.com/Azure/azure-sdk-for-go/sdk/storage/azblob@v1.8.3 >/dev/null 2>&1
go build -o keda .
got=$(i=0; for hub in orders Orders; do for group in '$Default' workers; do
  i=$((i+1)); timeout 30 node client.js $hub "$group" javascript$i; timeout 30 ./keda write $hub "$group" go$i -
  find() { timeout 30 ./keda find $hub "$group" "$@"; }
  printf '%-17s goSdk: Go %s; blobMetadata: Go %s, JavaScript %s\n' "$hub $group:" "$(find go$i goSdk)" "$(find go$i blobMetadata)" \
    "$(find javascript$i blobMetadata)"
done; done)
want='orders $Default:  goSdk: Go BlobNotFound; blobMetadata: Go BlobNotFound, JavaScript 7
orders workers:   goSdk: Go BlobNotFound; blobMetadata: Go 7, JavaScript 7
Orders $Default:  goSdk: Go BlobNotFound; blobMetadata: Go BlobNotFound, JavaScript BlobNotFound
Orders workers:   goSdk: Go BlobNotFound; blobMetadata: Go 7, JavaScript BlobNotFound'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
