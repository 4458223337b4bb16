#!/usr/bin/env bash
# @azure/event-hubs 6.0.4, @azure/schema-registry-avro 1.1.0, @azure/schema-registry-json 1.0.0,
# rhea 3.0.5 (JavaScript), Linux, 2026-11-30.
# The serializers of the schema registry read an event through createEventDataAdapter, of the same
# vendor. By default the consumer has parsed the body as JSON, where its bytes allow. The adapter
# then takes the values of the object for the bytes of the event. So JSON events fail, or silently
# become others. Avro events fail where their bytes happen to be JSON: a score of 24 is "0", and a
# string of 5 digits comes after a line feed. The readmes of the packages name no option for it.
# A good guess: serializer, adapter and consumer fit; what one writes the other reads.
# Seen, with the consumer's defaults:
#   JSON {"hour":14,"minute":30} -> error: Json deserialization failed
#   JSON {"hour":50,"minute":51} -> 23
#   JSON {"min":91,"max":93} -> []
#   Avro {"score":42} -> {"score":42}
#   Avro {"score":24} -> error: The first argument must be of type string
#   Avro {"postcode":"9021"} -> {"postcode":"9021"}
#   Avro {"postcode":"90210"} -> error: The first argument must be of type string
# Seen, with skipParsingBodyAsJson: all are read as they were written.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 \
  @azure/schema-registry-avro@1.1.0 @azure/schema-registry-json@1.0.0 >/dev/null
cat > finding.js <<'JS'
const rhea = require('rhea');
const { createEventDataAdapter } = require('@azure/event-hubs');
const { AvroSerializer } = require('@azure/schema-registry-avro');
const { JsonSchemaSerializer } = require('@azure/schema-registry-json');
const { fromRheaMessage, toRheaMessage } = require('./node_modules/@azure/event-hubs/dist/commonjs/eventData.js');
// A registry of one schema.
const registry = (format, definition) => ({
  getSchemaProperties: async () => ({ id: '1' }),
  getSchema: async id => ({ definition, properties: { id, format } }),
});
const formats = {
  JSON: [JsonSchemaSerializer, 'Json', () => ({ $id: 'r', type: 'object' })],
  Avro: [AvroSerializer, 'Avro', value => ({ type: 'record', name: 'R', fields: Object.keys(value).map(
    name => ({ name, type: typeof value[name] === 'number' ? 'int' : 'string' })) })],
};
const cases = [['JSON', { hour: 14, minute: 30 }], ['JSON', { hour: 50, minute: 51 }], ['JSON', { min: 91, max: 93 }],
  ['Avro', { score: 42 }], ['Avro', { score: 24 }], ['Avro', { postcode: '9021' }], ['Avro', { postcode: '90210' }]];
(async () => {
  for (const skipParsingBodyAsJson of [false, true]) {
    let right = 0;
    for (const [format, value] of cases) {
      const [Serializer, name, schemaOf] = formats[format];
      const schema = JSON.stringify(schemaOf(value));
      const options = { groupName: 'g', messageAdapter: createEventDataAdapter() };
      const serializer = new Serializer(registry(name, schema), options);
      const sent = rhea.message.encode(toRheaMessage(await serializer.serialize(value, schema)));
      const received = fromRheaMessage(rhea.message.decode(sent), skipParsingBodyAsJson); // as the consumer does
      const result = await serializer.deserialize(received).then(JSON.stringify,
        e => 'error: ' + e.message.match(/^(Json deserialization failed|.* must be of type string)/)[0]);
      if (result === JSON.stringify(value)) right++;
      if (!skipParsingBodyAsJson) console.log(format, JSON.stringify(value), '->', result);
    }
    if (skipParsingBodyAsJson) console.log(`with skipParsingBodyAsJson: ${right} of ${cases.length} right`);
  }
})();
JS
got=$(timeout 60 node finding.js)
want='JSON {"hour":14,"minute":30} -> error: Json deserialization failed
JSON {"hour":50,"minute":51} -> 23
JSON {"min":91,"max":93} -> []
Avro {"score":42} -> {"score":42}
Avro {"score":24} -> error: The first argument must be of type string
Avro {"postcode":"9021"} -> {"postcode":"9021"}
Avro {"postcode":"90210"} -> error: The first argument must be of type string
with skipParsingBodyAsJson: 7 of 7 right'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
