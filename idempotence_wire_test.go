package eventhubs_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// numbersIn returns what the events of a partition carry: "epoch/number body" each. The ids are counted in their order: "2:epoch/number body" is of the second one.
func (w *world) numbersIn(partition string) (all []string) {
	var ids []int64
	for e := range w.server.Events("hub", partition) {
		id, _ := e.Annotations["com.microsoft:producer-id"].(int64)
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		prefix := ""
		if nth := slices.Index(ids, id) + 1; nth > 1 {
			prefix = fmt.Sprint(nth, ":")
		}
		all = append(all, fmt.Sprintf("%s%v/%v %s", prefix, e.Annotations["com.microsoft:producer-epoch"], e.Annotations["com.microsoft:producer-sequence-number"], e.Body))
	}
	return all
}

func (w *world) enqueue(p *eventhubs.BufferedProducer, partition string, bodies ...string) {
	w.Helper()
	for _, body := range bodies {
		w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: partition}))
	}
}

func TestNumbersCountTheStoredEventsOfEachPartition(t *testing.T) {
	inEachMode(t, func(w *world) {
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true})
		w.enqueue(p, "0", "a", "b")
		w.enqueue(p, "1", "c")
		w.must(p.Flush(w.Context()))
		w.server.CutAll()
		w.enqueue(p, "0", "d")
		w.must(p.Flush(w.Context()))
		w.want("partition 0", w.numbersIn("0"), "[0/1 a 0/2 b 0/3 d]")
		w.want("partition 1", w.numbersIn("1"), "[0/1 c]")
		s := p.Stats().Partitions
		w.want("the last numbers", fmt.Sprint(s[0].LastNumber, s[1].LastNumber, s[2].LastNumber), "3 1 -1")
	})
}

// What the buffer counts for a batch is what the service gets, to the byte: nothing is added when it is sent.
func TestABatchIsAsLargeAsItIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1)})}
		sent := 0
		w.onTransfer(func(_ int, op emulator.Operation) emulator.Action {
			sent += op.Bytes
			return emulator.Pass()
		})
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true})
		for i := range 60 {
			key := ""
			if i%3 == 0 {
				key = strings.Repeat("k", 1+2*i) // some make the annotations longer than 255 bytes
			}
			w.must(p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(strings.Repeat("x", 5*i)), PartitionKey: key}))
		}
		w.must(p.Enqueue(t.Context(), &eventhubs.Event{AMQP: &eventhubs.AMQPMessage{
			Body:               &eventhubs.AMQPBody{Value: "value"},
			MessageAnnotations: map[any]any{"com.microsoft:producer-sequence-number": int32(7), "mine": 1},
		}}))
		counted := p.Stats().BufferedBytes
		w.must(p.Flush(t.Context()))
		w.want("bytes sent", sent, counted)
	})
}

func TestABatchThatIsCutForItsLinkKeepsItsNumbersInOrder(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{T: t, server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Idempotence: mode, MaxMessageSize: 3000})}
				transfers := 0
				w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
					transfers = n
					if n == 2 {
						return emulator.Cut().Stored()
					}
					return emulator.Pass()
				})
				p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, MaxWaitTime: eventhubs.UntilFull})
				var want []string
				for i := range 100 {
					body := fmt.Sprint("e", i)
					want = append(want, fmt.Sprintf("0/%d %s", i+1, body))
					w.enqueue(p, "0", body)
				}
				w.must(p.Flush(t.Context()))
				w.want("partition 0", w.numbersIn("0"), want)
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
			inEachMode(t, func(w *world) {
				w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
					if n == 2 {
						return refusal
					}
					return emulator.Pass()
				})
				p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{MaxRetries: -1}})
				w.enqueue(p, "0", "a")
				w.must(p.Flush(w.Context()))
				var b eventhubs.Delivery
				_, _ = p.Publish(w.Context(), &eventhubs.Event{Body: []byte("b"), PartitionID: "0", Delivery: &b})
				w.want("b", b.Outcome().Storage, eventhubs.NotStored)
				w.enqueue(p, "0", "c")
				w.wantUndelivered("Flush", p.Flush(w.Context()), 1)
				w.want("partition 0", w.numbersIn("0"), "[0/1 a 0/2 c]")
			})
		})
	}
}

// A batch that waited for credit in vain was seen by nobody: its numbers are free.
func TestWhatWasNeverSentIsNumberedAnew(t *testing.T) {
	inEachMode(t, func(w *world) {
		attaches := 0
		w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindAttach && op.PartitionID == "0" {
				if attaches++; attaches == 2 {
					return emulator.WithholdCredit(0)
				}
			}
			return emulator.Pass()
		})
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{MaxRetries: -1, TryTimeout: 5 * time.Second}})
		w.enqueue(p, "0", "a")
		w.must(p.Flush(w.Context()))
		w.server.CutAll()
		synctest.Wait()
		var b eventhubs.Delivery
		_, err := p.Publish(w.Context(), &eventhubs.Event{Body: []byte("b"), PartitionID: "0", Delivery: &b})
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeTimeout || b.Outcome().Storage != eventhubs.NotStored {
			w.Errorf("without credit Publish returned %v, %v", err, b.Outcome().Storage)
		}
		w.server.CutAll()
		synctest.Wait()
		w.enqueue(p, "0", "c")
		w.wantUndelivered("Flush", p.Flush(w.Context()), 1)
		w.want("partition 0", w.numbersIn("0"), "[0/1 a 0/2 c]")
	})
}

// If the reply to the attach reports that the batch is stored, it is not sent again.
func TestAReportedNumberSettlesABatchWithoutAnotherTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Idempotence: emulator.Idempotence{ReportTracked: true}})}
		transfers := 0
		w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
			if transfers = n; n == 2 {
				return emulator.Cut().Stored()
			}
			return emulator.Pass()
		})
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true})
		to := &eventhubs.Event{PartitionID: "0"}
		for _, body := range []string{"a", "b", "c"} {
			w.must(outcomeErr(p.Publish(t.Context(), eventhubs.With(data(body), to))))
		}
		w.want("partition 0", w.numbersIn("0"), "[0/1 a 0/2 b 0/3 c]")
		w.want("transfers", transfers, 3)
		w.want("the last number", p.Stats().Partitions[0].LastNumber, 3)
	})
}

// Numbers go from the largest back to 0, within a batch and through a retry, and over a restart.
func TestNumbersWrapEndToEnd(t *testing.T) {
	inEachMode(t, func(w *world) {
		id := eventhubs.ProducerID{ID: 4711, Epoch: 3}
		f, err := attachForeigner(w.Context(), w.server.Dial, "0", id, math.MaxInt32-3)
		w.must(err)
		w.must(f.conn.Close())
		state := newMemoryState()
		w.must(state.Save(w.Context(), keyOf("0"), eventhubs.ProducerID{}, id))
		w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
			if n == 2 {
				return emulator.Cut().Stored()
			}
			return emulator.Pass()
		})
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		w.must(p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: true}))
		w.want("the last number", p.Stats().Partitions[0].LastNumber, math.MaxInt32-3)
		w.must(outcomeErr(p.Publish(w.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: "0"})))
		w.enqueue(p, "0", "b", "c", "d")
		w.must(p.Flush(w.Context()))
		w.want("the last number", p.Stats().Partitions[0].LastNumber, 0)
		w.must(p.Close(w.Context()))

		p = w.producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		w.must(outcomeErr(p.Publish(w.Context(), &eventhubs.Event{Body: []byte("e"), PartitionID: "0"})))
		w.want("partition 0", w.numbersIn("0"), "[4/2147483645 a 4/2147483646 b 4/2147483647 c 4/0 d 5/1 e]")
	})
}

func TestOptionsThatIdempotentRetriesCannotKeepAreRefused(t *testing.T) {
	for text, o := range map[string]eventhubs.Options{
		"ServiceAssigned":                {EnableIdempotentRetries: true, Partitioning: eventhubs.ServiceAssigned},
		"MaxConcurrentSendsPerPartition": {EnableIdempotentRetries: true, MaxConcurrentSendsPerPartition: 2},
		"ProducerStore":                  {ProducerStore: newMemoryState()},
	} {
		_, err := eventhubs.NewBufferedProducerFromConnectionString("Endpoint=sb://n.example;SharedAccessKeyName=n;SharedAccessKey=a2V5", "hub", &o)
		if !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "EnableIdempotentRetries") {
			t.Errorf("the constructor returned %v, want ErrInvalidArgument about %s", err, text)
		}
	}
}

// Connect tells whether the service offers idempotent retries, with one link or with all of them.
func TestConnectAttachesAsAProducer(t *testing.T) {
	for _, links := range []bool{false, true} {
		inEachMode(t, func(w *world) {
			p := w.producer(eventhubs.Options{EnableIdempotentRetries: true})
			w.must(p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: links}))
			var last []int64
			for _, s := range p.Stats().Partitions {
				last = append(last, s.LastNumber)
			}
			want := "[0 -1 -1 -1]"
			if links {
				want = "[0 0 0 0]"
			}
			w.want("the last numbers", last, want)
			w.must(outcomeErr(p.Publish(w.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: "0"})))
			w.want("partition 0", w.numbersIn("0"), "[0/1 a]")
		})
	}
}

// Connect and the senders share each partition's identity: neither disturbs the other, while connections break all the time.
func TestConnectMayRaceWithSenders(t *testing.T) {
	for _, mode := range modes {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(2), Idempotence: mode})
		w := &world{T: t, server: server}
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, MaxWaitTime: eventhubs.SendAtOnce, ProducerStore: newMemoryState(),
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
			w.enqueue(p, fmt.Sprint(i%2), body)
			if i%50 == 0 {
				server.CutAll()
			}
		}
		w.must(p.Flush(t.Context()))
		stop()
		others.Wait()
		for partition := range want {
			w.want("stored", w.numbersIn(fmt.Sprint(partition)), want[partition])
		}
	}
}

// What a handler enqueues again gets numbers of its own, and neither it nor the application sees any.
func TestNobodySeesTheNumbers(t *testing.T) {
	inEachMode(t, func(w *world) {
		w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
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
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{MaxRetries: -1},
			OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) { see(b) },
			OnBatchFailed: func(ctx context.Context, b *eventhubs.Batch) {
				see(b)
				if n, err := b.EnqueueAgain(ctx); n != 1 || err != nil {
					w.Errorf("EnqueueAgain returned %d, %v", n, err)
				}
			}})
		type mine string
		for _, body := range []byte{1, 2, 3} {
			w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte{body}, PartitionID: "0", AMQP: &eventhubs.AMQPMessage{
				Header:              &eventhubs.AMQPHeader{Durable: true},
				DeliveryAnnotations: map[any]any{"d": int64(1)},
				MessageAnnotations: map[any]any{
					"com.microsoft:producer-id": int64(1), mine("com.microsoft:producer-epoch"): int16(1), "m": int64(2),
				},
			}}))
			_ = p.Flush(w.Context())
		}
		w.must(p.Close(w.Context()))
		w.want("stored", w.numbersIn("0"), "[0/1 \x01 0/2 \x02 0/3 \x03]")
		rest := " map[m:2] map[d:1] true"
		w.want("seen", seen, fmt.Sprint([]string{"1" + rest, "2" + rest, "2" + rest, "3" + rest}))
	})
}

// newMemoryState returns a state that never fails.
func newMemoryState() eventhubs.ProducerStore { return newSharedState(nil, 0, calm()).of(1) }

// calm is that of a state which does not fail.
func calm() *atomic.Bool {
	b := new(atomic.Bool)
	b.Store(true)
	return b
}

func TestIdempotentEventsArriveOverTCPAndWebSocket(t *testing.T) {
	for _, webSocket := range []bool{false, true} {
		server := emulatortest.New(t, &emulator.Options{Hubs: hub(3)})
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
		var l ledger
		o.OnBatchSucceeded = l.handle
		p := newProducer(t, server, o)
		total := 0
		for round := range 3 {
			total += publishEveryWay(t, p, round)
			server.CutAll()
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.wantStored(t, server, total)
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
