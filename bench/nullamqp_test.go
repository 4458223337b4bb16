package main

import (
	"net"
	"strconv"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
)

func startTestNullAMQP(t testing.TB, s scenario) nullServer {
	t.Helper()
	server, err := startNullAMQP(&s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func TestGoAMQPPublishesToTheNullServer(t *testing.T) {
	server := startTestNullAMQP(t, of(rawAMQP, 100))
	conn, err := amqp.Dial(t.Context(), "amqp://"+server.address().Addr, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	session, err := conn.NewSession(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := session.NewSender(t.Context(), hubName, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := sender.MaxMessageSize(); got != blockBytes {
		t.Errorf("the largest message has %d bytes, want %d", got, blockBytes)
	}
	var want tally
	publish := func(m *amqp.Message, events int64) {
		t.Helper()
		text, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := sender.Send(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
		want.Events, want.Batches, want.Bytes = want.Events+events, want.Batches+1, want.Bytes+int64(len(text))
	}
	annotations := amqp.Annotations{"x-opt-partition-key": "key"}
	// With some sizes a frame's end cuts a section's head.
	for _, size := range []int{0, 1, 255, 256, 60_000, 65_480, 65_490, 65_500, 65_536, 200_000} {
		body := make([]byte, size)
		publish(&amqp.Message{Format: batchFormat, Annotations: annotations, Data: [][]byte{body, body, body}}, 3)
	}
	for range 2 * nullCredit { // more than the initial credit
		publish(&amqp.Message{Properties: &amqp.MessageProperties{MessageID: "one"}, Value: "no batch"}, 1)
	}
	if got := server.counts(); got != want {
		t.Errorf("the server counts %+v, want %+v", got, want)
	}
}

func TestAzeventhubsPublishesToTheNullServer(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		s := of(byHand, 100).with(func(s *scenario) { s.TLS, s.Partitions = encrypted, 300 })
		server := startTestNullAMQP(t, s)
		config, err := (&job{Scenario: s, Server: server.address()}).tlsConfig()
		if err != nil {
			t.Fatal(err)
		}
		client, err := azeventhubs.NewProducerClientFromConnectionString(server.address().ConnectionString, hubName, &azeventhubs.ProducerClientOptions{TLSConfig: config})
		if err != nil {
			t.Fatal(err)
		}
		hub, err := client.GetEventHubProperties(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(hub.PartitionIDs) != 300 || hub.PartitionIDs[299] != "299" || hub.Name != hubName {
			t.Errorf("the hub is %+v, want %s of 300 partitions", hub, hubName)
		}
		for i := range 3 {
			batch, err := client.NewEventDataBatch(t.Context(), &azeventhubs.EventDataBatchOptions{PartitionID: new(strconv.Itoa(i))})
			if err != nil {
				t.Fatal(err)
			}
			for range 1000 {
				if err := batch.AddEventData(&azeventhubs.EventData{Body: make([]byte, 700), Properties: map[string]any{"n": i}}, nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.SendEventDataBatch(t.Context(), batch, nil); err != nil {
				t.Fatal(err)
			}
		}
		if got := server.counts(); got.Events != 3000 || got.Batches != 3 || got.Bytes < 3000*700 || got.Bytes > 3000*800 {
			t.Errorf("TLS %v: the server counts %+v, want 3000 events in 3 batches", encrypted, got)
		}
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A message counts the same in pieces of any size.
func TestAMessageInPiecesCountsTheSame(t *testing.T) {
	text, err := (&amqp.Message{Annotations: amqp.Annotations{"x-opt-partition-key": "key"}, Data: [][]byte{make([]byte, 10), make([]byte, 300), nil}}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for size := 1; size <= len(text); size++ {
		var m message
		for rest := text; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			if err := m.pass(rest[:min(size, len(rest))]); err != nil {
				t.Fatalf("in pieces of %d: %v", size, err)
			}
		}
		if m.data != 3 || m.bytes != int64(len(text)) || !m.whole() {
			t.Errorf("in pieces of %d: %d sections, %d bytes, whole %v; want 3 and %d", size, m.data, m.bytes, m.whole(), len(text))
		}
	}
}

// The offsets in ready-made frames and acknowledgements must match frames built field by field.
func TestTheTemplatesAreFrames(t *testing.T) {
	var fields list
	code, rest, err := fields.described([]byte(accepted)[frameHead:])
	if err != nil || code != codeDisposition || len(rest) > 0 || number(fields[1]) != 0 || !truth(fields[0]) || !truth(fields[3]) || acceptedDeliveryAt != frameHead+3+3+1+1 {
		t.Errorf("the acknowledgement is %x %x %v", code, fields, err)
	}
	piece := frames(newLoad(of(rawFrames, 100)), eventsPerBlock(100))[0]
	piece[deliveryAt+3] = 7
	code, _, err = fields.described(piece[frameHead:])
	if err != nil || code != codeTransfer || number(fields[1]) != 7 || number(fields[3]) != batchFormat || truth(fields[4]) || !truth(fields[5]) {
		t.Errorf("the ready-made frame begins with %x: %v", fields, err)
	}
}

// discard is a connection that accepts all writes.
type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// FuzzNullAMQP looks for input that crashes the null server, at once and in pieces.
func FuzzNullAMQP(f *testing.F) {
	hello := appendFrame([]byte(headerAMQP), frameAMQP, 0, codeOpen, nil, encodedString("fuzz"))
	hello = appendFrame(hello, frameAMQP, 0, codeBegin, nil, nil, encodedUint(0), encodedUint(1), encodedUint(1))
	attach := func(handle uint32, receiver []byte, source, target string) []byte {
		return appendFrame(nil, frameAMQP, 0, codeAttach, nil, encodedString("l"), encodedUint(handle), receiver, nil, nil,
			describedList(nil, codeSource, encodedString(source)), describedList(nil, codeTarget, encodedString(target)), nil, nil, encodedUint(0))
	}
	publisher := append(append([]byte(nil), hello...), attach(0, encodedFalse, "", hubName)...)
	for _, piece := range frames(newLoad(of(rawFrames, 1000)), 80) {
		publisher = append(publisher, piece...)
	}
	f.Add(publisher, uint16(7))
	request := append(append(append([]byte(nil), hello...), attach(0, encodedFalse, "", "$management")...), attach(1, encodedTrue, "$management", "me")...)
	request = appendFrame(request, frameAMQP, 0, codeFlow, nil, nil, encodedUint(1), encodedUint(1), encodedUint(1), encodedUint(1), encodedUint(0), encodedUint(1))
	request = appendFrame(request, frameAMQP, 0, codeTransfer, describedList(nil, sectionProperties, encodedString("1"), nil, nil, nil, encodedString("me")),
		encodedUint(0), encodedUint(0), []byte{0xa0, 0}, encodedUint(0))
	f.Add(request, uint16(1))
	f.Add([]byte(headerSASL), uint16(3))
	f.Fuzz(func(t *testing.T, text []byte, piece uint16) {
		server := &nullAMQP{partitions: 3, delay: newDelay(0)}
		c := newNullConn(server, discard{})
		for from, to := 0, 0; to < len(text) && !c.closed; {
			to = min(len(text), to+int(piece)%1000+1)
			used, err := c.take(text[from:to])
			if err != nil {
				return
			}
			from += used
			if to-from >= frameLimit {
				t.Fatalf("%d bytes are held back, which is a frame", to-from)
			}
		}
		for at := 8; at < len(c.out) && string(c.out[:4]) == "AMQP"; {
			if string(c.out[at:min(len(c.out), at+4)]) == "AMQP" {
				at += 8
				continue
			}
			frame, err := frameAt(c.out[at:])
			if err != nil {
				t.Fatalf("an answer is no frame: %x", c.out[at:])
			}
			at += frame.size
		}
	})
}
