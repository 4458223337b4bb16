package eventhubs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// A ledger is what handlers are told, by partition and in their order.
type ledger struct {
	mu   sync.Mutex // guards the field below
	told map[string][]string
}

func (l *ledger) handle(_ context.Context, b *eventhubs.Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == nil {
		l.told = map[string][]string{}
	}
	for e := range b.Events() {
		l.told[b.PartitionID] = append(l.told[b.PartitionID], fmt.Sprintf("%s|%s|%v", e.Body, e.PartitionKey, e.Properties["n"]))
	}
}

// wantStored checks that each partition holds what the handlers were told, in that order.
func (l *ledger) wantStored(t *testing.T, server *emulator.Server, total int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range server.PartitionIDs("hub") {
		var stored []string
		for e := range server.Events("hub", id) {
			stored = append(stored, fmt.Sprintf("%s|%s|%v", e.Body, e.PartitionKey, e.Properties["n"]))
		}
		if !slices.Equal(stored, l.told[id]) {
			t.Errorf("partition %s holds %d events, the handlers were told of %d, or in another order", id, len(stored), len(l.told[id]))
		}
		total -= len(stored)
	}
	if total != 0 {
		t.Errorf("%d events are missing", total)
	}
}

// publishEveryWay enqueues events with a key, with an id, with neither, and as a set.
func publishEveryWay(t *testing.T, p *eventhubs.BufferedProducer, round int) (events int) {
	t.Helper()
	next := func() *eventhubs.Event {
		events++
		return &eventhubs.Event{Body: fmt.Appendf(nil, "%d-%d", round, events), Properties: map[string]any{"n": int64(events)}}
	}
	for i := range 50 {
		for _, o := range []*eventhubs.Event{nil, {PartitionKey: fmt.Sprint("key", i%5)}, {PartitionID: fmt.Sprint(i % 3)}} {
			if err := p.Enqueue(t.Context(), eventhubs.With(next(), o)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := p.EnqueueAll(t.Context(), eventhubs.Events(next(), next(), next())); err != nil {
		t.Fatal(err)
	}
	return events
}

func TestWhatIsReadBackIsWhatTheHandlersWereTold(t *testing.T) {
	for name, options := range map[string]emulator.Options{"over TCP": {}, "in memory": {Addr: emulator.InMemory}} {
		for _, flush := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", flush ", flush), func(t *testing.T) {
				options.Hubs = hub(3)
				server := emulatortest.New(t, &options)
				var l ledger
				p := newProducer(t, server, eventhubs.Options{MaxBufferedEvents: 64, OnBatchSucceeded: l.handle})
				total := 0
				for round := range 3 {
					total += publishEveryWay(t, p, round)
					if !flush {
						continue
					}
					if err := p.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
					l.wantStored(t, server, total)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				l.wantStored(t, server, total)
			})
		}
	}
}

func TestEventsArriveOverWebSocket(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: hub(3)})
	var host string
	var l ledger
	p := newProducer(t, server, eventhubs.Options{OnBatchSucceeded: l.handle, Connection: eventhubs.ConnectionOptions{
		NewWebSocketConn: func(ctx context.Context, url string) (net.Conn, error) {
			host = url
			c, _, err := websocket.Dial(ctx, server.URL(emulator.TransportWebSocket), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
			if err != nil {
				return nil, err
			}
			return websocket.NetConn(context.Background(), c, websocket.MessageBinary), nil
		},
	}})
	total := publishEveryWay(t, p, 0)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.wantStored(t, server, total)
	if !strings.HasSuffix(host, "/$servicebus/websocket") {
		t.Errorf("the application was asked to open %q", host)
	}
}

// The stress scenario of the .NET client: bursts from five callers, bodies of 100 to 262,144 bytes, half of them large, and pauses between the bursts.
func TestBurstsOfLargeAndSmallEventsArriveWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(4)})
		p := newProducer(t, server, eventhubs.Options{MaxWaitTime: 5 * time.Second, MaxBufferedBytes: 8 << 20})
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

// The last pause ends with the time for the delivery. A try then could only fail for want of time, which would hide why all have failed.
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
			// Accepted at once, whatever the network.
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
