#!/usr/bin/env bash
# @azure/event-hubs 6.0.4, rhea 3.0.5 (JavaScript), 2026-11-29.
# A consumer parses each body of bytes as JSON, unless the subscription says skipParsingBodyAsJson. So what a handler gets depends on the bytes: digits become
# a number, which rounds those of an id with 20 digits, and a body that does not parse stays a Buffer.
# A good guess: a body of bytes arrives as a Buffer; the sender has called no function for JSON, and no content type says JSON.
# Seen:
#   12345678901234567890  -> number 12345678901234567000
#   1e5                   -> number 100000
#   null                  -> null
#   007                   -> Buffer 007
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4 rhea@3.0.5 >/dev/null
got=$(timeout 60 node - <<'JS'
const rhea = require('rhea');
const { fromRheaMessage } = require('./node_modules/@azure/event-hubs/dist/commonjs/eventData.js');
for (const text of ['12345678901234567890', '1e5', 'null', '007']) {
  const message = rhea.message.decode(rhea.message.encode({ body: rhea.message.data_section(Buffer.from(text)) }));
  const body = fromRheaMessage(message, false).body; // false is the default of a subscription
  console.log(text.padEnd(21), '->', Buffer.isBuffer(body) ? 'Buffer ' + body : body === null ? 'null' : typeof body + ' ' + body);
}
JS
)
want='12345678901234567890  -> number 12345678901234567000
1e5                   -> number 100000
null                  -> null
007                   -> Buffer 007'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
