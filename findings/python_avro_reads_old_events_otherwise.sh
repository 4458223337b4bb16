#!/usr/bin/env bash
# azure-schemaregistry-avroencoder 1.0.0 over avro 1.12.2 (Python), @azure/schema-registry-avro
# 1.1.0 over avsc 5.7.9 (JavaScript), Linux, 2026-11-30.
# An event of an older schema is read with a newer one, which has a field renamed by an alias, and
# fields with defaults. Python knows no aliases: it takes the renamed field's default for its value.
# It leaves the defaults of logical types as they are, and writes those of bytes as UTF-8. Of an
# enum's own default it knows nothing. Avro leaves aliases to a library, and prescribes the rest.
# A good guess: a field that is in the event has the event's value, in every language.
# Seen, of the event {"temp": 21, "state": "OFF"}:
#   newer schema                              JavaScript              Python
#   celsius, alias temp, default 0            21                      0
#   at, a timestamp, default 0                Date 1970-01-01         int 0
#   key, bytes, default "\u00ff"              Buffer ff               bytes c3bf
#   state without OFF, default "UNKNOWN"      UNKNOWN                 InvalidSchemaError
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check avro==1.12.2 azure-schemaregistry==1.3.0 \
  azure-schemaregistry-avroencoder==1.0.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund avsc@5.7.9 @azure/schema-registry-avro@1.1.0 >/dev/null
cat > schemas.json <<'JSON'
{"older": [{"name": "temp", "type": "int"},
           {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["ON", "OFF"]}}],
 "newer": [
  ["celsius, alias temp, default 0", {"name": "celsius", "aliases": ["temp"], "type": "int", "default": 0}],
  ["at, a timestamp, default 0",
   {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0}],
  ["key, bytes, default \"\\u00ff\"", {"name": "key", "type": "bytes", "default": "\u00ff"}],
  ["state without OFF, default \"UNKNOWN\"", {"name": "state", "type":
    {"type": "enum", "name": "State", "symbols": ["UNKNOWN", "ON"], "default": "UNKNOWN"}}]]}
JSON
cat > finding.py <<'PY'
import json
from types import SimpleNamespace
from azure.schemaregistry.encoder.avroencoder import AvroEncoder, InvalidSchemaError
schemas = json.load(open('schemas.json'))
def record(*fields):
    return json.dumps({'type': 'record', 'name': 'Reading', 'fields': fields})
older = record(*schemas['older'])
class Registry:  # of the older schema
    def get_schema_properties(self, *description, **options):
        return SimpleNamespace(id='1')
    def get_schema(self, schema_id, **options):
        return SimpleNamespace(definition=older)
encoder = AvroEncoder(client=Registry(), group_name='g')
event = encoder.encode({'temp': 21, 'state': 'OFF'}, schema=older)
with open('event', 'wb') as file:
    file.write(event['content'])
for name, field in schemas['newer']:
    try:
        value = encoder.decode(event, readers_schema=record(field))[field['name']]
        if field['name'] != 'celsius':
            value = f'{type(value).__name__} {value.hex() if isinstance(value, bytes) else value}'
    except InvalidSchemaError as e:
        value = type(e).__name__
    print(value)
PY
cat > finding.js <<'JS'
const fs = require('fs');
const { AvroSerializer } = require('@azure/schema-registry-avro');
const { older, newer } = JSON.parse(fs.readFileSync('schemas.json', 'utf8'));
const record = fields => JSON.stringify({ type: 'record', name: 'Reading', fields });
const registry = { getSchema: async id => ({ definition: record(older), properties: { id, format: 'Avro' } }) };
const message = { data: fs.readFileSync('event'), contentType: 'avro/binary+1' };
(async () => {
  for (const [name, field] of newer) {
    const serializer = new AvroSerializer(registry, { groupName: 'g' });
    const value = (await serializer.deserialize(message, { schema: record([field]) }))[field.name];
    const text = value instanceof Date ? 'Date ' + value.toISOString().slice(0, 10)
      : Buffer.isBuffer(value) ? 'Buffer ' + value.toString('hex') : String(value);
    console.log(name.padEnd(42) + text.padEnd(23));
  }
})();
JS
timeout 60 v/bin/python finding.py > python
timeout 60 node finding.js > javascript
got=$(paste -d' ' javascript python)
want=$(cat <<'TEXT'
celsius, alias temp, default 0            21                      0
at, a timestamp, default 0                Date 1970-01-01         int 0
key, bytes, default "\u00ff"              Buffer ff               bytes c3bf
state without OFF, default "UNKNOWN"      UNKNOWN                 InvalidSchemaError
TEXT
)
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
