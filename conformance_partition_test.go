package eventhubs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// Peers hold a send slot while a batch lingers, so that with many partitions lingers add up.
func TestLingeringHoldsNoSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions = 500
		peer := newPeer(t, partitions)
		p := peer.connected(Options{})
		for i := range partitions {
			enqueue(t, p, fmt.Sprint(i), "e")
		}
		synctest.Wait()
		if n := producerGoroutines(); n > 0 {
			t.Errorf("%d goroutines wait for batches to fill", n)
		}
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if got := len(peer.sent()); got != partitions {
			t.Errorf("after one linger %d batches were sent, want %d", got, partitions)
		}
	})
}

// producerGoroutines counts the goroutines that producers have started: those of senders, discovery and refresh.
func producerGoroutines() (n int) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "eventhubs.(*partition).send(") || strings.Contains(stack, "eventhubs.(*staging).discover(") || strings.Contains(stack, ".refresh(") {
			n++
		}
	}
	return n
}

func TestAnIdleProducerHasNoGoroutineAndNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{})
		for i := range 100 {
			if err := p.Enqueue(t.Context(), event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if n := producerGoroutines(); n != 4 {
			t.Errorf("%d goroutines send, want 4: the count below would prove nothing", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := producerGoroutines(); n > 0 || p.BufferedEvents() != 0 {
			t.Errorf("%d goroutines stay, %d events are buffered", n, p.BufferedEvents())
		}
		for _, part := range p.directory.table.Load().partitions {
			if part.linger.Stop() {
				t.Errorf("the timer of partition %s is running", part.id)
			}
		}
	})
}

func TestManyGoroutinesMayEnqueueForOnePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return 5 * time.Millisecond }
		p := peer.producer(Options{MaxBufferedEvents: 50})
		var callers sync.WaitGroup
		for c := range 200 {
			callers.Go(func() {
				for i := range 20 {
					enqueue(t, p, "0", fmt.Sprintf("%d %02d", c, i))
				}
			})
		}
		callers.Wait()
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		byCaller := map[string][]string{}
		for _, body := range peer.storedIn("0") {
			c, _, _ := strings.Cut(body, " ")
			byCaller[c] = append(byCaller[c], body)
		}
		for c, bodies := range byCaller {
			if len(bodies) != 20 || !slices.IsSorted(bodies) {
				t.Errorf("of caller %s there are %v", c, bodies)
			}
		}
		if len(byCaller) != 200 {
			t.Errorf("events of %d callers are stored, want 200", len(byCaller))
		}
	})
}

// picked is the partition that the next event without key and id is given.
func picked(p *BufferedProducer) *partition {
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	return p.directory.pick(0)
}

func TestTheRingVisitsAllPartitionsInTurn(t *testing.T) {
	for _, partitions := range []int{1, 2, 3, 4, 5, 6, 7, 16, 32, 2000} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, partitions).connected(Options{})
			for i := range 2*partitions + 1 {
				if got, want := picked(p).id, fmt.Sprint(i%partitions); got != want {
					t.Fatalf("of %d partitions event %d goes to %s, want %s", partitions, i, got, want)
				}
			}
		})
	}
}

func TestTheRingIsFairToCallersAtOnceAndWhenItWraps(t *testing.T) {
	for name, start := range map[string]uint32{"at once": 0, "at its end": math.MaxUint32 - 500} {
		for _, partitions := range []int{3, 7, 16} {
			t.Run(fmt.Sprint(name, " ", partitions), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPeer(t, partitions).connected(Options{})
					p.directory.ring.Store(start)
					counts := make([]atomic.Int32, partitions)
					var callers sync.WaitGroup
					for range 4 {
						callers.Go(func() {
							for range 100 * partitions {
								part := picked(p)
								counts[slices.Index(p.directory.table.Load().partitions, part)].Add(1)
							}
						})
					}
					callers.Wait()
					for i := range counts {
						if got := counts[i].Load(); got < 398 || got > 402 {
							t.Errorf("partition %d was chosen %d times, want 400, two more or less", i, got)
						}
					}
				})
			})
		}
	}
}

func TestAHubThatGrowsKeepsWhatIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		p := peer.connected(Options{MaxWaitTime: UntilFull})
		earlier := slices.Clone(p.directory.table.Load().partitions)
		enqueue(t, p, "0", "a")
		enqueue(t, p, "1", "b")
		peer.partitions = []string{"0", "1", "2", "3"}
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if tab := p.directory.table.Load(); !slices.Equal(tab.partitions[:2], earlier) || len(tab.partitions) != 4 || p.PartitionBufferedEvents("0") != 1 {
			t.Error("the partitions that were there are others now")
		}
		enqueue(t, p, "0", "c")
		enqueue(t, p, "3", "d")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.storedIn("0"), peer.storedIn("1"), peer.storedIn("3")); got != "[a c] [b] [d]" {
			t.Errorf("stored %s", got)
		}
	})
}

func TestAFailedRefreshChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := newPeer(t, 2)
		peer.properties = func(call int) error {
			if call > 1 {
				return transient(connection.NotSent).Err
			}
			return nil
		}
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, PartitionRefreshInterval: time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 10 {
			time.Sleep(2 * time.Minute)
			enqueue(t, p, "1", fmt.Sprint(i))
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if peer.asked < 5 || len(peer.storedIn("1")) != 10 || !strings.Contains(log.String(), "could not be refreshed") {
			t.Errorf("asked %d times, %d events are stored, logged:\n%s", peer.asked, len(peer.storedIn("1")), log.String())
		}
	})
}

func TestCloseAfterIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{MaxWaitTime: UntilFull})
		enqueue(t, p, "0", "first")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		enqueue(t, p, "0", "last")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		peer.wantSends("in all", "0s 0 [first]", "1h0m0s 0 [last]")
	})
}

// A callback for each event, not for each batch, is what applications of the .NET client write by hand.
func TestEachEventsDeliveryAndTagAreItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.maxMessage = 1000
		tags := map[any]error{}
		var kept iter.Seq[any]
		var last []any
		note := func(_ context.Context, b *Batch) {
			var decoded []any
			for e := range b.Events() {
				tags[e.Tag] = b.Outcome.Err
				decoded = append(decoded, e.Tag)
			}
			kept, last = b.Tags(), decoded
			if bare := slices.Collect(kept); !slices.Equal(bare, decoded) {
				t.Errorf("Tags yields %v, the events have %v", bare, decoded)
			}
		}
		p := peer.producer(Options{OnBatchSucceeded: note, OnBatchFailed: note})
		deliveries := make([]Delivery, 20)
		for i := range deliveries {
			body := "small"
			if i%5 == 4 {
				body = strings.Repeat("large", 300)
			}
			o := &Event{PartitionID: "0", Delivery: &deliveries[i], Tag: i}
			if i%3 == 0 {
				o.Delivery = nil
			}
			if err := p.Enqueue(t.Context(), With(event(body), o)); err != nil {
				t.Fatal(err)
			}
		}
		_ = p.Close(t.Context())
		if late := slices.Collect(kept); !slices.Equal(late, last) {
			t.Errorf("after the handler has returned Tags yields %v, want %v as before", late, last)
		}
		for i := range deliveries {
			tooLarge := i%5 == 4
			if errors.Is(tags[i], ErrEventTooLarge) != tooLarge {
				t.Errorf("the handler was told %v of event %d", tags[i], i)
			}
			if i%3 == 0 {
				continue
			}
			select {
			case <-deliveries[i].Done():
			default:
				t.Errorf("event %d was not told", i)
			}
			if errors.Is(deliveries[i].Err(), ErrEventTooLarge) != tooLarge {
				t.Errorf("the Delivery of event %d was told %v", i, deliveries[i].Err())
			}
		}
	})
}

// Each way of sealing a batch, with each kind of trouble beside it: nothing may stay behind for ever.
func TestNoBatchStaysBehind(t *testing.T) {
	for _, wait := range []time.Duration{SendAtOnce, 100 * time.Millisecond, UntilFull} {
		for _, concurrent := range []int{1, 3} {
			for _, partitioning := range []Partitioning{RoundRobin, Sticky, ServiceAssigned} {
				for _, troubled := range []bool{false, true} {
					t.Run(fmt.Sprint(wait, concurrent, partitioning, troubled), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { leaveNothing(t, wait, concurrent, partitioning, troubled) })
					})
				}
			}
		}
	}
}

// leaveNothing keeps callers waiting for room, so that pressure alone must empty the buffer, and then stops: without pressure the linger must.
func leaveNothing(t *testing.T, wait time.Duration, concurrent int, partitioning Partitioning, troubled bool) {
	peer := newPeer(t, 4)
	peer.latency = func() time.Duration { return 20 * time.Millisecond }
	peer.answer = func(s sent) connection.Result {
		if troubled && s.partition == "1" && s.try <= 6 {
			return transient(connection.NotSent)
		}
		return connection.Result{Outcome: connection.Accepted}
	}
	p := peer.connected(Options{MaxWaitTime: wait, MaxConcurrentSendsPerPartition: concurrent, Partitioning: partitioning, MaxBufferedEvents: 40, OnBatchFailed: ignore})
	var callers sync.WaitGroup
	for c := range 20 {
		callers.Go(func() {
			for i := range 30 {
				o := &Event{}
				if c%4 == 0 {
					o.PartitionID = fmt.Sprint(i % 4)
				}
				if err := p.Enqueue(t.Context(), With(event(fmt.Sprint(c, i)), o)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	if took := now(); took > 5*time.Minute {
		t.Errorf("600 events into a buffer for 40 took %v", took)
	}
	if wait == UntilFull {
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	} else {
		time.Sleep(5 * time.Minute)
	}
	synctest.Wait()
	if got := p.BufferedEvents(); got != 0 {
		t.Errorf("%d events stay behind: %+v", got, p.Stats())
	}
}
