#!/usr/bin/env bash
# github.com/Azure/go-amqp v1.7.0 (Go), which azeventhubs v2.0.2 uses, 2026-11-29.
# An array of ints or longs of which one is below -128 is written with one byte for each: -200 arrives as 56, and no error is raised.
# A described value whose descriptor is a symbol, as .NET's client writes a TimeSpan, is handed on with a string for its descriptor.
# A good guess: what Marshal writes is what Unmarshal gives, or Marshal returns an error.
# Seen:
#   []int32{1, -200, 3} -> []int32{1, 56, 3}
#   []int64{1, -200}    -> []int64{1, 56}
#   descriptor: symbol (a3) -> string (a1)
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
go mod init finding >/dev/null 2>&1
go get github.com/Azure/go-amqp@v1.7.0 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/Azure/go-amqp"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	for _, array := range []any{[]int32{1, -200, 3}, []int64{1, -200}} {
		m := amqp.NewMessage(nil)
		m.ApplicationProperties = map[string]any{"k": array}
		var read amqp.Message
		if err := read.UnmarshalBinary(must(m.MarshalBinary())); err != nil {
			panic(err)
		}
		fmt.Printf("%-19s -> %#v\n", fmt.Sprintf("%#v", array), read.ApplicationProperties["k"])
	}
	// The property "k" is a long, described by the symbol "d"; the body is "x".
	received := must(hex.DecodeString("005374c1" + "0a" + "02a1016b" + "00a30164" + "5505" + "005375a00178"))
	var m amqp.Message
	if err := m.UnmarshalBinary(received); err != nil {
		panic(err)
	}
	sent := must(m.MarshalBinary())
	fmt.Println("descriptor: symbol (a3) ->", map[byte]string{0xa1: "string (a1)", 0xa3: "symbol (a3)"}[sent[bytes.IndexByte(sent, 'd')-2]])
}
GO
go mod tidy >/dev/null 2>&1
got=$(timeout 100 go run .)
want='[]int32{1, -200, 3} -> []int32{1, 56, 3}
[]int64{1, -200}    -> []int64{1, 56}
descriptor: symbol (a3) -> string (a1)'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
