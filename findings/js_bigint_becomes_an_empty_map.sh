#!/usr/bin/env bash
# @azure/event-hubs 6.0.4, rhea 3.0.5 (JavaScript), 2026-11-29.
# An event's property that is a BigInt is sent as an empty map, and one that is NaN as null. Nothing raises an error: tryAdd returns true.
# A good guess: BigInt is AMQP's long, which has 64 bits as well, and NaN is a double.
# Seen:
#   counted 5n        -> map {}
#   ratio NaN         -> null
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 >/dev/null
got=$(timeout 60 node - <<'JS'
const rhea = require('rhea');
const { toRheaMessage } = require('./node_modules/@azure/event-hubs/dist/commonjs/eventData.js');
const show = v => v === null ? 'null' : typeof v === 'object' ? 'map ' + JSON.stringify(v) : typeof v + ' ' + v;
for (const [name, value] of [['counted', 5n], ['ratio', NaN]]) {
  const sent = rhea.message.encode(toRheaMessage({ body: Buffer.from('x'), properties: { [name]: value } }));
  const text = typeof value === 'bigint' ? value + 'n' : String(value);
  console.log((name + ' ' + text).padEnd(17), '->', show(rhea.message.decode(sent).application_properties[name]));
}
JS
)
want='counted 5n        -> map {}
ratio NaN         -> null'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
