package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestARetryKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.try < 4 {
				return transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		var told outcomes
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchSucceeded: told.handle})
		enqueue(t, p, "0", "a")
		synctest.Wait()
		enqueue(t, p, "0", "b", "c")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.storedIn("0")); got != "[a b c]" {
			t.Errorf("stored %s, want [a b c]", got)
		}
		if o := told.all()[0].outcome; o.Tries != 4 || o.Storage != Stored || o.OnWire == 0 {
			t.Errorf("the first batch's outcome is %+v", o)
		}
	})
}

func TestRetriesEndWithTheReason(t *testing.T) {
	tests := []struct {
		name    string
		answer  connection.Result
		retries int
		tries   int
		storage Storage
	}{
		{"refused for good", refused("no"), 5, 1, NotStored},
		{"never sent", transient(connection.NotSent), 2, 3, NotStored},
		{"released", transient(connection.Released), 2, 3, NotStored},
		{"cut in flight", transient(connection.Unknown), 2, 3, PossiblyStored},
		{"no retries", transient(connection.Unknown), -1, 1, PossiblyStored},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 1)
				peer.answer = func(sent) connection.Result { return tt.answer }
				var told outcomes
				p := peer.producer(Options{OnBatchFailed: told.handle, Retry: RetryOptions{MaxRetries: tt.retries}})
				enqueue(t, p, "0", "a")
				_ = p.Close(t.Context())
				o := told.all()[0].outcome
				if o.Tries != tt.tries || o.Storage != tt.storage {
					t.Errorf("got %d tries and %v, want %d and %v", o.Tries, o.Storage, tt.tries, tt.storage)
				}
				e, ok := errors.AsType[*Error](o.Err)
				if !ok || e.PartitionID != "0" || !errors.Is(o.Err, tt.answer.Err) {
					t.Errorf("the reason is %v", o.Err)
				}
			})
		})
	}
}

func TestOnceATryWasAmbiguousARefusalEndsAsPossiblyStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.try == 1 {
				return transient(connection.Unknown)
			}
			return refused("no")
		}
		var told outcomes
		p := peer.producer(Options{OnBatchFailed: told.handle})
		enqueue(t, p, "0", "a")
		_ = p.Close(t.Context())
		if o := told.all()[0].outcome; o.Storage != PossiblyStored || o.Tries != 2 {
			t.Errorf("the outcome is %+v", o)
		}
	})
}

func TestThrottlingIsWaitedForAndIsNotARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := connection.Result{Outcome: connection.Rejected, Err: &connection.Error{
			Code: connection.CodeThrottled, Condition: "com.microsoft:server-busy", Transient: true, Err: errors.New("busy")}}
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.try <= 20 {
				return busy
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, Retry: RetryOptions{MaxRetries: -1}})
		enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		sends := peer.sent()
		for i := 1; i < len(sends); i++ {
			if pause := sends[i].at - sends[i-1].at; pause < 4*time.Second || pause > 20*time.Second || i == 1 && pause > 5*time.Second {
				t.Errorf("paused %v, want between 4 s and 20 s, and at first up to 5 s", pause)
			}
		}
	})
}

func TestTheDeliveryTimeoutEndsRetrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(sent) connection.Result { return transient(connection.NotSent) }
		var told outcomes
		p := peer.producer(Options{OnBatchFailed: told.handle, DeliveryTimeout: 10 * time.Second, Retry: RetryOptions{MaxRetries: 1000}})
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		if at := told.all()[0].at; at > 10*time.Second || at < 3*time.Second {
			t.Errorf("the batch failed at %v, want within 10 s and not at its first failure", at)
		}
	})
}

func TestATryEndsAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Hour }
		var told outcomes
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchFailed: told.handle, Retry: RetryOptions{MaxRetries: -1, TryTimeout: 7 * time.Second}})
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		if b := told.all()[0]; b.at != 7*time.Second || b.outcome.Storage != PossiblyStored || !errors.Is(b.outcome.Err, context.DeadlineExceeded) {
			t.Errorf("the batch failed at %v with %+v", b.at, b.outcome)
		}
	})
}

func TestTheDelayDoublesUpToItsBound(t *testing.T) {
	r := RetryOptions{RetryDelay: 800 * time.Millisecond, MaxRetryDelay: time.Minute}
	for failures, want := range map[int]time.Duration{
		1: 800 * time.Millisecond, 2: 1600 * time.Millisecond, 5: 12800 * time.Millisecond, 8: time.Minute, 1000: time.Minute} {
		for range 100 {
			if got := r.delay(failures); got < want*8/10 || got > want*12/10 {
				t.Errorf("delay(%d) = %v, want %v, a fifth more or less", failures, got, want)
			}
		}
	}
	if got := (&RetryOptions{RetryDelay: -1}).delay(3); got != 0 {
		t.Errorf("without a delay delay(3) = %v", got)
	}
}

func TestAnEventTooLargeForTheLinkFailsAloneInItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.maxMessage = 1000
		var succeeded, failed outcomes
		var order []string
		note := func(record *outcomes) func(context.Context, *Batch) {
			return func(ctx context.Context, b *Batch) {
				record.handle(ctx, b)
				for e := range b.Events() {
					order = append(order, string(e.Body[0]))
				}
			}
		}
		p := peer.producer(Options{OnBatchSucceeded: note(&succeeded), OnBatchFailed: note(&failed)})
		large := strings.Repeat("L", 2000)
		enqueue(t, p, "0", "a", "b", large, "c", large, large, "d")
		undelivered, ok := errors.AsType[*UndeliveredError](p.Flush(t.Context()))
		if !ok || undelivered.Failed() != 3 || undelivered.Pending != 0 {
			t.Errorf("Flush returned %v, want 3 failed", undelivered)
		}
		if got := strings.Join(order, ""); got != "abLcLLd" {
			t.Errorf("told in the order %s, want abLcLLd", got)
		}
		for _, b := range failed.all() {
			tooLarge, ok := errors.AsType[*EventTooLargeError](b.outcome.Err)
			if !ok || tooLarge.Size < 2000 || tooLarge.Limit != 1000 || len(b.bodies) != 1 || b.outcome.Storage != NotStored {
				t.Errorf("a large event failed with %+v", b.outcome)
			}
			if !errors.Is(b.outcome.Err, ErrEventTooLarge) {
				t.Errorf("%v does not match the sentinel", b.outcome.Err)
			}
		}
		if p.BufferedEvents() != 0 || p.PartitionBufferedEvents("0") != 0 {
			t.Errorf("%d events are counted, %d in the partition", p.BufferedEvents(), p.PartitionBufferedEvents("0"))
		}
	})
}

func TestABatchIsCutAgainForASmallerLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.maxMessage = 10_000
		p := peer.producer(Options{MaxWaitTime: UntilFull})
		var want []string
		for i := range 500 { // 50 kB, cut at 256 KiB before the link is known
			body := fmt.Sprintf("%0100d", i)
			want = append(want, body)
			enqueue(t, p, "0", body)
		}
		flushes := make(chan error, 3)
		for range cap(flushes) {
			go func() { flushes <- p.Flush(t.Context()) }()
		}
		for range cap(flushes) {
			if err := <-flushes; err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range peer.sent() {
			if s.bytes > 10_000 {
				t.Errorf("a batch of %d bytes was sent over a link for 10000", s.bytes)
			}
		}
		if got := peer.storedIn("0"); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d events are stored, or not in their order", len(got))
		}
	})
}

func TestPartitionsAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result {
			if s.partition == "0" {
				return transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchFailed: func(context.Context, *Batch) {}, DeliveryTimeout: time.Minute})
		enqueue(t, p, "0", "bad")
		synctest.Wait()
		for i := range 10 {
			if err := p.Enqueue(t.Context(), event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := len(peer.storedIn("1")); got != 10 {
			t.Errorf("%d of 10 events without a key went to the healthy partition at once", got)
		}
	})
}

// A sender that is done waits for the work of any partition, but neither for long nor in numbers, nor when the producer is closed.
func TestIdleSendersAreFewAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 40)
		peer.answer = func(sent) connection.Result {
			time.Sleep(time.Millisecond) // so that each partition's sender is another
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.connected(Options{MaxWaitTime: SendAtOnce})
		busy := func() {
			t.Helper()
			for i := range 40 {
				enqueue(t, p, fmt.Sprint(i), "x")
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		busy()
		if got := p.crew.idle.Load(); got != idleSenders {
			t.Errorf("after 40 partitions have sent %d senders are idle, want %d", got, idleSenders)
		}
		time.Sleep(idleTime)
		synctest.Wait()
		if got := p.crew.idle.Load(); got != 0 {
			t.Errorf("%v later %d senders are idle, want none", idleTime, got)
		}
		busy()
		start := time.Now()
		if err := p.Close(t.Context()); err != nil || time.Since(start) != 0 {
			t.Errorf("Close with idle senders returned %v after %v, want nil at once", err, time.Since(start))
		}
	})
}

// A batch of two events is cut for a link that takes one. The first is held up; the second has a free sender.
func TestWhatIsCutOffGetsAFreeSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.maxMessage = 800
		peer.answer = func(s sent) connection.Result {
			if strings.HasPrefix(s.bodies[0], "a") {
				return transient(connection.NotSent) // until its time is over
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxConcurrentSendsPerPartition: 2, Retry: RetryOptions{MaxRetries: 1000}, OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", strings.Repeat("a", 600))
		var second Delivery
		if err := p.Enqueue(t.Context(), &Event{Body: []byte(strings.Repeat("b", 600)), PartitionID: "0", Delivery: &second}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if o := second.Outcome(); o.Storage != Stored || o.Queued > time.Second {
			t.Errorf("after a minute the outcome is %+v", o)
		}
	})
}

// A detachingHub has links that do with Detach what connection.Sender does: what is under way on them becomes unknown.
type detachingHub struct{ *peer }

func (h detachingHub) Link(id string) link {
	return &detachingLink{peerLink: peerLink{peer: h.peer, id: id}, given: make(chan struct{})}
}

type detachingLink struct {
	peerLink

	mu    sync.Mutex // guards the fields below
	given chan struct{}
	sends int
}

func (l *detachingLink) Detach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.given)
	l.given = make(chan struct{})
}

// Send releases the first batch, and then allows it no message. All others are stored, and acknowledged after a second.
func (l *detachingLink) Send(ctx context.Context, batch [][]byte) connection.Result {
	body := bodyOf(l.peer.t, eventsIn(l.peer.t, batch)[0])
	l.mu.Lock()
	given := l.given
	l.sends++
	first := l.sends == 1
	l.mu.Unlock()
	switch {
	case first:
		return connection.Result{Outcome: connection.Released, Err: &connection.Error{Code: connection.CodeReleased, Transient: true, Err: errors.New("released")}}
	case body == "first":
		<-ctx.Done()
		return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodeTimeout, Transient: true, Err: ctx.Err()}}
	}
	l.peer.store(sent{partition: l.id, bodies: []string{body}})
	select {
	case <-time.After(time.Second):
		return connection.Result{Outcome: connection.Accepted}
	case <-given:
		return transient(connection.Unknown)
	}
}

// A try that was allowed no message gives its link up only if it had all its time, and nobody else sends on that link: otherwise what others have
// sent would be sent again, and stored twice.
func TestATryWithoutCreditLeavesOthersTheirLink(t *testing.T) {
	for _, c := range []struct {
		name     string
		options  Options
		again    time.Duration // after which the first batch is tried again
		second   time.Duration // at which the second batch is sent
		detached bool
	}{
		{"cut short", Options{DeliveryTimeout: 10 * time.Second}, 9900 * time.Millisecond, 10 * time.Second, false},
		{"cut short, beside another", Options{DeliveryTimeout: 10 * time.Second, MaxConcurrentSendsPerPartition: 2}, 9900 * time.Millisecond, 9800 * time.Millisecond, false},
		{"beside another", Options{MaxConcurrentSendsPerPartition: 2}, time.Millisecond, 4500 * time.Millisecond, false},
		{"alone", Options{}, time.Millisecond, 4500 * time.Millisecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.options.MaxWaitTime, c.options.OnBatchFailed = SendAtOnce, func(context.Context, *Batch) {}
				c.options.Retry = RetryOptions{TryTimeout: 5 * time.Second, Policy: func(f FailedTry) (time.Duration, bool) { return c.again, f.Failures < 2 }}
				o, err := c.options.withDefaults()
				if err != nil {
					t.Fatal(err)
				}
				peer := newPeer(t, 1)
				o.Logger = cmp.Or(o.Logger, unlogged)
				p := newProducer("test.example", "hub", detachingHub{peer}, o)
				enqueue(t, p, "0", "first")
				synctest.Wait()
				given := p.directory.table.Load().partitions[0].link.(*detachingLink).given
				time.Sleep(c.second)
				enqueue(t, p, "0", "second")
				_ = p.Flush(t.Context())
				if got := peer.storedIn("0"); len(got) != 1 {
					t.Errorf("what was sent beside is stored as %v", got)
				}
				select {
				case <-given:
					if !c.detached {
						t.Error("the link was given up")
					}
				default:
					if c.detached {
						t.Error("the link was not given up, though another might have been allowed something")
					}
				}
				_ = p.Close(t.Context())
			})
		})
	}
}
