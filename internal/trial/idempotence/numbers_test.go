package idempotence

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestNumbersCountTheStoredEventsOfEachPartition(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true})
		w.Enqueue(p, "0", "a", "b")
		w.Enqueue(p, "1", "c")
		w.Must(p.Flush(w.Context()))
		w.Server.CutAll()
		w.Enqueue(p, "0", "d")
		w.Must(p.Flush(w.Context()))
		w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 0/2 b 0/3 d]")
		w.Want("partition 1", w.NumbersIn("1"), "[0/1 c]")
		s := p.Stats().Partitions
		w.Want("the last numbers", fmt.Sprint(s[0].LastNumber, s[1].LastNumber, s[2].LastNumber), "3 1 -1")
	})
}

// The buffer counts a batch's bytes exactly as the service gets them. Sending adds nothing.
func TestABatchIsAsLargeAsItIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world.World{T: t, Server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1)})}
		sent := 0
		w.OnTransfer(func(_ int, op emulator.Operation) emulator.Action {
			sent += op.Bytes
			return emulator.Pass()
		})
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true})
		for i := range 60 {
			key := ""
			if i%3 == 0 {
				key = strings.Repeat("k", 1+2*i) // some annotations are longer than 255 bytes
			}
			w.Must(p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(strings.Repeat("x", 5*i)), PartitionKey: key}))
		}
		w.Must(p.Enqueue(t.Context(), &eventhubs.Event{AMQP: &eventhubs.AMQPMessage{
			Body:               &eventhubs.AMQPBody{Value: "value"},
			MessageAnnotations: map[any]any{"com.microsoft:producer-sequence-number": int32(7), "mine": 1},
		}}))
		counted := p.Stats().BufferedBytes
		w.Must(p.Flush(t.Context()))
		w.Want("bytes sent", sent, counted)
	})
}

func TestABatchThatIsCutForItsLinkKeepsItsNumbersInOrder(t *testing.T) {
	for name, mode := range world.Modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world.World{T: t, Server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Idempotence: mode, MaxMessageSize: 3000})}
				transfers := 0
				w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
					transfers = n
					if n == 2 {
						return emulator.Cut().Stored()
					}
					return emulator.Pass()
				})
				p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, MaxWaitTime: eventhubs.UntilFull})
				var want []string
				for i := range 100 {
					body := fmt.Sprint("e", i)
					want = append(want, fmt.Sprintf("0/%d %s", i+1, body))
					w.Enqueue(p, "0", body)
				}
				w.Must(p.Flush(t.Context()))
				w.Want("partition 0", w.NumbersIn("0"), want)
				if transfers < 3 {
					t.Errorf("%d transfers: the batch was not cut", transfers)
				}
			})
		})
	}
}

func TestNumbersOfWhatIsCertainlyNotStoredAreUsedAgain(t *testing.T) {
	for name, refusal := range map[string]emulator.Action{
		"rejected": emulator.Reject("amqp:not-allowed", "never"),
		"released": emulator.Release(),
		"modified": emulator.Modify(),
	} {
		t.Run(name, func(t *testing.T) {
			world.InEachMode(t, func(w *world.World) {
				w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
					if n == 2 {
						return refusal
					}
					return emulator.Pass()
				})
				p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{MaxRetries: -1}})
				w.Enqueue(p, "0", "a")
				w.Must(p.Flush(w.Context()))
				var b eventhubs.Delivery
				_, _ = p.Publish(w.Context(), &eventhubs.Event{Body: []byte("b"), PartitionID: "0", Delivery: &b})
				w.Want("b", b.Outcome().Storage, eventhubs.NotStored)
				w.Enqueue(p, "0", "c")
				w.WantUndelivered("Flush", p.Flush(w.Context()), 1)
				w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 0/2 c]")
			})
		})
	}
}

// A batch that waited for credit in vain never reached the service, so its numbers are free.
func TestWhatWasNeverSentIsNumberedAnew(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		attaches := 0
		w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindAttach && op.PartitionID == "0" {
				if attaches++; attaches == 2 {
					return emulator.WithholdCredit(0)
				}
			}
			return emulator.Pass()
		})
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{MaxRetries: -1, TryTimeout: 5 * time.Second}})
		w.Enqueue(p, "0", "a")
		w.Must(p.Flush(w.Context()))
		w.Server.CutAll()
		synctest.Wait()
		var b eventhubs.Delivery
		_, err := p.Publish(w.Context(), &eventhubs.Event{Body: []byte("b"), PartitionID: "0", Delivery: &b})
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeTimeout || b.Outcome().Storage != eventhubs.NotStored {
			w.Errorf("without credit Publish returned %v, %v", err, b.Outcome().Storage)
		}
		w.Server.CutAll()
		synctest.Wait()
		w.Enqueue(p, "0", "c")
		w.WantUndelivered("Flush", p.Flush(w.Context()), 1)
		w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 0/2 c]")
	})
}

// If the reply to the attach reports that the batch is stored, the producer does not send it again.
func TestAReportedNumberSettlesABatchWithoutAnotherTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world.World{T: t, Server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Idempotence: emulator.Idempotence{ReportTracked: true}})}
		transfers := 0
		w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
			if transfers = n; n == 2 {
				return emulator.Cut().Stored()
			}
			return emulator.Pass()
		})
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true})
		to := &eventhubs.Event{PartitionID: "0"}
		for _, body := range []string{"a", "b", "c"} {
			w.Must(world.OutcomeErr(p.Publish(t.Context(), world.With(world.Event(body), to))))
		}
		w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 0/2 b 0/3 c]")
		w.Want("transfers", transfers, 3)
		w.Want("the last number", p.Stats().Partitions[0].LastNumber, 3)
	})
}

// Numbers wrap from the largest back to 0: within a batch, through a retry, and over a restart.
func TestNumbersWrapEndToEnd(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		id := eventhubs.ProducerID{ID: 4711, Epoch: 3}
		f, err := world.AttachForeigner(w.Context(), w.Server.Dial, "0", id, math.MaxInt32-3)
		w.Must(err)
		w.Must(f.Conn.Close())
		state := world.NewMemoryState()
		w.Must(state.Save(w.Context(), world.KeyOf("0"), eventhubs.ProducerID{}, id))
		w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
			if n == 2 {
				return emulator.Cut().Stored()
			}
			return emulator.Pass()
		})
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		w.Must(p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: true}))
		w.Want("the last number", p.Stats().Partitions[0].LastNumber, math.MaxInt32-3)
		w.Must(world.OutcomeErr(p.Publish(w.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: "0"})))
		w.Enqueue(p, "0", "b", "c", "d")
		w.Must(p.Flush(w.Context()))
		w.Want("the last number", p.Stats().Partitions[0].LastNumber, 0)
		w.Must(p.Close(w.Context()))

		p = w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		w.Must(world.OutcomeErr(p.Publish(w.Context(), &eventhubs.Event{Body: []byte("e"), PartitionID: "0"})))
		w.Want("partition 0", w.NumbersIn("0"), "[4/2147483645 a 4/2147483646 b 4/2147483647 c 4/0 d 5/1 e]")
	})
}

func TestOptionsThatIdempotentRetriesCannotKeepAreRefused(t *testing.T) {
	for text, o := range map[string]eventhubs.Options{
		"ServiceAssigned":                {EnableIdempotentRetries: true, Partitioning: eventhubs.ServiceAssigned},
		"MaxConcurrentSendsPerPartition": {EnableIdempotentRetries: true, MaxConcurrentSendsPerPartition: 2},
		"ProducerStore":                  {ProducerStore: world.NewMemoryState()},
	} {
		_, err := eventhubs.NewBufferedProducerFromConnectionString("Endpoint=sb://n.example;SharedAccessKeyName=n;SharedAccessKey=a2V5", "hub", &o)
		if !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "EnableIdempotentRetries") {
			t.Errorf("the constructor returned %v, want ErrInvalidArgument for %s", err, text)
		}
	}
}

// Connect reports whether the service offers idempotent retries, with one link or with all of them.
func TestConnectAttachesAsAProducer(t *testing.T) {
	for _, links := range []bool{false, true} {
		world.InEachMode(t, func(w *world.World) {
			p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true})
			w.Must(p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: links}))
			var last []int64
			for _, s := range p.Stats().Partitions {
				last = append(last, s.LastNumber)
			}
			want := "[0 -1 -1 -1]"
			if links {
				want = "[0 0 0 0]"
			}
			w.Want("the last numbers", last, want)
			w.Must(world.OutcomeErr(p.Publish(w.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: "0"})))
			w.Want("partition 0", w.NumbersIn("0"), "[0/1 a]")
		})
	}
}

// Connect and the senders share each partition's identity. Neither disturbs the other while
// connections break all the time.
func TestConnectMayRaceWithSenders(t *testing.T) {
	for _, mode := range world.Modes {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(2), Idempotence: mode})
		w := &world.World{T: t, Server: server}
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, MaxWaitTime: eventhubs.SendAtOnce, ProducerStore: world.NewMemoryState(),
			Retry: eventhubs.RetryOptions{RetryDelay: time.Millisecond, MaxRetries: 1000}})
		var others sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for range 3 {
			others.Go(func() {
				for ctx.Err() == nil {
					_ = p.Connect(ctx, &eventhubs.ConnectOptions{Links: true})
					_ = p.Stats()
				}
			})
		}
		var want [2][]string
		for i := range 300 {
			body := fmt.Sprint("e", i)
			want[i%2] = append(want[i%2], fmt.Sprintf("0/%d %s", i/2+1, body))
			w.Enqueue(p, fmt.Sprint(i%2), body)
			if i%50 == 0 {
				server.CutAll()
			}
		}
		w.Must(p.Flush(t.Context()))
		stop()
		others.Wait()
		for partition := range want {
			w.Want("stored", w.NumbersIn(fmt.Sprint(partition)), want[partition])
		}
	}
}

// A batch that a handler enqueues again gets new numbers. Neither the handler nor the application
// sees any.
func TestNobodySeesTheNumbers(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
			if n == 2 {
				return emulator.Reject("amqp:not-allowed", "once")
			}
			return emulator.Pass()
		})
		var mu sync.Mutex
		var seen []string
		see := func(b *eventhubs.Batch) {
			mu.Lock()
			defer mu.Unlock()
			for e := range b.Events() {
				seen = append(seen, fmt.Sprint(e.Body[0], e.AMQP.MessageAnnotations, e.AMQP.DeliveryAnnotations, e.AMQP.Header.Durable))
			}
		}
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{MaxRetries: -1},
			OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) { see(b) },
			OnBatchFailed: func(ctx context.Context, b *eventhubs.Batch) {
				see(b)
				if n, err := b.EnqueueAgain(ctx); n != 1 || err != nil {
					w.Errorf("EnqueueAgain returned %d, %v", n, err)
				}
			}})
		type mine string
		for _, body := range []byte{1, 2, 3} {
			w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte{body}, PartitionID: "0", AMQP: &eventhubs.AMQPMessage{
				Header:              &eventhubs.AMQPHeader{Durable: true},
				DeliveryAnnotations: map[any]any{"d": int64(1)},
				MessageAnnotations: map[any]any{
					"com.microsoft:producer-id": int64(1), mine("com.microsoft:producer-epoch"): int16(1), "m": int64(2),
				},
			}}))
			_ = p.Flush(w.Context())
		}
		w.Must(p.Close(w.Context()))
		w.Want("stored", w.NumbersIn("0"), "[0/1 \x01 0/2 \x02 0/3 \x03]")
		rest := " map[m:2] map[d:1] true"
		w.Want("seen", seen, fmt.Sprint([]string{"1" + rest, "2" + rest, "2" + rest, "3" + rest}))
	})
}

func TestIdempotentEventsArriveOverTCPAndWebSocket(t *testing.T) {
	for _, webSocket := range []bool{false, true} {
		server := emulatortest.New(t, &emulator.Options{Hubs: world.Hubs(3)})
		o := eventhubs.Options{EnableIdempotentRetries: true}
		if webSocket {
			o.Connection.NewWebSocketConn = func(ctx context.Context, _ string) (net.Conn, error) {
				c, _, err := websocket.Dial(ctx, server.URL(emulator.TransportWebSocket), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
				if err != nil {
					return nil, err
				}
				return websocket.NetConn(context.Background(), c, websocket.MessageBinary), nil
			}
		}
		var l world.Ledger
		o.OnBatchSucceeded = l.Handle
		p := world.NewProducer(t, server, o)
		total := 0
		for round := range 3 {
			total += world.PublishEveryWay(t, p, round)
			server.CutAll()
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.WantStored(t, server, total)
		for _, id := range server.PartitionIDs("hub") {
			next := int32(1)
			for e := range server.Events("hub", id) {
				if got := e.Annotations["com.microsoft:producer-sequence-number"]; got != next {
					t.Errorf("partition %s: an event has the number %v, want %d", id, got, next)
				}
				next++
			}
		}
	}
}
