package eventhubs

import (
	"context"
	"net"
	"runtime"
	"sort"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A sink is a service on loopback TCP that accepts every batch unread, so that the benchmark
// measures the producer.
type sink struct {
	remoteHub
}

func newSink(b *testing.B, idempotent bool) *sink {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	go func() { // ends with the listener; nothing waits for it
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			go swallow(nc) // ends with the connection
		}
	}()
	conn := connection.New(connection.Config{Namespace: listener.Addr().String(), Plain: true, WithoutCBS: true})
	return &sink{remoteHub{conn: conn, own: true, name: "hub", identifier: "sink", idempotent: idempotent}}
}

func (s *sink) Properties(context.Context) (connection.HubProperties, error) {
	return connection.HubProperties{Name: "hub", PartitionIDs: []string{"0", "1", "2", "3", "4", "5", "6", "7"}}, nil
}

func swallow(nc net.Conn) {
	conn, err := amqp.Server(context.Background(), nc, nil)
	if err != nil {
		return
	}
	for {
		l, err := conn.AcceptLink(context.Background())
		if err != nil {
			return
		}
		_ = l.Accept(&amqp.Attach{MaxMessageSize: 1_046_528, Properties: amqp.Map{
			{Key: amqp.Symbol(producerIDAnnotation), Value: int64(77)}, {Key: amqp.Symbol(producerEpochAnnotation), Value: int16(0)},
			{Key: amqp.Symbol(sequenceNumberAnnotation), Value: int32(0)},
		}})
		_ = l.Credit(300)
		go func() { // ends with the link
			for {
				d, err := l.Receive(context.Background())
				if err != nil {
					return
				}
				_ = d.Settle(amqp.Accepted{})
				d.Recycle()
			}
		}()
	}
}

// BenchmarkPublish1KBToASink measures what idempotence costs the producer. It sends batches of both
// kinds by turns, so that other load on the machine affects both. It reports two ratios of
// idempotent to plain: events a second, and bytes on the wire a second. Each is a median over the
// turns.
func BenchmarkPublish1KBToASink(b *testing.B) {
	const turn = 20_000
	producers := map[bool]*BufferedProducer{}
	for _, idempotent := range []bool{false, true} {
		o := Options{EnableIdempotentRetries: idempotent, MaxBufferedEvents: 10_000, OnBatchFailed: func(_ context.Context, f *Batch) { b.Error(f.Outcome.Err) }}
		o, err := o.withDefaults()
		if err != nil {
			b.Fatal(err)
		}
		p := mustNewProducer(b, "sink.example", newSink(b, idempotent), o)
		b.Cleanup(func() { _ = p.Close(context.Background()) })
		producers[idempotent] = p
	}
	data := &Event{Body: make([]byte, 1000)}
	publish := func(p *BufferedProducer) time.Duration {
		began := time.Now()
		for range turn {
			if err := p.Enqueue(b.Context(), data); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	publish(producers[false])
	publish(producers[true])
	runtime.GC()
	var ratios []float64
	for b.Loop() {
		off, on := publish(producers[false]), publish(producers[true])
		ratios = append(ratios, off.Seconds()/on.Seconds())
	}
	sort.Float64s(ratios)
	median := ratios[len(ratios)/2]
	bytes := func(idempotent bool) float64 {
		s := producers[idempotent].Stats()
		return float64(s.StoredBytes) / float64(s.StoredEvents)
	}
	b.ReportMetric(median, "events-ratio")
	b.ReportMetric(median*bytes(true)/bytes(false), "bytes-ratio")
	b.ReportMetric(0, "ns/op")
}
