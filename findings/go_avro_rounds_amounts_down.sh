#!/usr/bin/env bash
# hamba/avro v2.31.0, linkedin/goavro v2.15.0 (Go), azure-schemaregistry-avroencoder 1.0.0 over
# avro 1.12.2 (Python, also the reader), Linux, 2026-11-30.
# A field is a decimal with a scale of 2. An amount with more places is cut by both of Go's Avro
# libraries, without an error, and downwards: 12.345 loses half a cent, -12.345 as well. An amount
# and its reversal do not cancel out. Python's encoder refuses such an amount.
# A good guess: an encoder refuses what its schema cannot hold, or rounds to the nearest.
# Seen (as Python reads Go's events):
#   12.345   hamba 12.34   goavro 12.34   Python refuses
#   -12.345  hamba -12.35  goavro -12.35  Python refuses
#   0.999    hamba 0.99    goavro 0.99    Python refuses
#   -0.001   hamba -0.01   goavro -0.01   Python refuses
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check avro==1.12.2 azure-schemaregistry==1.3.0 \
  azure-schemaregistry-avroencoder==1.0.0
go mod init finding >/dev/null 2>&1
go get github.com/hamba/avro/v2@v2.31.0 github.com/linkedin/goavro/v2@v2.15.0 >/dev/null 2>&1
cat > schema.json <<'JSON'
{"type": "record", "name": "Payment", "fields": [{"name": "amount", "type":
  {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}}]}
JSON
cat > main.go <<'GO'
package main

import (
	"fmt"
	"math/big"
	"os"

	"github.com/hamba/avro/v2"
	"github.com/linkedin/goavro/v2"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	text := string(must(os.ReadFile("schema.json")))
	schema, codec := avro.MustParse(text), must(goavro.NewCodec(text))
	for _, amount := range []string{"12.345", "-12.345", "0.999", "-0.001"} {
		rat, _ := new(big.Rat).SetString(amount)
		payment := map[string]any{"amount": rat}
		fmt.Printf("%s %x %x\n", amount, must(avro.Marshal(schema, payment)), must(codec.BinaryFromNative(nil, payment)))
	}
}
GO
go mod tidy >/dev/null 2>&1
cat > read.py <<'PY'
import sys
from decimal import Decimal
from types import SimpleNamespace
from azure.schemaregistry.encoder.avroencoder import AvroEncoder, InvalidContentError
schema = open('schema.json').read()
class Registry:  # of this one schema
    def get_schema_properties(self, *description, **options):
        return SimpleNamespace(id='1')
    def get_schema(self, schema_id, **options):
        return SimpleNamespace(definition=schema)
encoder = AvroEncoder(client=Registry(), group_name='payments')
def read(event):
    return str(encoder.decode({'content': bytes.fromhex(event), 'content_type': 'avro/binary+1'})['amount'])
for line in sys.stdin:
    amount, hamba, goavro = line.split()
    try:
        encoder.encode({'amount': Decimal(amount)}, schema=schema)
        python = 'writes it'
    except InvalidContentError:
        python = 'refuses'
    print(f'{amount:8} hamba {read(hamba):7} goavro {read(goavro):7} Python {python}')
PY
timeout 100 go run . > events
got=$(timeout 60 v/bin/python read.py < events)
want='12.345   hamba 12.34   goavro 12.34   Python refuses
-12.345  hamba -12.35  goavro -12.35  Python refuses
0.999    hamba 0.99    goavro 0.99    Python refuses
-0.001   hamba -0.01   goavro -0.01   Python refuses'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
