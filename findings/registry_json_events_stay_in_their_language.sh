#!/usr/bin/env bash
# azure-schemaregistry 1.3.0 (Python, its JSON encoder), @azure/schema-registry-json 1.0.0
# (JavaScript), Linux, 2026-11-30.
# Both write JSON to an event and the schema's id to its content type, in different forms. Each
# refuses the other's events. Both look a schema up by a name that they take from the schema:
# JavaScript its $id, Python its title. Registered for one of them, the other does not find it.
# The schema below is that of JavaScript's readme in short. Avro events do pass between the two.
# A good guess: one vendor, one service, one format, as for Avro.
# Seen:
#   JavaScript asks for name person, writes application/json+7 {"age":5}
#   Python asks for name Student, writes application/json;serialization=Json+7 {"age":5}
#   JavaScript reads its own: {"age":5}
#   JavaScript reads Python's: Error: Received content of type application/json;serialization=Json
#   Python reads its own: {'age': 5}
#   Python reads JavaScript's: InvalidContentError: Content type application/json+7
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check azure-schemaregistry==1.3.0 jsonschema==4.26.0
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @azure/schema-registry-json@1.0.0 >/dev/null
cat > schema.json <<'JSON'
{"$schema": "http://json-schema.org/draft-04/schema#", "$id": "person", "title": "Student",
 "type": "object", "properties": {"age": {"type": "integer"}}}
JSON
cat > finding.py <<'PY'
import json, sys
from types import SimpleNamespace
from azure.schemaregistry.encoder.jsonencoder import InvalidContentError, JsonSchemaEncoder
schema = open('schema.json').read()
class Registry:  # of this one schema
    def get_schema_properties(self, group, name, definition, format, **options):
        self.asked = name
        return SimpleNamespace(id='7')
    def get_schema(self, schema_id, **options):
        return SimpleNamespace(definition=schema)
registry = Registry()
encoder = JsonSchemaEncoder(client=registry, group_name='g', validate=json.loads(schema)['$schema'])
if sys.argv[1] == 'write':
    event = encoder.encode({'age': 5}, schema=schema)
    print('Python asks for name', registry.asked + ', writes', event['content_type'], event['content'].decode())
else:
    for name, line in zip(['its own', "JavaScript's"], [open('python').read(), open('javascript').read()]):
        content_type, content = line.split()[-2:]
        try:
            print('Python reads', name + ':', encoder.decode({'content': content.encode(), 'content_type': content_type}))
        except InvalidContentError as e:
            print('Python reads', name + ':', type(e).__name__ + ':', str(e).split(' was not')[0])
PY
cat > finding.js <<'JS'
const fs = require('fs');
const { JsonSchemaSerializer } = require('@azure/schema-registry-json');
const definition = fs.readFileSync('schema.json', 'utf8');
let asked;
const registry = {
  getSchemaProperties: async ({ name }) => { asked = name; return { id: '7' }; },
  getSchema: async id => ({ definition, properties: { id, format: 'Json' } }),
};
const serializer = new JsonSchemaSerializer(registry, { groupName: 'g' });
(async () => {
  if (process.argv[2] === 'write') {
    const { contentType, data } = await serializer.serialize({ age: 5 }, definition);
    console.log(`JavaScript asks for name ${asked}, writes ${contentType} ${Buffer.from(data)}`);
    return;
  }
  for (const [name, file] of [['its own', 'javascript'], ["Python's", 'python']]) {
    const [contentType, content] = fs.readFileSync(file, 'utf8').trim().split(' ').slice(-2);
    const result = await serializer.deserialize({ data: Buffer.from(content), contentType })
      .then(JSON.stringify, e => 'Error: ' + e.message.split(' but ')[0]);
    console.log(`JavaScript reads ${name}: ${result}`);
  }
})();
JS
timeout 60 node finding.js write > javascript
timeout 60 v/bin/python finding.py write > python
got=$(cat javascript python; timeout 60 node finding.js read; timeout 60 v/bin/python finding.py read)
want="JavaScript asks for name person, writes application/json+7 {\"age\":5}
Python asks for name Student, writes application/json;serialization=Json+7 {\"age\":5}
JavaScript reads its own: {\"age\":5}
JavaScript reads Python's: Error: Received content of type application/json;serialization=Json
Python reads its own: {'age': 5}
Python reads JavaScript's: InvalidContentError: Content type application/json+7"
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
