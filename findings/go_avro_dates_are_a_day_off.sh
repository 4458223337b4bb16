#!/usr/bin/env bash
# hamba/avro v2.31.0, linkedin/goavro v2.15.0 (Go), azure-schemaregistry-avroencoder 1.0.0 over
# avro 1.12.2 (Python, the reader), Linux, 2026-11-30.
# Both of Go's Avro libraries make a date of a time.Time by its seconds since 1970 in UTC, divided
# towards zero. So it is not the date that the time shows. East of Greenwich a midnight is the day
# before. Before 1970 any time but midnight in UTC is the day after.
# A good guess: the date is the Year, Month and Day of the time, as its String says.
# Seen (the time in Go, and the date that Python reads in both events):
#   2000-06-01 00:00 in UTC           2000-06-01
#   2000-06-01 00:00 in Berlin        2000-05-31
#   2000-06-01 00:00 in New York      2000-06-01
#   1950-06-01 00:00 in UTC           1950-06-01
#   1950-06-01 12:00 in UTC           1950-06-02
#   1950-06-01 00:00 in New York      1950-06-02
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check avro==1.12.2 azure-schemaregistry==1.3.0 \
  azure-schemaregistry-avroencoder==1.0.0
go mod init finding >/dev/null 2>&1
go get github.com/hamba/avro/v2@v2.31.0 github.com/linkedin/goavro/v2@v2.15.0 >/dev/null 2>&1
cat > schema.json <<'JSON'
{"type": "record", "name": "Person", "fields":
  [{"name": "born", "type": {"type": "int", "logicalType": "date"}}]}
JSON
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"time"
	_ "time/tzdata"

	"github.com/hamba/avro/v2"
	"github.com/linkedin/goavro/v2"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	text := string(must(os.ReadFile("schema.json")))
	schema, codec := avro.MustParse(text), must(goavro.NewCodec(text))
	for _, t := range []struct {
		clock, zone, name string
	}{
		{"2000-06-01 00:00", "UTC", "UTC"},
		{"2000-06-01 00:00", "Europe/Berlin", "Berlin"},
		{"2000-06-01 00:00", "America/New_York", "New York"},
		{"1950-06-01 00:00", "UTC", "UTC"},
		{"1950-06-01 12:00", "UTC", "UTC"},
		{"1950-06-01 00:00", "America/New_York", "New York"},
	} {
		born := must(time.ParseInLocation("2006-01-02 15:04", t.clock, must(time.LoadLocation(t.zone))))
		person := map[string]any{"born": born}
		fmt.Printf("%s in %s\t%x\t%x\n", t.clock, t.name,
			must(avro.Marshal(schema, person)), must(codec.BinaryFromNative(nil, person)))
	}
}
GO
go mod tidy >/dev/null 2>&1
cat > read.py <<'PY'
import sys
from types import SimpleNamespace
from azure.schemaregistry.encoder.avroencoder import AvroEncoder
class Registry:  # of this one schema
    get_schema_properties = None
    def get_schema(self, schema_id, **options):
        return SimpleNamespace(definition=open('schema.json').read())
encoder = AvroEncoder(client=Registry())
for line in sys.stdin:
    time, *events = line.rstrip('\n').split('\t')
    dates = {str(encoder.decode({'content': bytes.fromhex(event), 'content_type': 'avro/binary+1'})['born'])
             for event in events}
    print(f'{time:33}', ' or '.join(sorted(dates)))
PY
timeout 100 go run . > events
got=$(timeout 60 v/bin/python read.py < events)
want='2000-06-01 00:00 in UTC           2000-06-01
2000-06-01 00:00 in Berlin        2000-05-31
2000-06-01 00:00 in New York      2000-06-01
1950-06-01 00:00 in UTC           1950-06-01
1950-06-01 12:00 in UTC           1950-06-02
1950-06-01 00:00 in New York      1950-06-02'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
