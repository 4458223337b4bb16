#!/usr/bin/env bash
# azure-eventhub 5.15.1 (Python), numpy 2.2.6, 2026-11-30.
# receive(starting_position=X) chooses by X's Python type what X means, and takes every type. A naive datetime is read
# as UTC, not as local time. A numpy integer, a float and a date are taken for an offset.
# A good guess: datetime.now() starts now, as with time.time() and astimezone(); numpy.int64(5), as pandas gives it,
# is sequence number 5; other types are refused.
# Seen, with the time zone of Tokyo (nine hours ahead of UTC):
#   datetime.now()              -> x-opt-enqueued-time, 9.0 h in the future
#   datetime.now().astimezone() -> x-opt-enqueued-time, now
#   5                           -> x-opt-sequence-number > '5'
#   numpy.int64(5)              -> x-opt-offset > '5'
#   5.0                         -> x-opt-offset > '5.0'
#   date(2026, 1, 1)            -> x-opt-offset > '2026-01-01'
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1 numpy==2.2.6
got=$(TZ=Asia/Tokyo timeout 60 venv/bin/python - <<'PY'
import re, time
from datetime import date, datetime
import numpy
from azure.eventhub._utils import event_position_selector
for name, start in [
    ('datetime.now()', datetime.now()),
    ('datetime.now().astimezone()', datetime.now().astimezone()),
    ('5', 5),
    ('numpy.int64(5)', numpy.int64(5)),
    ('5.0', 5.0),
    ('date(2026, 1, 1)', date(2026, 1, 1)),
]:
    filter = event_position_selector(start).decode().removeprefix('amqp.annotation.')
    if at := re.search(r"x-opt-enqueued-time > '(\d+)'", filter):
        ahead = round((int(at[1]) / 1000 - time.time()) / 3600, 1)
        filter = 'x-opt-enqueued-time, ' + (f'{ahead} h in the future' if ahead else 'now')
    print(name.ljust(27), '->', filter)
PY
)
want="datetime.now()              -> x-opt-enqueued-time, 9.0 h in the future
datetime.now().astimezone() -> x-opt-enqueued-time, now
5                           -> x-opt-sequence-number > '5'
numpy.int64(5)              -> x-opt-offset > '5'
5.0                         -> x-opt-offset > '5.0'
date(2026, 1, 1)            -> x-opt-offset > '2026-01-01'"
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
