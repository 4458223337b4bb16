#!/usr/bin/env bash
# azeventhubs v2.0.2 (Go), @azure/event-hubs 6.0.4 (JavaScript); rhea 3.0.5 as the server,
# 2026-11-30.
# A consumer starts at "latest", the default, and loses its link before its first event. The client
# attaches again by itself, and asks for "latest" again. What came in between is lost silently.
# After its first event a client asks for what follows that event, and nothing is lost.
# JavaScript waits for 30 s before it attaches again, unless retryDelayInMs is set.
# A good guess: a client that gets its link back by itself goes on where the consumer was.
# Seen; one event comes while the link is lost, one after it, and in the other case one before it:
#   Go, quiet partition:          read 1
#   Go, one event before:         read 0 1 2
#   JavaScript, quiet partition:  read 1
#   JavaScript, one event before: read 0 1 2
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
go mod init finding >/dev/null 2>&1
{ npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5; } >/dev/null & installs=$!
{ go get github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2@v2.0.2; } >/dev/null 2>&1 & installs="$installs $!"
for install in $installs; do wait "$install"; done
# Each client reads partition 0 from latest, up to the sequence number of its second argument.
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	client := must(azeventhubs.NewConsumerClientFromConnectionString(os.Args[1], "hub", "$Default", nil))
	partition := must(client.NewPartitionClient("0", nil))
	for {
		event := must(partition.ReceiveEvents(context.Background(), 1, nil))[0]
		fmt.Print(" ", event.SequenceNumber)
		if fmt.Sprint(event.SequenceNumber) == os.Args[2] {
			return
		}
	}
}
GO
go build -o go-client .
cat > client.js <<'JS'
const { EventHubConsumerClient } = require('@azure/event-hubs');
const [connection, last] = process.argv.slice(2);
const client = new EventHubConsumerClient('$Default', connection, 'hub', { retryOptions: { retryDelayInMs: 1000 } });
client.subscribe('0', {
  processEvents: async ([event]) => {
    if (!event) return;
    process.stdout.write(` ${event.sequenceNumber}`);
    if (String(event.sequenceNumber) === last) process.exit();
  },
  processError: async () => {},
});
JS
attached() { for _ in $(seq 200); do [ "$(grep -c consumer "$1")" = "$2" ] && break; sleep 0.1; done; sleep 0.5; }
run() { # name, number of events before the loss, client
  local name=$1 before=$2 client; shift 2
  PARTITIONS=1 NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 show > seen & server=$!
  for _ in $(seq 50); do [ -s seen ] && break; sleep 0.1; done
  timeout 25 "$@" "Endpoint=sb://127.0.0.1:$(head -1 seen);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true" $((before + 1)) > read & client=$!
  attached seen 1
  [ "$before" = 0 ] || { kill -HUP $server; sleep 1; }
  kill -USR2 $server
  attached seen 2
  kill -HUP $server
  wait $client || true
  kill $server; wait $server 2>/dev/null || true
  printf '%-29s read%s\n' "$name" "$(cat read)"; : > seen
}
got=$(run 'Go, quiet partition:' 0 ./go-client; run 'Go, one event before:' 1 ./go-client
run 'JavaScript, quiet partition:' 0 node client.js; run 'JavaScript, one event before:' 1 node client.js)
want='Go, quiet partition:          read 1
Go, one event before:         read 0 1 2
JavaScript, quiet partition:  read 1
JavaScript, one event before: read 0 1 2'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
