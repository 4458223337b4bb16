#!/usr/bin/env bash
# cloudevents 2.2.0 (Python; its bindings for AMQP and Kafka), Linux, 2026-11-30.
# A service reads a CloudEvent and hands it on. The SDK decodes the JSON data of a received event
# whatever it is, and encodes only objects as JSON again. Of an array it sends Python's own
# notation, of a string the text without quotes. An error is not raised.
# A good guess: what the SDK reads it writes, or it refuses to; structured mode does so.
# Seen (body received -> body sent in binary mode, what a JSON parser says of that):
#   {"on": true, "n": null} -> {"on": true, "n": null}   the same value
#   [1, 2]                  -> [1, 2]                    the same value
#   ["a", "b"]              -> ['a', 'b']                no JSON
#   [{"on": true}]          -> [{'on': True}]            no JSON
#   "late"                  -> late                      no JSON
#   "00123"                 -> 00123                     no JSON
#   "123"                   -> 123                       another value
#   true                    -> True                      no JSON
#   null                    ->                           no JSON
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v; v/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0
cat > finding.py <<'PY'
import json
from cloudevents.core.bindings import amqp, kafka
bodies = ['{"on": true, "n": null}', '[1, 2]', '["a", "b"]', '[{"on": true}]', '"late"', '"00123"',
          '"123"', 'true', 'null']
for body in bodies:
    attributes = {'specversion': '1.0', 'id': '1', 'source': '/s', 'type': 't'}
    received = amqp.AMQPMessage({'content-type': 'application/json'},
                                {'cloudEvents_' + k: v for k, v in attributes.items()}, body.encode())
    event = amqp.from_amqp_event(received)
    sent = amqp.to_binary_event(event).application_data.decode()
    assert kafka.to_binary_event(event).value.decode() == sent
    structured = amqp.to_structured_event(event).application_data
    assert json.loads(structured).get('data') == json.loads(body)
    try:
        verdict = 'the same value' if json.loads(sent) == json.loads(body) else 'another value'
    except json.JSONDecodeError:
        verdict = 'no JSON'
    print(f'{body:23} -> {sent:25} {verdict}')
PY
got=$(timeout 60 v/bin/python finding.py)
want=$(cat <<'TEXT'
{"on": true, "n": null} -> {"on": true, "n": null}   the same value
[1, 2]                  -> [1, 2]                    the same value
["a", "b"]              -> ['a', 'b']                no JSON
[{"on": true}]          -> [{'on': True}]            no JSON
"late"                  -> late                      no JSON
"00123"                 -> 00123                     no JSON
"123"                   -> 123                       another value
true                    -> True                      no JSON
null                    ->                           no JSON
TEXT
)
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
