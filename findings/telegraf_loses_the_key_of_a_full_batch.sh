#!/usr/bin/env bash
# Telegraf 1.37.2, output event_hubs (azeventhubs v2.0.2 below); rhea 3.0.5 as the server, 2026-11-30.
# The option partition_key names a tag whose value becomes the partition key. When a key's metrics fill a batch, the batches after it have no key.
# A good guess: every metric with that tag carries its key, so a device's metrics stay in one partition, in order.
# Seen, 60 metrics of one device in one write, batches of at most 2 KB:
#   1 batches with key motor-1, 4 batches with key undefined
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
GOBIN=$dir go install -tags custom,inputs.file,outputs.event_hubs,parsers.influx,serializers.influx \
  github.com/influxdata/telegraf/cmd/telegraf@v1.37.2 >/dev/null 2>&1
for i in $(seq 60); do echo "temperature,device=motor-1 celsius=$i.5,number=${i}i 1700000000000000000"; done > metrics
NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 show > seen & server=$!
for _ in $(seq 50); do [ -s seen ] && break; sleep 0.1; done
cat > telegraf.conf <<CONF
[agent]
  omit_hostname = true
[[inputs.file]]
  files = ["metrics"]
  data_format = "influx"
[[outputs.event_hubs]]
  connection_string = "Endpoint=sb://127.0.0.1:$(head -1 seen);SharedAccessKeyName=k;SharedAccessKey=a2V5;EntityPath=hub;UseDevelopmentEmulator=true"
  partition_key = "device"
  max_message_size = "2KiB"
  data_format = "influx"
CONF
timeout 60 ./telegraf --config telegraf.conf --once >/dev/null 2>&1
got="$(grep -c 'key motor-1$' seen) batches with key motor-1, $(grep -c 'key undefined$' seen) batches with key undefined"
want='1 batches with key motor-1, 4 batches with key undefined'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
