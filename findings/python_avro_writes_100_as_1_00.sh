#!/usr/bin/env bash
# azure-schemaregistry-avroencoder 1.0.0 over avro 1.12.2 (Python), hamba/avro v2.31.0 (Go),
# Linux, 2026-11-30.
# A field is a decimal with a scale of 2, as an amount of money is. Python's encoder writes the
# digits of a Decimal and drops its exponent. A Decimal with exactly two places arrives right,
# one with fewer places 10, 100 or 10,000 times too small. More than two places raise an error.
# A zero with a sign, which quantize makes of -0.001, is written as -0.02.
# The event holds the wrong amount: Python and Go read the same.
# A good guess: an encoder scales a value to its schema, or refuses it.
# Seen (what Python's encoder was given, what Python and Go read from the event):
#   Decimal('12.30')   Python 12.30   Go 12.30
#   Decimal('12.3')    Python 1.23    Go 1.23
#   Decimal('100')     Python 1.00    Go 1.00
#   Decimal('1E+2')    Python 0.01    Go 0.01
#   Decimal('-0.00')   Python -0.02   Go -0.02
#   Decimal('12.345')  InvalidContentError
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1 avro==1.12.2 \
  azure-schemaregistry==1.3.0 azure-schemaregistry-avroencoder==1.0.0
go mod init finding >/dev/null 2>&1
go get github.com/hamba/avro/v2@v2.31.0 >/dev/null 2>&1
cat > schema.json <<'JSON'
{"type": "record", "name": "Payment", "fields": [
  {"name": "amount", "type":
    {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}}]}
JSON
cat > write.py <<'PY'
from decimal import Decimal
from types import SimpleNamespace
from azure.eventhub import EventData
from azure.schemaregistry.encoder.avroencoder import AvroEncoder, InvalidContentError
schema = open('schema.json').read()
class Registry:  # of this one schema
    def get_schema_properties(self, *description, **options):
        return SimpleNamespace(id='1')
    def get_schema(self, schema_id, **options):
        return SimpleNamespace(definition=schema)
encoder = AvroEncoder(client=Registry(), group_name='payments')
for text in ['12.30', '12.3', '100', '1E+2', '-0.00', '12.345']:
    name = repr(Decimal(text)).ljust(19)
    try:
        event = encoder.encode({'amount': Decimal(text)}, schema=schema, message_type=EventData)
        read = str(encoder.decode(event)['amount'])
        print(f'{name}Python {read:8}', b''.join(event.body).hex(), sep='\t')
    except InvalidContentError as e:
        print(name + type(e).__name__)
PY
cat > main.go <<'GO'
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"math/big"
	"os"
	"strings"

	"github.com/hamba/avro/v2"
)

// main replaces the event after each line's tab with what Go reads in it.
func main() {
	text, err := os.ReadFile("schema.json")
	if err != nil {
		panic(err)
	}
	schema := avro.MustParse(string(text))
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		line, written, ok := strings.Cut(s.Text(), "\t")
		if !ok {
			fmt.Println(line)
			continue
		}
		event, err := hex.DecodeString(written)
		if err != nil {
			panic(err)
		}
		var payment struct {
			Amount *big.Rat `avro:"amount"`
		}
		if err := avro.Unmarshal(schema, event, &payment); err != nil {
			panic(err)
		}
		fmt.Println(line + "Go " + payment.Amount.FloatString(2))
	}
}
GO
go mod tidy >/dev/null 2>&1
timeout 60 v/bin/python write.py > written
got=$(timeout 100 go run . < written)
want="Decimal('12.30')   Python 12.30   Go 12.30
Decimal('12.3')    Python 1.23    Go 1.23
Decimal('100')     Python 1.00    Go 1.00
Decimal('1E+2')    Python 0.01    Go 0.01
Decimal('-0.00')   Python -0.02   Go -0.02
Decimal('12.345')  InvalidContentError"
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
