package main

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A dotnetValue is a property's value as .NET shows it; the zero value is null.
type dotnetValue struct{ Type, V string }

// dotnetTypes are the types of properties that the .NET client sends. Each has the name of an
// event, its property's stored value, and the client's value when it reads.
var dotnetTypes = []struct {
	name   string
	stored any
	read   dotnetValue
}{
	{"int", int32(5), dotnetValue{"System.Int32", "5"}},
	{"int big", int32(500_000), dotnetValue{"System.Int32", "500000"}},
	{"int negative", int32(-1), dotnetValue{"System.Int32", "-1"}},
	{"long", int64(5), dotnetValue{"System.Int64", "5"}},
	{"long big", int64(1<<63 - 1), dotnetValue{"System.Int64", "9223372036854775807"}},
	{"byte", uint8(5), dotnetValue{"System.Byte", "5"}},
	{"sbyte", int8(-5), dotnetValue{"System.SByte", "-5"}},
	{"short", int16(-5), dotnetValue{"System.Int16", "-5"}},
	{"ushort", uint16(5), dotnetValue{"System.UInt16", "5"}},
	{"uint", uint32(5), dotnetValue{"System.UInt32", "5"}},
	{"uint 0", uint32(0), dotnetValue{"System.UInt32", "0"}},
	{"ulong", uint64(5), dotnetValue{"System.UInt64", "5"}},
	{"ulong 0", uint64(0), dotnetValue{"System.UInt64", "0"}},
	{"float", float32(1.5), dotnetValue{"System.Single", "1.5"}},
	{"double", 1.5, dotnetValue{"System.Double", "1.5"}},
	// Its exponent is two bits lower than in IEEE 754 (30 3e), so other readers see another number.
	{"decimal", amqp.Decimal128{0x0c, 0x3e, 15: 15}, dotnetValue{"System.Decimal", "1.5"}},
	{"bool true", true, dotnetValue{"System.Boolean", "True"}},
	{"bool false", false, dotnetValue{"System.Boolean", "False"}},
	{"char", 'x', dotnetValue{"System.Char", "x"}},
	{"guid", [16]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}, dotnetValue{"System.Guid", "00112233-4455-6677-8899-aabbccddeeff"}},
	{"datetime", dotnetMoment, dotnetValue{"DateTime Utc", "2026-11-29T01:02:03.0000000Z"}},
	{"datetime local", dotnetMoment, dotnetValue{"DateTime Utc", "2026-11-29T01:02:03.0000000Z"}},
	{"datetime unspecified", dotnetMoment, dotnetValue{"DateTime Utc", "2026-11-29T01:02:03.0000000Z"}},
	// The client writes it correctly and reads it as 1970.
	{"datetime before 1970", time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC), dotnetValue{"DateTime Utc", "1970-01-01T00:00:00.0000000Z"}},
	{"datetimeoffset", amqp.Described{Descriptor: amqp.Symbol("com.microsoft:datetime-offset"), Value: int64(639_315_037_230_040_000)}, dotnetValue{"DateTimeOffset", "2026-11-28T23:02:03.0040000+00:00"}},
	{"timespan", amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int64(905_000_000)}, dotnetValue{"System.TimeSpan", "00:01:30.5000000"}},
	{"uri", amqp.Described{Descriptor: amqp.Symbol("com.microsoft:uri"), Value: "https://example.com/a?b=c"}, dotnetValue{"System.Uri", "https://example.com/a?b=c"}},
	{"string", "text", dotnetValue{"System.String", "text"}},
	{"string long", strings.Repeat("x", 300), dotnetValue{"System.String", strings.Repeat("x", 300)}},
	{"string empty", "", dotnetValue{"System.String", ""}},
	{"bytes", []byte{1, 2, 3}, dotnetValue{"byte[]", "010203"}},
	{"segment", []byte{2, 3}, dotnetValue{"byte[]", "0203"}},
	{"stream", []byte{1, 2, 3}, dotnetValue{"byte[]", "010203"}},
	{"null", nil, dotnetValue{}},
}

var dotnetMoment = time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC)

// dotnetRefuses are the types that the client refuses to send.
var dotnetRefuses = []string{
	"enum", "list", "int array", "string array", "dictionary", "dateonly", "timeonly", "half", "int128", "version", "json", "symbol", "binarydata", "rom",
}

// judgeDotnetTypes wants a property of each type to be stored correctly, and read back as known.
func judgeDotnetTypes(w *world, check string, s said) error {
	if err := dotnetDid(s, "types"); err != nil {
		return err
	}
	refused, err := told[dotnetTyped](s, "refused")
	if err != nil {
		return err
	}
	var names []string
	for _, r := range refused {
		names = append(names, r.Name)
	}
	if !reflect.DeepEqual(names, dotnetRefuses) {
		return fmt.Errorf("the client refuses %q, want %q", names, dotnetRefuses)
	}
	read, err := told[dotnetTyped](s, "event")
	if err != nil {
		return err
	}
	events := stored(w, check)
	if len(events) != len(dotnetTypes) || len(read) != len(dotnetTypes) {
		return fmt.Errorf("%d events are stored and %d were read, want %d", len(events), len(read), len(dotnetTypes))
	}
	for i, want := range dotnetTypes {
		e := events[i]
		if value, ok := e.Properties["v"]; string(e.Body) != want.name || !ok || !reflect.DeepEqual(value, want.stored) {
			return fmt.Errorf("event %q has the properties %#v, want %#v", e.Body, e.Properties, want.stored)
		}
		if err := read[i].is(want.name, want.read); err != nil {
			return err
		}
	}
	return nil
}

// ourTypes are the types of properties that this project's producer sends, with the .NET client's
// values.
var ourTypes = []struct {
	name  string
	value any
	read  dotnetValue
}{
	{"int", 5, dotnetValue{"System.Int64", "5"}},
	{"int8", int8(-5), dotnetValue{"System.SByte", "-5"}},
	{"int16", int16(-5), dotnetValue{"System.Int16", "-5"}},
	{"int32", int32(-5), dotnetValue{"System.Int32", "-5"}},
	{"int64", int64(-1 << 63), dotnetValue{"System.Int64", "-9223372036854775808"}},
	{"uint", uint(5), dotnetValue{"System.UInt64", "5"}},
	{"uint8", uint8(255), dotnetValue{"System.Byte", "255"}},
	{"uint16", uint16(65535), dotnetValue{"System.UInt16", "65535"}},
	{"uint32", uint32(1<<32 - 1), dotnetValue{"System.UInt32", "4294967295"}},
	{"uint64", uint64(1<<64 - 1), dotnetValue{"System.UInt64", "18446744073709551615"}},
	{"float32", float32(1.5), dotnetValue{"System.Single", "1.5"}},
	{"float64", 1.5, dotnetValue{"System.Double", "1.5"}},
	{"bool", true, dotnetValue{"System.Boolean", "True"}},
	{"string", "日本語 😀", dotnetValue{"System.String", "日本語 😀"}},
	{"empty string", "", dotnetValue{"System.String", ""}},
	{"[]byte", []byte{1, 2}, dotnetValue{"byte[]", "0102"}},
	// The wire has milliseconds.
	{"time.Time", time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.UTC), dotnetValue{"DateTime Utc", "2026-01-02T03:04:05.6780000Z"}},
	{"nil", nil, dotnetValue{}},
}

// publishOurTypes publishes an event with a property of each type, with this project's buffered
// producer.
func (w *world) publishOurTypes(ctx context.Context) error {
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(w.server.ConnectionString(""), hubOf(nameOurTypes), nil)
	if err != nil {
		return err
	}
	for _, each := range ourTypes {
		event := &eventhubs.Event{Body: []byte(each.name), Properties: map[string]any{"v": each.value}}
		if err := producer.Enqueue(ctx, event); err != nil {
			return err
		}
	}
	return producer.Close(ctx)
}

// judgeDotnetOurTypes wants the client to read a property of each type correctly.
func judgeDotnetOurTypes(_ *world, _ string, s said) error {
	read, err := told[dotnetTyped](s, "event")
	if err != nil {
		return err
	}
	if len(read) != len(ourTypes) {
		return fmt.Errorf("the client read %d events, want %d", len(read), len(ourTypes))
	}
	for i, want := range ourTypes {
		if err := read[i].is(want.name, want.read); err != nil {
			return err
		}
	}
	return nil
}

// A dotnetTyped is the program's report of a refused type, or of an event that it read.
type dotnetTyped struct {
	Name, Body string
	Properties map[string]json.RawMessage
}

// is returns how an event differs from one with this body and this property.
func (d *dotnetTyped) is(body string, value dotnetValue) error {
	var got dotnetValue
	if err := json.Unmarshal(d.Properties["v"], &got); err != nil {
		return fmt.Errorf("the client read %q as %s: %w", body, d.Properties, err)
	}
	if d.Body != body || got != value {
		return fmt.Errorf("the client read %q as %q with %+v, want %+v", body, d.Body, got, value)
	}
	return nil
}
