package emulator_test

import (
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// openClient connects with the project's own engine, which costs less than go-amqp.
func openClient(b testing.TB, server *emulator.Server) *amqp.Session {
	b.Helper()
	nc, err := server.Dial(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	conn, err := amqp.Client(b.Context(), nc, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(nil) })
	session, err := conn.NewSession(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return session
}

// fullBatch is a batch of nearly a megabyte of events of 100 bytes.
func fullBatch(b testing.TB) (payload []byte, events int) {
	b.Helper()
	event, err := (&amqp.Message{Data: [][]byte{make([]byte, 100)}}).AppendTo(nil)
	if err != nil {
		b.Fatal(err)
	}
	for len(payload) < 1_000_000 {
		payload = amqp.AppendBinary(amqp.AppendSectionHeader(payload, amqp.SectionData), event)
		events++
	}
	return payload, events
}

func mustAttach(b testing.TB, session *amqp.Session, attach *amqp.Attach) *amqp.Link {
	b.Helper()
	link, err := session.Attach(b.Context(), attach)
	if err != nil {
		b.Fatal(err)
	}
	return link
}

func send(b testing.TB, link *amqp.Link, payload []byte) {
	b.Helper()
	d := &amqp.Delivery{Format: 0x80013700, Payload: payload}
	if err := link.Send(b.Context(), d); err != nil {
		b.Fatal(err)
	}
	if state, err := d.Wait(b.Context()); err != nil || state != (amqp.Accepted{}) {
		b.Fatal(state, err)
	}
}

// BenchmarkTakeBatches has one batch of nearly a megabyte in flight at a time. The difference
// between its cases is the cost of keeping events. A retention bounds the memory.
func BenchmarkTakeBatches(b *testing.B) {
	kept := []emulator.Hub{{Name: "events", Retention: emulator.Retention{Bytes: 64 << 20}}}
	for _, test := range []struct {
		name    string
		options emulator.Options
	}{
		{"discarded", emulator.Options{Discard: true}},
		{"stored", emulator.Options{Hubs: kept}},
	} {
		b.Run(test.name, func(b *testing.B) {
			test.options.Addr = emulator.InMemory
			server, err := emulator.New(&test.options)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = server.Close() })
			link := mustAttach(b, openClient(b, server), &amqp.Attach{
				Name: "s", Role: amqp.RoleSender, Source: &amqp.Source{}, Target: &amqp.Target{Address: "events/Partitions/0"},
			})
			payload, events := fullBatch(b)
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				send(b, link, payload)
			}
			b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkDeliverEvents has one receiver read one batch again and again.
func BenchmarkDeliverEvents(b *testing.B) {
	server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Close() })
	session := openClient(b, server)
	payload, events := fullBatch(b)
	send(b, mustAttach(b, session, &amqp.Attach{
		Name: "s", Role: amqp.RoleSender, Source: &amqp.Source{}, Target: &amqp.Target{Address: "events/Partitions/0"},
	}), payload)
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		link := mustAttach(b, session, &amqp.Attach{
			Name: "r", Role: amqp.RoleReceiver, Target: &amqp.Target{},
			Source: &amqp.Source{Address: "events/ConsumerGroups/$Default/Partitions/0"},
		})
		if err := link.Credit(1000); err != nil {
			b.Fatal(err)
		}
		for range events {
			if _, err := link.Receive(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		if err := link.Detach(nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
