#!/usr/bin/env bash
# azure-eventhub 5.15.1 (Python), 2026-11-29.
# The client writes a decimal.Decimal as a decimal128, correctly, and cannot read what it has written: its decoder raises decimal.Overflow for 1.
# Text comes back as bytes: a service that hands on the properties that it has received sends binary where it was given a string.
# A good guess: what a client writes it reads; text stays text.
# Seen:
#   Decimal 1 is written as 9430400000000000000000000000000001
#   read: Overflow
#   str "abc" is written as a103616263 (string)
#   read and handed on: a003616263 (binary)
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1
got=$(timeout 60 v/bin/python - <<'PY'
import decimal
from azure.eventhub import EventData, EventDataBatch
from azure.eventhub._pyamqp._decode import decode_payload
def encoded(properties):
    e = EventData(b'x')
    e.properties = properties
    b = EventDataBatch(max_size_in_bytes=1 << 20)
    b.add(e)
    return bytes(b._message.data[0])
def received(message):
    return EventData._from_message(decode_payload(memoryview(message)))
def value(message, size):
    at = next(message.index(k) for k in (b'\xa1\x01k', b'\xa0\x01k') if k in message) + 3
    return message[at:at + size].hex()
m = encoded({'k': decimal.Decimal('1')})
print('Decimal 1 is written as', value(m, 17))
try:
    print('read:', received(m).properties)
except decimal.DecimalException as e:
    print('read:', type(e).__name__)
m = encoded({'k': 'abc'})
print('str "abc" is written as', value(m, 5), '(string)')
m = encoded({k: v for k, v in received(m).properties.items()})
print('read and handed on:', value(m, 5), '(binary)')
PY
)
want='Decimal 1 is written as 9430400000000000000000000000000001
read: Overflow
str "abc" is written as a103616263 (string)
read and handed on: a003616263 (binary)'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
