#!/usr/bin/env bash
# rhea 3.0.5 (JavaScript), azure-eventhub 5.15.1 (Python), 2026-11-29.
# Each writes a message's sections in an order of its own that AMQP 1.0 (part 3, section 3.2) does not allow, and each of them writes another section wrong:
# rhea the footer before the body, Python's client the delivery annotations behind it.
# A good guess: encoders keep the order of the sections, since the specification gives just one.
# Seen:
#   rhea:           header, properties, footer, data
#   azure-eventhub: data, delivery-annotations
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1
cat > sections.py <<'PY'
# The sections of an AMQP message whose parts are all shorter than 256 bytes, or have sizes of four bytes.
def sections(b):
    names = {0x70: 'header', 0x71: 'delivery-annotations', 0x72: 'message-annotations', 0x73: 'properties', 0x74: 'application-properties', 0x75: 'data', 0x78: 'footer'}
    found = []
    while b:
        assert b[:2] == b'\x00\x53'
        found.append(names[b[2]])
        kind = b[3]
        if kind == 0x45: size = 4
        elif kind in (0xa0, 0xc0, 0xc1): size = 5 + b[4]
        else: size = 8 + int.from_bytes(b[4:8], 'big')
        b = b[size:]
    return ', '.join(found)
PY
rhea=$(timeout 60 node -e "
const rhea = require('rhea');
console.log(rhea.message.encode({ footer: { f: 1 }, body: rhea.message.data_section(Buffer.from('x')) }).toString('hex'))")
got=$(timeout 60 v/bin/python - "$rhea" <<'PY'
import sys
from sections import sections
from azure.eventhub._pyamqp._encode import encode_payload
from azure.eventhub._pyamqp.message import Message
print('rhea:          ', sections(bytes.fromhex(sys.argv[1])))
b = bytearray()
encode_payload(b, Message(delivery_annotations={b'd': 1}, data=b'x'))
print('azure-eventhub:', sections(bytes(b)))
PY
)
want='rhea:           header, properties, footer, data
azure-eventhub: data, delivery-annotations'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
