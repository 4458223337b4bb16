#!/usr/bin/env bash
# rhea 3.0.5 (JavaScript), 2026-11-29.
# A message-id of type binary is written as a uuid of 16 bytes, whatever its length. AMQP 1.0 allows ulong, uuid, binary and string.
# A good guess: it stays binary, as a Buffer in the application properties does.
# Seen:
#   received binary 69ff, sent on as uuid of 16 bytes that begin with 69ff
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
got=$(timeout 60 node - <<'JS'
const rhea = require('rhea');
const received = Buffer.from('005373c00501a00269ff005375a00178', 'hex'); // properties with one field, data "x"
const sent = rhea.message.encode(rhea.message.decode(received));
const at = sent.indexOf(Buffer.from('69ff', 'hex'));
const type = { 0x98: 'uuid of 16 bytes', 0xa0: 'binary' }[sent[at - 1]] || 'binary';
console.log('received binary 69ff, sent on as ' + type + ' that begin with 69ff');
JS
)
want='received binary 69ff, sent on as uuid of 16 bytes that begin with 69ff'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
