#!/usr/bin/env bash
# avro 1.12.2 (Python; below azure-schemaregistry-avroencoder 1.0.0), fastavro 1.13.1,
# hamba/avro v2.31.0 (Go), Linux, 2026-11-30.
# Event Hubs Capture keeps each property as a union of long, double, string and bytes. avro for
# Python reads such a file right. Written again, as a job does that merges small files, every
# long is a double: of the branches that can hold a value it takes the last, not the first.
# Ids beyond 2^53 change, without an error. The schema registry's encoder writes the same way.
# A good guess: what was read as a long is written as a long; fastavro does so.
# Seen by Go's reader, of an event with the properties id and ratio:
#   captured            id int64 9007199254740993, ratio float64 0.5
#   merged by fastavro  id int64 9007199254740993, ratio float64 0.5
#   merged by avro      id float64 9007199254740992, ratio float64 0.5
# Seen by the encoder of the schema registry itself, of the id above as ["null", "long", "double"]:
#   9007199254740992.0
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check avro==1.12.2 fastavro==1.13.1 \
  azure-schemaregistry==1.3.0 azure-schemaregistry-avroencoder==1.0.0
go mod init finding >/dev/null 2>&1
go get github.com/hamba/avro/v2@v2.31.0 >/dev/null 2>&1
cat > write.py <<'PY'
import json
from types import SimpleNamespace
import avro.schema, fastavro
from avro.datafile import DataFileReader, DataFileWriter
from avro.io import DatumReader, DatumWriter
from azure.schemaregistry.encoder.avroencoder import AvroEncoder
values = {'type': 'map', 'values': ['long', 'double', 'string', 'bytes']}
types = {'SequenceNumber': 'long', 'Offset': 'string', 'EnqueuedTimeUtc': 'string',
         'SystemProperties': values, 'Properties': values, 'Body': ['null', 'bytes']}
capture = {'type': 'record', 'name': 'EventData', 'namespace': 'Microsoft.ServiceBus.Messaging',
           'fields': [{'name': name, 'type': kind} for name, kind in types.items()]}
id = 2 ** 53 + 1
event = {'SequenceNumber': 1, 'Offset': '0', 'EnqueuedTimeUtc': '11/30/2026 12:00:00 PM',
         'SystemProperties': {}, 'Properties': {'id': id, 'ratio': 0.5}, 'Body': b'x'}
with open('captured', 'wb') as file:
    fastavro.writer(file, capture, [event])
with open('captured', 'rb') as file, open('fastavro', 'wb') as merged:
    fastavro.writer(merged, capture, list(fastavro.reader(file)))
reader = DataFileReader(open('captured', 'rb'), DatumReader())
merged = DataFileWriter(open('avro', 'wb'), DatumWriter(), avro.schema.parse(json.dumps(capture)))
for read in reader:
    assert read == event
    merged.append(read)
merged.close()

optional = {'type': 'record', 'name': 'R', 'fields': [{'name': 'id', 'type': ['null', 'long', 'double']}]}
class Registry:  # of this one schema
    def get_schema_properties(self, *description, **options):
        return SimpleNamespace(id='1')
    def get_schema(self, schema_id, **options):
        return SimpleNamespace(definition=json.dumps(optional))
encoder = AvroEncoder(client=Registry(), group_name='g')
encoded = encoder.encode({'id': id}, schema=json.dumps(optional))
with open('encoder', 'w') as file:
    print(encoder.decode(encoded)['id'], file=file)
PY
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/hamba/avro/v2/ocf"
)

// digits shows a number without an exponent.
func digits(number any) string {
	if f, ok := number.(float64); ok {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprint(number)
}

func main() {
	for _, f := range []struct{ name, path string }{
		{"captured", "captured"}, {"merged by fastavro", "fastavro"}, {"merged by avro", "avro"},
	} {
		file, err := os.Open(f.path)
		if err != nil {
			panic(err)
		}
		events, err := ocf.NewDecoder(file)
		if err != nil {
			panic(err)
		}
		for events.HasNext() {
			var event struct{ Properties map[string]any }
			if err := events.Decode(&event); err != nil {
				panic(err)
			}
			id, ratio := event.Properties["id"], event.Properties["ratio"]
			fmt.Printf("%-18s  id %T %s, ratio %T %v\n", f.name, id, digits(id), ratio, ratio)
		}
	}
}
GO
go mod tidy >/dev/null 2>&1
timeout 60 v/bin/python write.py
got=$(timeout 100 go run . && cat encoder)
want='captured            id int64 9007199254740993, ratio float64 0.5
merged by fastavro  id int64 9007199254740993, ratio float64 0.5
merged by avro      id float64 9007199254740992, ratio float64 0.5
9007199254740992.0'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
