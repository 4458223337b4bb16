#!/usr/bin/env bash
# azure-eventhub 5.15.1 (Python), 2026-11-29.
# A property that is an int of more than 31 bits, such as a time in milliseconds, cannot be added to a batch: the client writes every int with 32 bits.
# And a tuple of two is written as one described value: the first element is its descriptor.
# A good guess: an int that needs it is written as AMQP's long, as bytes, str, bool, float and datetime are written as what they are; a tuple is a list.
# Seen:
#   2147483647    -> sent
#   2147483648    -> ValueError: Value supplied for int invalid: 2147483648
#   1700000000123 -> ValueError: Value supplied for int invalid: 1700000000123
#   [1, 2]        -> a list of 2
#   (1, 2)        -> the value 2, described by 1
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1
got=$(timeout 60 v/bin/python - <<'PY'
from azure.eventhub import EventData, EventDataBatch
def added(value):
    e = EventData(b'x')
    e.properties = {'k': value}
    b = EventDataBatch(max_size_in_bytes=1 << 20)
    b.add(e)
    encoded = bytes(b._message.data[0])
    return encoded[encoded.index(b'\xa1\x01k') + 3:]
for value in (2**31 - 1, 2**31, 1700000000123):
    try:
        added(value)
        print(f'{value:<13} -> sent')
    except ValueError as e:
        print(f'{value:<13} -> ValueError: {e}')
got = added([1, 2])
print('[1, 2]        ->', 'a list of %d' % got[2] if got[0] == 0xc0 else got[0] == 0xd0 and 'a list of %d' % int.from_bytes(got[5:9], 'big'))
got = added((1, 2))
print('(1, 2)        ->', 'the value 2, described by 1' if got[0] == 0 else 'no described value')
PY
)
want='2147483647    -> sent
2147483648    -> ValueError: Value supplied for int invalid: 2147483648
1700000000123 -> ValueError: Value supplied for int invalid: 1700000000123
[1, 2]        -> a list of 2
(1, 2)        -> the value 2, described by 1'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
