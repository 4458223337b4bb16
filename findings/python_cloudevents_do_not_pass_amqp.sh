#!/usr/bin/env bash
# cloudevents 2.2.0 with azure-eventhub 5.15.1 or python-qpid-proton 0.40.0 (Python),
# cloudevents/sdk-go protocol/amqp/v2 v2.15.2 (Go), Linux, 2026-11-30.
# Python's AMQP binding gives an event's time as a plain int of milliseconds, which no library
# takes for a timestamp. The Event Hubs client refuses it, and each new event has a time. Proton
# sends it as a long. Go's binding does not see the event: it knows the prefix cloudEvents: and
# not cloudEvents_, which the specification prefers. With that prefix it refuses the time.
# From Go to Python: the names of received properties are bytes, and the binding needs text.
# A good guess: two SDKs of one specification exchange an event over AMQP, through Event Hubs too.
# Seen:
#   Python, azure-eventhub, add: ValueError Value supplied for int invalid: 1796040000123
#   Python, Proton: cloudEvents_time is 81, a long (83 would be a timestamp)
#   Go reads Python's event: unknown Message encoding
#   Go reads it with the other prefix: invalid value for time: 1796040000123
#   Go reads it with the other prefix and a timestamp: 2026-11-30T12:00:00.123Z
#   Python reads Go's event from azure-eventhub: TypeError
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0 azure-eventhub==5.15.1 \
  python-qpid-proton==0.40.0
go mod init finding >/dev/null 2>&1
go get github.com/cloudevents/sdk-go/protocol/amqp/v2@v2.15.2 >/dev/null 2>&1
cat > write.py <<'PY'
import datetime
import proton
from azure.eventhub import EventData, EventDataBatch
from cloudevents.core.bindings import amqp
from cloudevents.core.v1.event import CloudEvent
time = datetime.datetime(2026, 11, 30, 12, 0, 0, 123000, datetime.timezone.utc)
assert 'time' in CloudEvent({'specversion': '1.0', 'id': '1', 'source': '/s', 'type': 't'}).get_attributes()
attributes = {'specversion': '1.0', 'id': '1', 'source': '/s', 'type': 't', 'time': time,
              'datacontenttype': 'application/json'}
message = amqp.to_binary_event(CloudEvent(attributes, {'celsius': 20.5}))
event = EventData(message.application_data)
event.content_type = message.properties['content-type']
event.properties = message.application_properties
try:
    EventDataBatch(max_size_in_bytes=1 << 20).add(event)
    print('Python, azure-eventhub, add: no error')
except ValueError as e:
    print('Python, azure-eventhub, add: ValueError', e)
sent = proton.Message(message.application_data, inferred=True, properties=message.application_properties,
                      content_type=message.properties['content-type']).encode()
code = sent[sent.index(b'cloudEvents_time') + len('cloudEvents_time')]
print(f'Python, Proton: cloudEvents_time is {code:x}, a long (83 would be a timestamp)')
with open('python', 'wb') as file:
    file.write(sent)
PY
cat > read.py <<'PY'
from azure.eventhub import EventData
from azure.eventhub._pyamqp._decode import decode_payload
from cloudevents.core.bindings import amqp
received = EventData._from_message(decode_payload(memoryview(open('go', 'rb').read())))
try:
    print('Python reads Go\'s event from azure-eventhub:', amqp.from_amqp_event(amqp.AMQPMessage(
        {'content-type': received.content_type}, received.properties, b''.join(received.body))))
except TypeError as e:
    print('Python reads Go\'s event from azure-eventhub:', type(e).__name__)
PY
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/Azure/go-amqp"
	ceamqp "github.com/cloudevents/sdk-go/protocol/amqp/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	ctx := context.Background()
	raw, err := os.ReadFile("python")
	check(err)
	var m amqp.Message
	check(m.UnmarshalBinary(raw))
	_, err = binding.ToEvent(ctx, ceamqp.NewMessage(&m, nil))
	fmt.Println("Go reads Python's event:", err)

	properties := map[string]any{}
	for name, value := range m.ApplicationProperties {
		properties[strings.Replace(name, "cloudEvents_", "cloudEvents:", 1)] = value
	}
	m.ApplicationProperties = properties
	_, err = binding.ToEvent(ctx, ceamqp.NewMessage(&m, nil))
	fmt.Println("Go reads it with the other prefix:", err)

	properties["cloudEvents:time"] = time.UnixMilli(properties["cloudEvents:time"].(int64))
	event, err := binding.ToEvent(ctx, ceamqp.NewMessage(&m, nil))
	check(err)
	fmt.Println("Go reads it with the other prefix and a timestamp:", event.Time().Format(time.RFC3339Nano))

	var sent amqp.Message
	check(ceamqp.WriteMessage(ctx, binding.ToMessage(event), &sent))
	raw, err = sent.MarshalBinary()
	check(err)
	check(os.WriteFile("go", raw, 0o600))
}
GO
go mod tidy >/dev/null 2>&1
got=$(timeout 60 v/bin/python write.py && timeout 100 go run . && timeout 60 v/bin/python read.py)
want="Python, azure-eventhub, add: ValueError Value supplied for int invalid: 1796040000123
Python, Proton: cloudEvents_time is 81, a long (83 would be a timestamp)
Go reads Python's event: unknown Message encoding
Go reads it with the other prefix: invalid value for time: 1796040000123
Go reads it with the other prefix and a timestamp: 2026-11-30T12:00:00.123Z
Python reads Go's event from azure-eventhub: TypeError"
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
