#!/usr/bin/env bash
# azure-core 1.41.0 and azure-eventhub 5.15.1 (Python), azcore v1.24.0 (Go), Linux, 2026-11-30.
# Go's CloudEvent writes its time with the offset of its time zone, as RFC 3339 allows. Python's
# CloudEvent.from_json takes an Event Hubs event, and reads only the first digit of the offset's
# hours: +02:00 and -08:00 become +00:00, +10:00 becomes +01:00. Nothing is raised.
# A good guess: the time of an event is one instant, in every language and every zone.
# Seen (how late the instant is that Python gives):
#   UTC, 2026-11-30T12:00:00Z                  0.0 h
#   Berlin, 2026-11-30T12:00:00+01:00          1.0 h
#   New York, 2026-11-30T12:00:00-05:00       -5.0 h
#   India, 2026-11-30T12:00:00+05:30           5.0 h
#   Brisbane, 2026-11-30T12:00:00+10:00        9.0 h
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check azure-core==1.41.0 azure-eventhub==5.15.1
go mod init finding >/dev/null 2>&1
go get github.com/Azure/azure-sdk-for-go/sdk/azcore@v1.24.0 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
)

func main() {
	for _, zone := range []struct {
		name    string
		minutes int
	}{{"UTC", 0}, {"Berlin", 60}, {"New York", -300}, {"India", 330}, {"Brisbane", 600}} {
		at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.FixedZone("", zone.minutes*60))
		e, err := messaging.NewCloudEvent("/meter", "reading", zone.name, &messaging.CloudEventOptions{Time: &at})
		if err != nil {
			panic(err)
		}
		text, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}
GO
go mod tidy >/dev/null 2>&1
timeout 100 go run . > events
cat > read.py <<'PY'
import datetime, json, sys
from azure.core.messaging import CloudEvent
from azure.eventhub import EventData
for line in sys.stdin:
    text = json.loads(line)['time']
    instant = datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))
    event = CloudEvent.from_json(EventData(line))
    late = (event.time - instant).total_seconds() / 3600
    print(f'{event.data + ", " + text:40} {late:5.1f} h')
PY
got=$(timeout 60 v/bin/python read.py < events)
want='UTC, 2026-11-30T12:00:00Z                  0.0 h
Berlin, 2026-11-30T12:00:00+01:00          1.0 h
New York, 2026-11-30T12:00:00-05:00       -5.0 h
India, 2026-11-30T12:00:00+05:30           5.0 h
Brisbane, 2026-11-30T12:00:00+10:00        9.0 h'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
