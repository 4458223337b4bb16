#!/usr/bin/env bash
# @azure/event-hubs 6.0.4, rhea 3.0.5 (JavaScript), 2026-11-29.
# A property that is a number has another AMQP type from value to value: unsigned if it is whole and not negative, signed if it is negative, double
# otherwise. A service that hands events on turns a long, an int or a double that it has received into another type, and false, in the encoding of two bytes,
# into the number 0.
# A good guess: every number is a double, or every whole one a long; a boolean is a boolean.
# Seen (code of the encoding: 52 uint, 54 int, 82 double, 56 boolean, 55 long):
#   20.5 -> 82, 20 -> 52, -20 -> 54
#   handed on: double 1.0 (82) -> 52, int 5 (54) -> 52, long 5 (55) -> 52, false (56 00) -> 54
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 >/dev/null
got=$(timeout 60 node - <<'JS'
const rhea = require('rhea');
const { toRheaMessage, fromRheaMessage } = require('./node_modules/@azure/event-hubs/dist/commonjs/eventData.js');
// A message of the property "k" and a body of data; the value begins behind the bytes of the key.
const key = Buffer.from('a1016b', 'hex'), hex = n => n.toString(16).padStart(2, '0');
const raw = value => Buffer.from('005374c1' + hex(value.length / 2 + 4) + '02a1016b' + value + '005375a00178', 'hex');
const code = message => hex(message[message.indexOf(key) + 3]);
const sent = value => code(rhea.message.encode(toRheaMessage({ body: Buffer.from('x'), properties: { k: value } })));
const handedOn = value => {
  const received = fromRheaMessage(rhea.message.decode(raw(value)), true);
  return code(rhea.message.encode(toRheaMessage({ body: received.body, properties: received.properties })));
};
console.log([20.5, 20, -20].map(v => v + ' -> ' + sent(v)).join(', '));
console.log('handed on: ' + [['double 1.0 (82)', '823ff0000000000000'], ['int 5 (54)', '5405'], ['long 5 (55)', '5505'], ['false (56 00)', '5600']]
  .map(([name, v]) => name + ' -> ' + handedOn(v)).join(', '));
JS
)
want='20.5 -> 82, 20 -> 52, -20 -> 54
handed on: double 1.0 (82) -> 52, int 5 (54) -> 52, long 5 (55) -> 52, false (56 00) -> 54'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
