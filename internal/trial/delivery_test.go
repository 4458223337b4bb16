package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestWhatIsReadBackIsWhatTheHandlersWereTold(t *testing.T) {
	for name, options := range map[string]emulator.Options{"over TCP": {}, "in memory": {Addr: emulator.InMemory}} {
		for _, flush := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", flush ", flush), func(t *testing.T) {
				options.Hubs = world.Hubs(3)
				server := emulatortest.New(t, &options)
				var l world.Ledger
				p := world.NewProducer(t, server, eventhubs.Options{MaxBufferedEvents: 64, OnBatchSucceeded: l.Handle})
				total := 0
				for round := range 3 {
					total += world.PublishEveryWay(t, p, round)
					if !flush {
						continue
					}
					if err := p.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
					l.WantStored(t, server, total)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				l.WantStored(t, server, total)
			})
		}
	}
}

func TestEventsArriveOverWebSocket(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: world.Hubs(3)})
	var host string
	var l world.Ledger
	p := world.NewProducer(t, server, eventhubs.Options{OnBatchSucceeded: l.Handle, Connection: eventhubs.ConnectionOptions{
		NewWebSocketConn: func(ctx context.Context, url string) (net.Conn, error) {
			host = url
			c, _, err := websocket.Dial(ctx, server.URL(emulator.TransportWebSocket), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
			if err != nil {
				return nil, err
			}
			return websocket.NetConn(context.Background(), c, websocket.MessageBinary), nil
		},
	}})
	total := world.PublishEveryWay(t, p, 0)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.WantStored(t, server, total)
	if !strings.HasSuffix(host, "/$servicebus/websocket") {
		t.Errorf("the application was asked to open %q", host)
	}
}

// This is the stress scenario of the .NET client: bursts from five callers, with pauses between the
// bursts. Bodies have 100 to 262,144 bytes, and half of them are large.
func TestBurstsOfLargeAndSmallEventsArriveWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(4)})
		p := world.NewProducer(t, server, eventhubs.Options{MaxWaitTime: 5 * time.Second, MaxBufferedBytes: 8 << 20})
		var mu sync.Mutex
		sizes := map[string]int{}
		var callers sync.WaitGroup
		for c := range 5 {
			callers.Go(func() {
				random := rand.New(rand.NewPCG(3, uint64(c)))
				for burst := range 4 {
					set := func(yield func(*eventhubs.Event, error) bool) {
						for i := range 20 {
							size := 100 + random.IntN(10_000)
							if random.IntN(2) == 0 {
								size = 100_000 + random.IntN(162_145)
							}
							name := fmt.Sprint(c, burst, i)
							mu.Lock()
							sizes[name] = size
							mu.Unlock()
							if !yield(&eventhubs.Event{Body: []byte(strings.Repeat(string(rune('a'+c)), size)), MessageID: name}, nil) {
								return
							}
						}
					}
					if n, err := p.EnqueueAll(t.Context(), set); n != 20 || err != nil {
						t.Errorf("EnqueueAll returned %d, %v", n, err)
					}
					time.Sleep(400 * time.Millisecond)
				}
			})
		}
		callers.Wait()
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, id := range server.PartitionIDs("hub") {
			for e := range server.Events("hub", id) {
				name := fmt.Sprint(e.MessageID)
				if len(e.Body) != sizes[name] || strings.Trim(string(e.Body), string(e.Body[:1])) != "" {
					t.Errorf("event %s has %d bytes, or other ones; want %d", name, len(e.Body), sizes[name])
				}
				delete(sizes, name)
			}
		}
		if len(sizes) != 0 {
			t.Errorf("%d events are missing", len(sizes))
		}
	})
}

// The last pause ends with the delivery timeout. A try after it could only run out of time, and
// that would hide the real cause.
func TestTheTimeForDeliveryEndsWithWhatHadFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var outcome eventhubs.Outcome
		p, err := eventhubs.NewBufferedProducerFromConnectionString("Endpoint=sb://nowhere.example;SharedAccessKeyName=n;SharedAccessKey=a2V5", "hub", &eventhubs.Options{
			DeliveryTimeout: time.Minute,
			Retry:           eventhubs.RetryOptions{Policy: func(eventhubs.FailedTry) (time.Duration, bool) { return 7 * time.Second, true }},
			OnBatchFailed:   func(_ context.Context, b *eventhubs.Batch) { outcome = b.Outcome },
			Connection: eventhubs.ConnectionOptions{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				select { // a name server takes its time
				case <-time.After(5 * time.Millisecond):
					return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := p.Enqueue(t.Context(), &eventhubs.Event{}); err != nil {
			t.Fatal(err)
		}
		_ = p.Close(t.Context())
		if took := time.Since(began); took > time.Minute || outcome.Err == nil || !strings.Contains(outcome.Err.Error(), "no such host") || eventhubs.CodeOf(outcome.Err) != eventhubs.CodeNotFound {
			t.Errorf("after %v the outcome is %+v, want one within a minute that says no such host", took, outcome)
		}
	})
}

func TestANamespaceThatDoesNotExistFailsAsItsOptionsSay(t *testing.T) {
	for _, fast := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var outcome eventhubs.Outcome
			p, err := eventhubs.NewBufferedProducerFromConnectionString("Endpoint=sb://nowhere.example;SharedAccessKeyName=n;SharedAccessKey=a2V5", "hub", &eventhubs.Options{
				FailFast:        fast,
				DeliveryTimeout: time.Minute,
				OnBatchFailed:   func(_ context.Context, b *eventhubs.Batch) { outcome = b.Outcome },
				Connection: eventhubs.ConnectionOptions{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
					return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			// Enqueue accepts the event at once, whatever the network does.
			if err := p.Enqueue(t.Context(), &eventhubs.Event{}); err != nil || time.Since(began) > 0 {
				t.Errorf("Enqueue returned %v after %v", err, time.Since(began))
			}
			_ = p.Close(t.Context())
			if took := time.Since(began); fast && took > time.Second || !fast && took < 10*time.Second {
				t.Errorf("with FailFast %v the outcome came after %v", fast, took)
			}
			if outcome.Storage != eventhubs.NotStored || !strings.Contains(outcome.Err.Error(), "nowhere.example") {
				t.Errorf("the outcome is %+v", outcome)
			}
		})
	}
}

func TestEventsArriveOverTCP(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: world.Hubs(4)})
	p := world.NewProducer(t, server, eventhubs.Options{})
	const events = 5000
	for i := range events {
		e := &eventhubs.Event{Body: fmt.Appendf(nil, "%05d %s", i, strings.Repeat("x", 1000)), Properties: map[string]any{"n": int64(i)}}
		if err := p.Enqueue(t.Context(), world.With(e, &eventhubs.Event{PartitionKey: fmt.Sprint("key", i%10)})); err != nil {
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
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				keys = append(keys, fmt.Sprintf("%s %q %d", op.PartitionID, op.PartitionKey, op.Events))
			}
			return emulator.Pass()
		}})
		p := world.NewProducer(t, server, eventhubs.Options{})
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
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1)})
		p := world.NewProducer(t, server, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
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
		if got := world.Bodies(server, "0"); len(got) != 1 || got[0] != string(big) {
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
				server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindTransfer {
						if transfers++; transfers == 1 {
							return first
						}
					}
					return emulator.Pass()
				}})
				var tries int
				p := world.NewProducer(t, server, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce,
					OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) { tries = max(tries, b.Outcome.Tries) }})
				for i := range 10 {
					if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: fmt.Append(nil, i)}); err != nil {
						t.Fatal(err)
					}
				}
				if err := p.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := world.Bodies(server, "0")
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
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1)})
		p := world.NewProducer(t, server, eventhubs.Options{})
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
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(2)})
		p := world.NewProducer(t, server, eventhubs.Options{MaxBufferedEvents: 10})
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
		if got := len(world.Bodies(server, "0")) + len(world.Bodies(server, "1")); got != 1022 {
			t.Errorf("%d events arrived, want 1022, without the event that came with the error", got)
		}
	})
}

func TestEventHubProperties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(3)})
		p := world.NewProducer(t, server, eventhubs.Options{Identifier: "me"})
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
		p := world.NewProducer(t, server, eventhubs.Options{})
		defer p.Close(t.Context())
		_, err := p.EventHubProperties(t.Context())
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeNotFound || e.Transient || e.TrackingID == "" {
			t.Errorf("EventHubProperties returned %#v", err)
		}
	})
}
