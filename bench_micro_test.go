package eventhubs

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// These benchmarks measure the parts of Enqueue. bench/ measures the whole, beside other clients.

// A nullHub accepts every batch without looking at it.
type nullHub struct{ *scripted.Hub }

func (h nullHub) Link(id string) link { return nullLink{&scripted.Link{Peer: h.Hub, ID: id}} }

type nullLink struct{ *scripted.Link }

func (nullLink) Send(context.Context, [][]byte) connection.Result {
	return connection.Result{Outcome: connection.Accepted}
}

func nullProducer(b *testing.B, partitioning Partitioning) *BufferedProducer {
	return nullProducerWith(b, &Options{MaxBufferedEvents: 100_000, Partitioning: partitioning})
}

func nullJournalProducer(b *testing.B, sync JournalSync) *BufferedProducer {
	return nullProducerWith(b, &Options{MaxBufferedEvents: 100_000, Journal: &JournalOptions{Directory: b.TempDir(), Sync: sync, KeepFree: -1}})
}

func nullProducerWith(b *testing.B, options *Options) *BufferedProducer {
	o, err := options.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	p := mustNewProducer(b, "bench.example", nullHub{scripted.New(nil, 8)}, o)
	if err := p.Connect(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return p
}

// BenchmarkEnqueue measures the producer without a network, from Enqueue to the outcome.
func BenchmarkEnqueue(b *testing.B) {
	for _, size := range []int{100, 1000, 10_000} {
		for _, how := range []struct {
			name         string
			partitioning Partitioning
			key          string
		}{{"round-robin", RoundRobin, ""}, {"sticky", Sticky, ""}, {"keyed", RoundRobin, "device-12345"}} {
			b.Run(fmt.Sprintf("%dB/%s", size, how.name), func(b *testing.B) {
				p, body := nullProducer(b, how.partitioning), make([]byte, size)
				b.ReportAllocs()
				for b.Loop() {
					if err := p.Enqueue(b.Context(), &Event{Body: body, PartitionKey: how.key}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkEnqueueJournal measures the same with a journal, from the call to the outcome of the last
// event. One runs event by event, all runs EnqueueAll, and callers runs 64 goroutines.
func BenchmarkEnqueueJournal(b *testing.B) {
	for _, sync := range []JournalSync{SyncOS, SyncInterval, SyncEach} {
		for _, size := range []int{100, 1000, 10_000} {
			for _, how := range []string{"one", "all", "callers"} {
				if sync == SyncEach && how == "one" {
					continue // it measures the disk's fsync
				}
				b.Run(fmt.Sprintf("%s/%dB/%s", journalSyncName(sync), size, how), func(b *testing.B) {
					p := nullJournalProducer(b, sync)
					event := Event{Body: make([]byte, size)}
					b.ReportAllocs()
					var err error
					switch how {
					case "one":
						for b.Loop() {
							err = cmp.Or(err, p.Enqueue(b.Context(), &event))
						}
					case "all":
						_, err = p.EnqueueAll(b.Context(), func(yield func(*Event, error) bool) {
							for b.Loop() && yield(&event, nil) {
							}
						})
					case "callers":
						b.SetParallelism(64 / runtime.GOMAXPROCS(0))
						b.RunParallel(func(pb *testing.PB) {
							for pb.Next() {
								if err := p.Enqueue(b.Context(), &event); err != nil {
									b.Error(err)
								}
							}
						})
					}
					if err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
					if err := p.Flush(b.Context()); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
				})
			}
		}
	}
}

func journalSyncName(s JournalSync) string {
	return [...]string{SyncEach: "SyncEach", SyncInterval: "SyncInterval", SyncOS: "SyncOS"}[s]
}

// BenchmarkEnqueueParallel shares one producer among one goroutine per processor.
func BenchmarkEnqueueParallel(b *testing.B) {
	p, body := nullProducer(b, RoundRobin), make([]byte, 100)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := p.Enqueue(b.Context(), &Event{Body: body}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkEnqueueWith measures events that have more than a body.
func BenchmarkEnqueueWith(b *testing.B) {
	body, later := make([]byte, 100), time.Now().Add(time.Hour)
	for name, event := range map[string]func() Event{
		"nothing":     func() Event { return Event{Body: body} },
		"tag":         func() Event { return Event{Body: body, Tag: later} },
		"delivery":    func() Event { return Event{Body: body, Delivery: new(Delivery)} },
		"ExpiresAt":   func() Event { return Event{Body: body, ExpiresAt: later} },
		"PartitionID": func() Event { return Event{Body: body, PartitionID: "3"} },
	} {
		b.Run(name, func(b *testing.B) {
			p := nullProducer(b, RoundRobin)
			b.ReportAllocs()
			for b.Loop() {
				e := event()
				if err := p.Enqueue(b.Context(), &e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	body := make([]byte, 1000)
	for name, event := range map[string]*Event{
		"body":       {Body: body},
		"ids":        {Body: body, MessageID: "message-1", ContentType: "application/json", CorrelationID: "trip-7"},
		"properties": {Body: body, Properties: map[string]any{"sensor": "north", "value": 21.5, "sequence": int64(12345)}},
	} {
		for _, key := range []string{"", "device-12345"} {
			b.Run(fmt.Sprintf("%s/keyed=%v", name, key != ""), func(b *testing.B) {
				var w wireEvent
				b.ReportAllocs()
				for b.Loop() {
					if err := w.encode(event, key); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkPartitionForKey(b *testing.B) {
	for _, key := range []string{"a", "device-12345", "a-key-that-is-as-long-as-a-uuid-is-00"} {
		b.Run(fmt.Sprintf("%dB", len(key)), func(b *testing.B) {
			for b.Loop() {
				partitionkey.Index(key, 32)
			}
		})
	}
}

// BenchmarkAdmission takes room for an event and gives it back.
func BenchmarkAdmission(b *testing.B) {
	a := newAdmission(100_000, 64<<20, nil, nil)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.enter(ctx, wish{bytes: 100}); err != nil {
			b.Fatal(err)
		}
		a.leave(nil, freed{events: 1, bytes: 100})
	}
}
