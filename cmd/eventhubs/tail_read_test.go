package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// Every client can read a plainMessage. The SDK for Go (go-amqp v1.7.0) cannot read an oddMessage.
func plainMessage(body string) amqp.Message { return amqp.Message{Data: [][]byte{[]byte(body)}} }

func oddMessage(body string) amqp.Message {
	m := plainMessage(body)
	m.ApplicationProperties = amqp.Map{{Key: "price", Value: amqp.Decimal128{0x30, 0x40, 15: 1}}, {Key: "letter", Value: amqp.Char('ü')}, {Key: "n", Value: int32(7)}}
	return m
}

// bodiesOf returns the bodies of a partition's records, in their order.
func bodiesOf(records []eventRecord, partition string) (bodies []string) {
	for _, r := range records {
		if r.Partition == partition {
			bodies = append(bodies, *r.Body)
		}
	}
	return bodies
}

func TestTailReadsEveryType(t *testing.T) {
	server := startServer(t)
	for i, partition := range []string{"0", "1", "2"} {
		send(t, server, partition, []amqp.Message{oddMessage("first"), plainMessage("second"), oddMessage("third"), oddMessage("fourth"), plainMessage("fifth")}[i:]...)
	}
	send(t, server, "3", plainMessage("alone"))
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	got := p.run(t, "tail", "--from", "start", "--count", "13", "--output", "json")
	got.want(t, exitOK)
	if n := strings.Count(got.stderr, "\n"); n != 1 {
		t.Errorf("standard error has %d lines, want one when reading begins:\n%s", n, got.stderr)
	}
	records := decodeLines(t, got.stdout)
	for partition, want := range map[string]string{"0": "[first second third fourth fifth]", "1": "[second third fourth fifth]", "2": "[third fourth fifth]", "3": "[alone]"} {
		if got := fmt.Sprint(bodiesOf(records, partition)); got != want {
			t.Errorf("partition %s: got %v, want %v", partition, got, want)
		}
	}
	const want = `"properties":{"letter":"ü","n":7,"price":"30400000000000000000000000000001"},"body":"first","types":{"properties":{"letter":"char","n":"int","price":"decimal128"}}}`
	if !strings.Contains(got.stdout, want) {
		t.Errorf("got\n%s\nwant in it %s", got.stdout, want)
	}
}

func TestTailStartsAtAnEventOfAnyType(t *testing.T) {
	server := startServer(t)
	send(t, server, "0", plainMessage("before"), oddMessage("odd"), plainMessage("after"))
	var events []emulator.Event
	for e := range server.Events("events", "0") {
		events = append(events, e)
	}
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	for _, from := range []string{"sequence:1", "offset:" + events[1].Offset, "time:" + events[1].EnqueuedTime.Format(time.RFC3339Nano)} {
		got := p.run(t, "tail", "--partition", "0", "--from", from, "--count", "2", "--output", "json")
		got.want(t, exitOK)
		if bodies := bodiesOf(decodeLines(t, got.stdout), "0"); from[0] != 't' && fmt.Sprint(bodies) != "[odd after]" {
			t.Errorf("%s: got %v", from, bodies)
		}
	}
	tail := p.start(t, "tail", "--partition", "0", "--output", "json")
	defer tail.stop()
	tail.stderr.await(t, "Reading partition 0 from latest.\n")
	send(t, server, "0", oddMessage("new"))
	if line := tail.line(t); !strings.Contains(line, `"sequenceNumber":3,`) || !strings.Contains(line, `"body":"new"`) {
		t.Errorf("from latest: got %s", line)
	}
}

// No event is lost or repeated when the connection breaks.
func TestTailGoesOnWhenItsConnectionIsCut(t *testing.T) {
	server := startServer(t)
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	tail := p.start(t, "tail", "--from", "start", "--partition", "0", "--output", "json")
	defer tail.stop()
	for i := range 4 {
		send(t, server, "0", plainMessage(fmt.Sprint("a", i)), oddMessage(fmt.Sprint("b", i)))
		for j, body := range []string{fmt.Sprint("a", i), fmt.Sprint("b", i)} {
			if line := tail.line(t); !strings.Contains(line, fmt.Sprintf(`"sequenceNumber":%d,`, 2*i+j)) || !strings.Contains(line, `"body":"`+body+`"`) {
				t.Fatalf("got %s, want %s", line, body)
			}
		}
		server.CutAll()
	}
}

// withUnreadable starts an emulator with three events in partition 0. The middle one is not valid
// AMQP. It returns a program with the connection string.
func withUnreadable(t *testing.T) program {
	t.Helper()
	server := startServer(t)
	send(t, server, "0", plainMessage("before"))
	// These are application properties, with p of the type 0x9f.
	const noSuchType = "\x00\x53\x74\xc1\x05\x02\xa1\x01p\x9f"
	if result := open(t, server, "0").Send(t.Context(), connection.BatchOf([]byte(noSuchType))); result.Err != nil {
		t.Fatal(result.Err)
	}
	send(t, server, "0", plainMessage("after"))
	return program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
}

// An event with a value that is not valid AMQP is named and left out.
func TestTailSaysWhatIsNoAMQP(t *testing.T) {
	p := withUnreadable(t)
	got := p.run(t, "tail", "--from", "start", "--partition", "0", "--count", "2", "--output", "json")
	got.want(t, exitOK, "Partition 0: the event with sequence number 1 (offset ", " is not a valid AMQP message and is left out: ")
	if bodies := bodiesOf(decodeLines(t, got.stdout), "0"); fmt.Sprint(bodies) != "[before after]" {
		t.Errorf("got %v", bodies)
	}
}

// A partition that cannot be read any more is named at once, and reading goes on with the others.
func TestAPartitionThatCannotBeReadLeavesTheOthersAlone(t *testing.T) {
	server := startServer(t)
	var broken atomic.Bool
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.ConsumerGroup != "" && op.PartitionID == "2" && broken.Load() {
			return emulator.Reject("amqp:unauthorized-access", "not any more")
		}
		return emulator.Pass()
	})
	send(t, server, "2", plainMessage("before"))
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	tail := p.start(t, "tail", "--from", "start", "--output", "json")
	defer tail.stop()
	tail.line(t)
	broken.Store(true)
	server.CutAll()
	tail.stderr.await(t, "Reading goes on without this partition: partition 2: ")
	send(t, server, "1", plainMessage("after"))
	if line := tail.line(t); !strings.Contains(line, `"body":"after"`) {
		t.Errorf("got %s, want the event of partition 1", line)
	}
	if status := tail.stop(); status != exitFailed {
		t.Errorf("status: got %d want 1: one partition was not read to the end", status)
	}
}

func TestTailReadsOverEveryWayToTheNamespace(t *testing.T) {
	for name, args := range map[string][]string{
		"TLS": {"--tls", "--auth"}, "WebSocket": {"--websocket", "--auth"}, "WebSocket over TLS": {"--websocket", "--tls", "--auth"},
	} {
		t.Run(name, func(t *testing.T) {
			file := t.TempDir() + "/ca.pem"
			var trust []string
			if args[0] == "--tls" || args[1] == "--tls" {
				args, trust = append(args, "--tls-ca", file), []string{"--tls-ca", file}
			}
			if args[0] == "--websocket" {
				trust = append(trust, "--websocket")
			}
			_, p := startEmulatorCommand(t, args...)
			record := writeFile(t, `{"body":"odd","properties":{"p":"30400000000000000000000000000001"},"types":{"properties":{"p":"decimal128"}}}`)
			p.run(t, append([]string{"publish", "--format", "events", record}, trust...)...).want(t, exitOK)
			got := p.run(t, append([]string{"tail", "--from", "start", "--count", "1", "--output", "json"}, trust...)...)
			got.want(t, exitOK)
			if !strings.Contains(got.stdout, `"p":"30400000000000000000000000000001"`) {
				t.Errorf("got %s", got.stdout)
			}
		})
	}
}

func TestTailReadsWithAnIdentity(t *testing.T) {
	server := startSecureServer(t)
	p := program{credential: server.Credential()}
	to := []string{"--namespace", server.Addr(), "--hub", "events", "--tls-ca", authorityFile(t, server)}
	record := writeFile(t, `{"body":"odd","properties":{"p":"ü"},"types":{"properties":{"p":"char"}}}`)
	p.run(t, append([]string{"publish", "--format", "events", record}, to...)...).want(t, exitOK)
	got := p.run(t, append([]string{"tail", "--from", "start", "--count", "1", "--output", "json"}, to...)...)
	got.want(t, exitOK)
	if !strings.Contains(got.stdout, `"types":{"properties":{"p":"char"}}`) {
		t.Errorf("got %s", got.stdout)
	}
}

func TestEventsOfEveryTypeAreVerified(t *testing.T) {
	record := writeFile(t, `{"body":"odd","properties":{"p":"ü"},"types":{"properties":{"p":"char"}},"key":"k"}`+"\n"+`{"body":"plain","key":"k"}`+"\n"+
		`{"bodyValue":"30400000000000000000000000000001","types":{"body":"decimal128"}}`+"\n")
	got := program{}.run(t, "publish", "--format", "events", "--output", "json", record)
	got.want(t, exitOK)
	if r := got.report(t); r.Events != 3 || !r.Verified {
		t.Errorf("unexpected report %+v", r)
	}
}

// open opens a sender to a partition of events.
func open(t *testing.T, server *emulator.Server, partition string) *connection.Sender {
	t.Helper()
	options := &clientOptions{connectionString: server.ConnectionString("events")}
	if err := options.read(nil); err != nil {
		t.Fatal(err)
	}
	conn := connection.New(options.connection())
	t.Cleanup(func() { conn.Close(context.Background()) })
	sender := conn.Sender("events", partition, "")
	if err := sender.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sender
}

// send stores messages in a partition of events.
func send(t *testing.T, server *emulator.Server, partition string, messages ...amqp.Message) {
	t.Helper()
	sender := open(t, server, partition)
	for _, m := range messages {
		encoded, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if result := sender.Send(t.Context(), connection.BatchOf(encoded)); result.Err != nil {
			t.Fatal(result.Err)
		}
	}
}
