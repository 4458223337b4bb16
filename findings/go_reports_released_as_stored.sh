#!/usr/bin/env bash
# azeventhubs v2.0.2 with go-amqp v1.7.0 (Go), @azure/event-hubs 6.0.4 (JavaScript); rhea 3.0.5 as the server, 2026-11-29.
# A server that answers a message with released or modified has not taken it. Go's SendEventDataBatch returns nil then; JavaScript's rejects its promise.
# A good guess: only accepted is success.
# Seen:
#   accepted: Go nil, JavaScript sent
#   released: Go nil, JavaScript SendOperationFailedError
#   modified: Go nil, JavaScript SendOperationFailedError
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${servers:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 >/dev/null
go mod init finding >/dev/null 2>&1
go get github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2@v2.0.2 github.com/Azure/go-amqp@v1.7.0 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	client := must(azeventhubs.NewProducerClientFromConnectionString(os.Args[1], "hub", nil))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	batch := must(client.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: new("1")}))
	if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte("x")}, nil); err != nil {
		panic(err)
	}
	if err := client.SendEventDataBatch(ctx, batch, nil); err != nil {
		fmt.Print("Go ", err)
		return
	}
	fmt.Print("Go nil")
}
GO
go mod tidy >/dev/null 2>&1; go build -o go-client .
cat > client.js <<'JS'
const { EventHubProducerClient } = require('@azure/event-hubs');
(async () => {
  const client = new EventHubProducerClient(process.argv[2], 'hub', { retryOptions: { maxRetries: 0 } });
  const batch = await client.createBatch({ partitionId: '1' });
  batch.tryAdd({ body: Buffer.from('x') });
  process.stdout.write('JavaScript ' + await client.sendBatch(batch).then(() => 'sent', e => e.code));
  process.exit();
})();
JS
got=$(for outcome in accepted released modified; do
  NODE_PATH="$dir/node_modules" node "$here/server.js" $outcome 1048576 > port & server=$!
  for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
  connection="Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
  echo "$outcome: $(timeout 25 ./go-client "$connection"), $(timeout 25 node client.js "$connection")"
  kill $server; : > port
done)
want='accepted: Go nil, JavaScript sent
released: Go nil, JavaScript SendOperationFailedError
modified: Go nil, JavaScript SendOperationFailedError'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
