package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// The link states its limit: 20 MB on dedicated clusters, and the configured one on the emulator.
func TestAFileOf5MBIsPublishedWhereTheHubTakesIt(t *testing.T) {
	server, err := emulator.New(&emulator.Options{MaxMessageSize: 20 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("events")}}
	for _, format := range []string{"file", "lines"} {
		p.run(t, "publish", "--format", format, writeFile(t, strings.Repeat("x", 5_000_000))).want(t, exitOK)
	}
}

// Python (since 2025), Java and .NET send decimals, .NET and Java characters. The Go SDK's codec
// knows neither. Without our own reader, tail is silent for 48 seconds, ends for all partitions,
// and does not name the event.
func TestTailSaysWhichEventItCannotRead(t *testing.T) {
	for name, value := range map[string]any{"decimal": amqp.Decimal128{0x30, 0x40}} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t)
			send(t, server, "0", amqp.Message{Data: [][]byte{[]byte("before")}},
				amqp.Message{Data: [][]byte{[]byte("odd")}, ApplicationProperties: amqp.Map{{Key: "p", Value: value}}},
				amqp.Message{Data: [][]byte{[]byte("after")}})
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			var stdout, stderr bytes.Buffer
			p := program{env: map[string]string{connectionEnv: server.ConnectionString("events")}}
			status := p.process(&stdout, &stderr).run(ctx, []string{"tail", "--from", "start", "--count", "3"})
			if !strings.Contains(stdout.String(), "after") && !strings.Contains(stderr.String(), "sequence number 1") {
				t.Errorf("after 8 s: status %d\nstdout: %s\nstderr: %s", status, stdout.String(), stderr.String())
			}
		})
	}
}

// publish takes what tail prints. An unsigned number beyond int64 would silently become a double,
// another value.
func TestAnUnsignedNumberIsCopiedAsItIs(t *testing.T) {
	for _, text := range []string{"18446744073709551615", "9223372036854775809"} {
		got, err := numberOf(json.Number(text))
		if f, ok := got.(float64); err == nil && ok {
			t.Errorf("%s becomes the double %v", text, f)
		}
	}
}

// People look for the sender of an event (IoT Hub writes it into annotations), for message-id and
// correlation-id. So tail must show them, and a copy by tail and publish must keep them.
func TestTailShowsMessageIDsAndSystemProperties(t *testing.T) {
	server := startServer(t)
	send(t, server, "0", amqp.Message{Data: [][]byte{[]byte("x")}, Annotations: amqp.Map{{Key: amqp.Symbol("iothub-connection-device-id"), Value: "device-7"}},
		Properties: &amqp.Properties{MessageID: "m-1", CorrelationID: "c-1"}})
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("events")}}
	got := p.run(t, "tail", "--from", "start", "--count", "1", "--output", "json")
	for _, want := range []string{"m-1", "c-1", "device-7"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%q is not in %s", want, got.stdout)
		}
	}
}

// A described property must not be printed as a Go struct of the SDK, nor published again as that
// text.
func TestADescribedPropertyIsNotPrintedAsGo(t *testing.T) {
	server := startServer(t)
	send(t, server, "0", amqp.Message{Data: [][]byte{[]byte("x")}, ApplicationProperties: amqp.Map{{Key: "took", Value: amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int64(10_000_000)}}}})
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("events")}}
	if got := p.run(t, "tail", "--from", "start", "--count", "1", "--output", "json"); strings.Contains(got.stdout, "DescribedType{") {
		t.Errorf("standard output: %s", got.stdout)
	}
}
