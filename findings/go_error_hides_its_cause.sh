#!/usr/bin/env bash
# azeventhubs v2.0.2 with go-amqp v1.7.0 (Go); rhea 3.0.5 as the server, 2026-11-29.
# A batch that is refused with amqp:unauthorized-access ends as an *azeventhubs.Error. The *amqp.Error with the condition is in its text, and errors.As does
# not find it, since Error has no Unwrap. With com.microsoft:server-busy and others it is found.
# A good guess: errors.As finds what an error was made of.
# Seen:
#   *azeventhubs.Error: true, says amqp:unauthorized-access: true, errors.As finds *amqp.Error: false
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${servers:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
go mod init finding >/dev/null 2>&1
go get github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2@v2.0.2 github.com/Azure/go-amqp@v1.7.0 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
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
	err := client.SendEventDataBatch(ctx, batch, nil)
	if err == nil {
		panic("the batch was not refused")
	}
	var outer *azeventhubs.Error
	var cause *amqp.Error
	fmt.Printf("*azeventhubs.Error: %v, says amqp:unauthorized-access: %v, errors.As finds *amqp.Error: %v\n", errors.As(err, &outer),
		strings.Contains(err.Error(), "amqp:unauthorized-access"), errors.As(err, &cause))
}
GO
go mod tidy >/dev/null 2>&1; go build -o go-client .
NODE_PATH="$dir/node_modules" node "$here/server.js" unauthorized 1048576 > port & servers=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
got=$(timeout 25 ./go-client "Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true")
want='*azeventhubs.Error: true, says amqp:unauthorized-access: true, errors.As finds *amqp.Error: false'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
