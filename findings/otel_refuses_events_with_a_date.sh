#!/usr/bin/env bash
# OpenTelemetry collector contrib v0.145.0, receiver azureeventhub (azeventhubs v2.0.1 below),
# @azure/event-hubs 6.0.4 (JavaScript) as the sender, rhea 3.0.5 as the server, Linux, 2026-11-30.
# Format raw makes a log record of any event, and attributes of its properties. It refuses an event that has a property of
# AMQP's types timestamp or uuid, as a Date of JavaScript or a DateTime or Guid of .NET gives. The event is no log record.
# A good guess: a date becomes text, or the attribute is left out.
# Seen, of the events one, and two with a Date:
#   log records: one
#   failed to unmarshal logs: <Invalid value type time.Time>
# The first build takes some minutes more.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 >/dev/null
cat > send.js <<'JS'
const { EventHubProducerClient } = require('@azure/event-hubs');
(async () => {
  const client = new EventHubProducerClient(process.argv[2], 'hub');
  for (const [body, properties] of [['one', { n: 1 }], ['two', { at: new Date() }]])
    await client.sendBatch([{ body: Buffer.from(body), properties }], { partitionId: '0' });
  process.exit();
})();
JS
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/azureeventhubreceiver"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	factory, ctx := azureeventhubreceiver.NewFactory(), context.Background()
	config := factory.CreateDefaultConfig().(*azureeventhubreceiver.Config)
	config.Connection, config.Format, config.Partition, config.Offset, config.PollRate = os.Args[1], "raw", "0", "-1", 1
	settings := receivertest.NewNopSettings(factory.Type())
	settings.Logger = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), os.Stderr, zap.ErrorLevel))
	records := ""
	next := must(consumer.NewLogs(func(_ context.Context, logs plog.Logs) error {
		records += " " + string(logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Body().Bytes().AsRaw())
		return nil
	}))
	if err := must(factory.CreateLogs(ctx, settings, config, next)).Start(ctx, componenttest.NewNopHost()); err != nil {
		panic(err)
	}
	time.Sleep(8 * time.Second)
	fmt.Println("log records:" + records)
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/open-telemetry/opentelemetry-collector-contrib/receiver/azureeventhubreceiver@v0.145.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1; go build -o receiver .
EVENTS='[[]]' NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
connection="Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true"
timeout 30 node send.js "$connection"
got=$(timeout 30 ./receiver "$connection;EntityPath=hub" 2>log; grep -o 'failed to unmarshal logs: [^"]*' log | sort -u)
want='log records: one
failed to unmarshal logs: <Invalid value type time.Time>'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
