package connection

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// manySenders returns a sender to each of a number of partitions.
func manySenders(b *bench, partitions int) []*Sender {
	senders := make([]*Sender, partitions)
	for i := range senders {
		senders[i] = b.Sender(testHub, strconv.Itoa(i), "")
	}
	return senders
}

// TestThousandPartitionsOpenAtTheSameTime has attaches that take a second each, except one that
// never ends.
func TestThousandPartitionsOpenAtTheSameTime(t *testing.T) {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		switch {
		case op.Kind != emulator.KindAttach || op.PartitionID == "":
			return emulator.Pass()
		case op.PartitionID == "500":
			return emulator.Silence()
		default:
			return emulator.Pass().After(time.Second)
		}
	}
	hubs := []emulator.Hub{{Name: testHub, Partitions: 1000}}
	inBubble(t, emulator.Options{Hubs: hubs, Hook: hook}, func(t *testing.T, b *bench) {
		start := time.Now()
		var wg sync.WaitGroup
		for i, s := range manySenders(b, 1000) {
			wg.Go(func() { // ends with the outcome, or half a minute later
				if i == 500 {
					wantResult(t, sendWithin(t, s, 30*time.Second, batch(1, 1)), NotSent, CodeTimeout)
					return
				}
				wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
				wantElapsed(t, start, time.Second)
			})
		}
		wg.Wait()
		for kind, want := range map[emulator.Kind]int{emulator.KindConnection: 1, emulator.KindPutToken: 1, emulator.KindAttach: 1002} {
			if got := b.tap.count(kind); got != want {
				t.Errorf("%d operations of kind %v, want %d", got, kind, want)
			}
		}
	})
}

// TestManyLostLinksAreReplacedWithoutTheOthers detaches half of a hundred links while all have a
// batch under way.
func TestManyLostLinksAreReplacedWithoutTheOthers(t *testing.T) {
	lossy := func(i int) bool { return i%2 == 0 }
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind != emulator.KindTransfer {
			return emulator.Pass()
		}
		if i, _ := strconv.Atoi(op.PartitionID); lossy(i) {
			return emulator.Detach("amqp:link:detach-forced", "moved")
		}
		return emulator.Pass().AnswerAfter(time.Second)
	}
	hubs := []emulator.Hub{{Name: testHub, Partitions: 100}}
	inBubble(t, emulator.Options{Hubs: hubs, Hook: hook}, func(t *testing.T, b *bench) {
		senders := manySenders(b, 100)
		var wg sync.WaitGroup
		for i, s := range senders {
			wg.Go(func() { // ends with the outcome
				if r := s.Send(t.Context(), batch(1, 1)); lossy(i) {
					wantResult(t, r, Unknown, CodeConnectionLost)
				} else {
					wantResult(t, r, Accepted, "")
				}
			})
		}
		wg.Wait()
		b.tap.set(nil)
		sendAll(t, senders, func(r Result) { wantResult(t, r, Accepted, "") })
		for kind, want := range map[emulator.Kind]int{emulator.KindConnection: 1, emulator.KindAttach: 152} {
			if got := b.tap.count(kind); got != want {
				t.Errorf("%d operations of kind %v, want %d", got, kind, want)
			}
		}
	})
}

// TestSessionsBeyondTheLimitAreRefusedAndCostNothing (H8): neither time nor the connection.
func TestSessionsBeyondTheLimitAreRefusedAndCostNothing(t *testing.T) {
	hubs := []emulator.Hub{{Name: testHub, Partitions: 10}}
	inBubble(t, emulator.Options{Hubs: hubs}, func(t *testing.T, b *bench) {
		b.Conn.maxSessions = 6 // one is the $cbs pair's
		senders := manySenders(b, 6)
		sendAll(t, senders[:5], func(r Result) { wantResult(t, r, Accepted, "") })
		start := time.Now()
		if e := wantResult(t, senders[5].Send(t.Context(), batch(1, 1)), NotSent, CodeQuotaExceeded); e.Transient || e.Lost {
			t.Errorf("error %+v", e)
		}
		wantElapsed(t, start, 0)
		sendAll(t, senders[:5], func(r Result) { wantResult(t, r, Accepted, "") })

		// A link that ends makes room.
		senders[0].Close(t.Context())
		wantResult(t, senders[5].Send(t.Context(), batch(1, 1)), Accepted, "")
		detach := func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				return emulator.Detach("amqp:link:detach-forced", "moved")
			}
			return emulator.Pass()
		}
		start = time.Now()
		for range 20 {
			b.tap.set(detach)
			sendAll(t, senders[1:], func(r Result) { wantResult(t, r, Unknown, CodeConnectionLost) })
			b.tap.set(nil)
			sendAll(t, senders[1:], func(r Result) { wantResult(t, r, Accepted, "") })
		}
		wantElapsed(t, start, 0)
		if got := b.tap.count(emulator.KindConnection); got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

// TestRefusedAttachesGiveTheirSessionsBack makes more attaches fail than there are sessions.
func TestRefusedAttachesGiveTheirSessionsBack(t *testing.T) {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.PartitionID != "" {
			return emulator.Reject("amqp:internal-error", "?")
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		b.Conn.maxSessions = 3
		s := b.Sender(testHub, "0", "")
		for range 20 {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeInternal)
		}
	})
}

// TestMemoryOfALink (H10) loosely pins the memory of an open link: ours and the emulator's
// together.
func TestMemoryOfALink(t *testing.T) {
	const links, bound = 200, 16_000
	hubs := []emulator.Hub{{Name: testHub, Partitions: links}}
	inBubble(t, emulator.Options{Hubs: hubs}, func(t *testing.T, b *bench) {
		senders := manySenders(b, links)
		wantResult(t, senders[0].Send(t.Context(), batch(1, 1)), Accepted, "")
		before := heap()
		goroutines := runtime.NumGoroutine()
		sendAll(t, senders[1:], func(r Result) { wantResult(t, r, Accepted, "") })
		bytes := (heap() - before) / (links - 1)
		each := float64(runtime.NumGoroutine()-goroutines) / (links - 1)
		t.Logf("%d bytes and %.1f goroutines for each link", bytes, each)
		if bytes > bound || each > 1.5 {
			t.Errorf("a link takes %d bytes and %.1f goroutines, want %d and 1 at most, the emulator's", bytes, each, bound)
		}
		runtime.KeepAlive(senders)
	})
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
