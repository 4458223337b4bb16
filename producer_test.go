package eventhubs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// newProducer returns a producer for the server's hub, which it reaches over TCP, or in memory if the server does not listen.
func newProducer(t *testing.T, server *emulator.Server, options eventhubs.Options) *eventhubs.BufferedProducer {
	t.Helper()
	if server.Addr() == emulator.InMemory {
		options.Connection.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) }
	}
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("hub"), "", &options)
	if err != nil {
		t.Fatal(err)
	}
	return producer
}

func hub(partitions int) []emulator.Hub { return []emulator.Hub{{Name: "hub", Partitions: partitions}} }

func bodies(server *emulator.Server, partition string) (all []string) {
	for e := range server.Events("hub", partition) {
		all = append(all, string(e.Body))
	}
	return all
}

func TestEventsArriveOverTCP(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: hub(4)})
	p := newProducer(t, server, eventhubs.Options{})
	const events = 5000
	for i := range events {
		e := &eventhubs.Event{Body: fmt.Appendf(nil, "%05d %s", i, strings.Repeat("x", 1000)), Properties: map[string]any{"n": int64(i)}}
		if err := p.Enqueue(t.Context(), eventhubs.With(e, &eventhubs.Event{PartitionKey: fmt.Sprint("key", i%10)})); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := map[string]int64{}
	total := 0
	for partition := range 4 {
		for e := range server.Events("hub", fmt.Sprint(partition)) {
			total++
			n := e.Properties["n"].(int64)
			if e.PartitionKey != fmt.Sprint("key", n%10) {
				t.Errorf("event %d carries the key %q", n, e.PartitionKey)
			}
			if want := partitionkey.Index(e.PartitionKey, 4); partition != want {
				t.Errorf("key %q is in partition %d, want %d", e.PartitionKey, partition, want)
			}
			if before, ok := last[e.PartitionKey]; ok && before >= n {
				t.Errorf("event %d of key %q comes after %d", n, e.PartitionKey, before)
			}
			last[e.PartitionKey] = n
			if !bytes.HasPrefix(e.Body, fmt.Appendf(nil, "%05d ", n)) || len(e.Body) != 1006 {
				t.Errorf("event %d has another body", n)
			}
		}
	}
	if total != events {
		t.Errorf("%d events arrived, want %d", total, events)
	}
}

func TestTheEnvelopeOfABatchCarriesNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				keys = append(keys, fmt.Sprintf("%s %q %d", op.PartitionID, op.PartitionKey, op.Events))
			}
			return emulator.Pass()
		}})
		p := newProducer(t, server, eventhubs.Options{})
		for _, key := range []string{"a", "b"} {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{PartitionKey: key}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(keys) != 1 || keys[0] != `0 "" 2` {
			t.Errorf("the service saw %q, want one batch of two for partition 0 without a key", keys)
		}
	})
}

func TestALargeBatchTravelsInManyFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1)})
		p := newProducer(t, server, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
		big := bytes.Repeat([]byte{7}, 1_046_000) // nearly all that a link takes
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: big}); err != nil {
			t.Fatal(err)
		}
		tooBig := bytes.Repeat([]byte{8}, 1_047_000)
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: tooBig}); err != nil {
			t.Fatal(err)
		}
		err := p.Close(t.Context())
		if undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err); !ok || undelivered.Failed() != 1 || !errors.Is(err, eventhubs.ErrEventTooLarge) {
			t.Errorf("Close returned %v, want one event too large", err)
		}
		if got := bodies(server, "0"); len(got) != 1 || got[0] != string(big) {
			t.Errorf("%d events arrived", len(got))
		}
	})
}

func TestALostAcknowledgementIsSentAgain(t *testing.T) {
	for name, first := range map[string]emulator.Action{
		"cut before it was stored": emulator.Cut(),
		"cut after it was stored":  emulator.Cut().Stored(),
		"link detached":            emulator.Detach("amqp:link:detach-forced", "moved"),
		"connection forced":        emulator.CloseConnection("amqp:connection:forced", "upgrade").Stored(),
		"never answered":           emulator.Silence().Stored(),
		"released":                 emulator.Release(),
		"busy":                     emulator.Reject("com.microsoft:server-busy", "busy"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transfers := 0
				server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindTransfer {
						if transfers++; transfers == 1 {
							return first
						}
					}
					return emulator.Pass()
				}})
				var tries int
				p := newProducer(t, server, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce,
					OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) { tries = max(tries, b.Outcome.Tries) }})
				for i := range 10 {
					if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: fmt.Append(nil, i)}); err != nil {
						t.Fatal(err)
					}
				}
				if err := p.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := bodies(server, "0")
				seen := map[string]bool{}
				var order strings.Builder
				for _, body := range got {
					if !seen[body] {
						order.WriteString(body)
					}
					seen[body] = true
				}
				if order.String() != "0123456789" || tries != 2 {
					t.Errorf("stored %v after %d tries", got, tries)
				}
			})
		})
	}
}

func TestTheFirstEventAfterTwoHoursOfSilenceArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1)})
		p := newProducer(t, server, eventhubs.Options{})
		for range 3 {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("a")}); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("Flush took %v", took)
			}
			time.Sleep(2 * time.Hour)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestEnqueueAllTellsHowManyWereAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(2)})
		p := newProducer(t, server, eventhubs.Options{MaxBufferedEvents: 10})
		broken := errors.New("the file ends in the middle of a line")
		numbers := func(n, bad int) iter.Seq2[*eventhubs.Event, error] {
			return func(yield func(*eventhubs.Event, error) bool) {
				for i := range n {
					e := &eventhubs.Event{Body: fmt.Append(nil, i)}
					if i == bad {
						e.Properties = map[string]any{"bad": struct{}{}}
					}
					if !yield(e, nil) {
						return
					}
				}
				if n == 5 {
					yield(&eventhubs.Event{Body: []byte("half")}, broken)
				}
			}
		}
		if accepted, err := p.EnqueueAll(t.Context(), numbers(1000, -1)); accepted != 1000 || err != nil {
			t.Errorf("EnqueueAll returned %d, %v, want 1000: more than the buffer holds", accepted, err)
		}
		accepted, err := p.EnqueueAll(t.Context(), numbers(1000, 17))
		if accepted != 17 || !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), "event 17") {
			t.Errorf("EnqueueAll returned %d, %v, want 17 and the reason", accepted, err)
		}
		if accepted, err := p.EnqueueAll(t.Context(), numbers(5, -1)); accepted != 5 || !errors.Is(err, broken) || !strings.Contains(err.Error(), "after 5") {
			t.Errorf("EnqueueAll returned %d, %v, want 5 and the source's reason", accepted, err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(bodies(server, "0")) + len(bodies(server, "1")); got != 1022 {
			t.Errorf("%d events arrived, want 1022: not what came with the error", got)
		}
	})
}

func TestEventHubProperties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(3)})
		p := newProducer(t, server, eventhubs.Options{Identifier: "me"})
		defer p.Close(t.Context())
		properties, err := p.EventHubProperties(t.Context())
		if err != nil || properties.Name != "hub" || fmt.Sprint(properties.PartitionIDs) != "[0 1 2]" {
			t.Errorf("EventHubProperties returned %+v, %v", properties, err)
		}
		if p.EventHubName() != "hub" || p.Identifier() != "me" || p.FullyQualifiedNamespace() == "" {
			t.Errorf("the producer says it is %q of %q at %q", p.Identifier(), p.EventHubName(), p.FullyQualifiedNamespace())
		}
	})
}

func TestAHubThatDoesNotExistIsToldByItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: []emulator.Hub{{Name: "other", Partitions: 1}}})
		p := newProducer(t, server, eventhubs.Options{})
		defer p.Close(t.Context())
		_, err := p.EventHubProperties(t.Context())
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeNotFound || e.Transient || e.TrackingID == "" {
			t.Errorf("EventHubProperties returned %#v", err)
		}
	})
}
