#!/usr/bin/env bash
# azcore v1.24.0 (Go), azure-core 1.41.0 with azure-eventhub 5.15.1 (Python), Linux, 2026-11-30.
# A service in Go reads a CloudEvent and writes it again, unchanged. Its data was JSON. Go keeps
# JSON data as bytes, and writes bytes as data_base64. So Python's consumer gets bytes where it
# got a dict before, and null becomes the four letters. The content type still says JSON.
# A good guess: json.Marshal after json.Unmarshal gives the same event.
# Seen (what Python's CloudEvent.from_json gives, before and after Go):
#   {'celsius': 20.5}  -> b'{"celsius":20.5}'
#   'late'             -> b'"late"'
#   5                  -> b'5'
#   null               -> b'null'
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check azure-core==1.41.0 azure-eventhub==5.15.1
go mod init finding >/dev/null 2>&1
go get github.com/Azure/azure-sdk-for-go/sdk/azcore@v1.24.0 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
)

func main() {
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		var event messaging.CloudEvent
		if err := json.Unmarshal(s.Bytes(), &event); err != nil {
			panic(err)
		}
		sent, err := json.Marshal(event)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(sent))
	}
}
GO
go mod tidy >/dev/null 2>&1
cat > events <<'JSON'
{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data":{"celsius":20.5}}
{"specversion":"1.0","id":"2","source":"/s","type":"t","datacontenttype":"application/json","data":"late"}
{"specversion":"1.0","id":"3","source":"/s","type":"t","datacontenttype":"application/json","data":5}
{"specversion":"1.0","id":"4","source":"/s","type":"t","datacontenttype":"application/json","data":null}
JSON
cat > read.py <<'PY'
from azure.core.messaging import CloudEvent
from azure.core.serialization import NULL
from azure.eventhub import EventData
def show(data):
    return 'null' if data is NULL else repr(data)
for before, after in zip(open('events'), open('forwarded')):
    before, after = (CloudEvent.from_json(EventData(text)) for text in (before, after))
    assert before.id == after.id and after.datacontenttype == 'application/json'
    print(f'{show(before.data):18} -> {show(after.data)}')
PY
timeout 100 go run . < events > forwarded
got=$(timeout 60 v/bin/python read.py)
want=$(cat <<'TEXT'
{'celsius': 20.5}  -> b'{"celsius":20.5}'
'late'             -> b'"late"'
5                  -> b'5'
null               -> b'null'
TEXT
)
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
