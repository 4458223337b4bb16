package eventhubs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// A stingy service takes less than its links say. What is larger is rejected, or its link detached.
type stingy struct {
	takes   int // bytes of a message; 0: whatever the link takes
	detach  bool
	mixed   bool // rejects and detaches, at random
	mute    bool // its text does not say what it takes
	random  *rand.Rand
	mu      sync.Mutex // guards the fields below, and random
	refused []int      // the events of what was refused
	largest int        // bytes of what was taken
}

// refuses looks at a transfer.
func (s *stingy) refuses(op emulator.Operation) (emulator.Action, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op.Kind != emulator.KindTransfer || s.takes == 0 || op.Bytes <= s.takes {
		if op.Kind == emulator.KindTransfer {
			s.largest = max(s.largest, op.Bytes)
		}
		return emulator.Pass(), false
	}
	s.refused = append(s.refused, op.Events)
	text := tracked(fmt.Sprintf("The received message (delivery-id:0, size:%d bytes) exceeds the limit (%d bytes) currently allowed on the link.", op.Bytes, s.takes))
	if s.mute {
		text = tracked("The received message is too large.")
	}
	if s.detach || s.mixed && s.random.IntN(2) == 0 {
		return emulator.Detach("amqp:link:message-size-exceeded", text), true
	}
	return emulator.Reject("amqp:link:message-size-exceeded", text), true
}

func (s *stingy) hook(_ context.Context, op emulator.Operation) emulator.Action {
	action, _ := s.refuses(op)
	return action
}

// taken returns what was refused and what was taken since it was last asked.
func (s *stingy) taken() (refused []int, largest int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refused, largest = s.refused, s.largest
	s.refused, s.largest = nil, 0
	return refused, largest
}

// modelStinginess is that of half of a model's seeds.
func modelStinginess(seed uint64) *stingy {
	random := rand.New(rand.NewPCG(seed, 41))
	s := &stingy{takes: []int{0, 0, 0, 600, 1700, 2900}[random.IntN(6)], mute: random.IntN(2) == 0, mixed: true, random: random}
	return s
}

// judge says what is wrong with how a batch ended for its size. Alone says that no other was on its way on the same link.
func (s *stingy) judge(b *eventhubs.Batch, idempotent, alone bool) (fault string) {
	e, refused := errors.AsType[*eventhubs.Error](b.Outcome.Err)
	refused = refused && e.Code == eventhubs.CodeTooLarge && !errors.Is(b.Outcome.Err, eventhubs.ErrPartitionStopped) &&
		!cutShort(b.Outcome.Err) && !errors.Is(b.Outcome.Err, eventhubs.ErrDeliveryTimeout)
	sizes, single := errors.AsType[*eventhubs.EventTooLargeError](b.Outcome.Err)
	switch {
	case !refused:
	case single && (b.Count != 1 || s.takes == 0 || b.Bytes <= s.takes):
		return fmt.Sprintf("%d events in %d bytes are told as too large by a service that takes %d", b.Count, b.Bytes, s.takes)
	case single && (sizes.Size != b.Bytes || sizes.Limit != s.takes && (!s.mute || sizes.Limit != b.Bytes-1)):
		return fmt.Sprintf("an event of %d bytes is told as %d, limit %d, by a service that takes %d", b.Bytes, sizes.Size, sizes.Limit, s.takes)
	case !single && !idempotent && alone:
		return fmt.Sprintf("%d events fail together: %v", b.Count, b.Outcome.Err)
	case !single && b.Outcome.Storage != eventhubs.PossiblyStored:
		return fmt.Sprintf("%d events, none of which is stored, fail together: %v", b.Count, b.Outcome.Err)
	}
	return ""
}

// stinginesses are the ways in which a service says that it takes less.
func stinginesses(t *testing.T, test func(t *testing.T, s *stingy, o eventhubs.Options)) {
	for _, detach := range []bool{false, true} {
		for _, mute := range []bool{false, true} {
			for _, idempotent := range []bool{false, true} {
				t.Run(fmt.Sprintf("detach=%v,mute=%v,idempotent=%v", detach, mute, idempotent), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						test(t, &stingy{detach: detach, mute: mute}, eventhubs.Options{EnableIdempotentRetries: idempotent})
					})
				})
			}
		}
	}
}

func TestABatchThatIsTooLargeAfterAllIsCut(t *testing.T) {
	stinginesses(t, func(t *testing.T, s *stingy, o eventhubs.Options) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Hook: s.hook})
		s.takes = 1700
		o.Retry.MaxRetries = -1 // a cut is no retry
		o.FailFast = true
		o.Retry.Policy = func(f eventhubs.FailedTry) (time.Duration, bool) {
			t.Errorf("the policy is asked about %v", f.Err)
			return 0, false
		}
		o.OnBatchFailed = func(_ context.Context, b *eventhubs.Batch) { t.Errorf("%d events failed: %v", b.Count, b.Outcome.Err) }
		p := newProducer(t, server, o)
		var want []string
		began := time.Now()
		round := func() (refused []int, largest int) {
			for range 2000 {
				want = append(want, fmt.Sprintf("%05d %s", len(want), strings.Repeat("x", 140)))
				if err := p.Enqueue(t.Context(), data(want[len(want)-1])); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Errorf("Flush: %v", err)
			}
			return s.taken()
		}
		refused, largest := round()
		most := 12 // 320 KB, halved until they are 1700 bytes, and what was cut off is not tried as it was
		if !s.mute {
			most = 1
		}
		if len(refused) == 0 || len(refused) > most || largest > 1700 || largest < 700 {
			t.Errorf("%d messages were refused, %v, and the largest that was taken had %d bytes; want at most %d, and nearly 1700", len(refused), refused, largest, most)
		}
		// What was learned holds, also for those whose link was detached and says what it has said before.
		if refused, _ := round(); len(refused) != 0 {
			t.Errorf("%d more messages were refused after the limit was learned: %v", len(refused), refused)
		}
		if got := bodies(server, "0"); !slices.Equal(got, want) {
			t.Errorf("%d events are stored, want %d in order", len(got), len(want))
		}
		if h := p.Health(); h.State != eventhubs.HealthReady || !h.LastFailure.IsZero() {
			t.Errorf("Health says %v, last failure %v", h.State, h.LastErr)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v; want no pauses", took)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// One event is too large, and one is refused for its size whatever that is: each fails alone, in its place, and those after them leave in batches as before.
func TestOnlyAnEventThatIsRefusedAloneIsTooLarge(t *testing.T) {
	stinginesses(t, func(t *testing.T, s *stingy, o eventhubs.Options) {
		s.takes = 40_000
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Hook: s.hook})
		type failure struct {
			tag   any
			count int
			sizes eventhubs.EventTooLargeError
			code  eventhubs.Code
			id    string
		}
		var failed []failure
		var told []string
		o.OnBatchSucceeded = func(_ context.Context, b *eventhubs.Batch) {
			for tag := range b.Tags() {
				told = append(told, tag.(string))
			}
		}
		o.OnBatchFailed = func(_ context.Context, b *eventhubs.Batch) {
			f := failure{count: b.Count}
			for tag := range b.Tags() {
				f.tag = tag
				told = append(told, tag.(string))
			}
			if sizes, ok := errors.AsType[*eventhubs.EventTooLargeError](b.Outcome.Err); ok {
				f.sizes = eventhubs.EventTooLargeError{Size: sizes.Size, Limit: sizes.Limit}
			}
			if e, ok := errors.AsType[*eventhubs.Error](b.Outcome.Err); ok {
				f.code, f.id = e.Code, e.TrackingID
			}
			if !errors.Is(b.Outcome.Err, eventhubs.ErrEventTooLarge) || b.Outcome.Storage != eventhubs.NotStored || sizeOf(b) != f.sizes.Size {
				t.Errorf("%d events, of which the batch says %d bytes, are told %v, %v", b.Count, b.Bytes, b.Outcome.Storage, b.Outcome.Err)
			}
			failed = append(failed, f)
		}
		p := newProducer(t, server, o)
		var want []string
		deliveries := map[string]*eventhubs.Delivery{}
		for i := range 400 {
			tag, size := fmt.Sprintf("%03d", i), 150
			if i == 123 {
				size = 60_000
			}
			d := new(eventhubs.Delivery)
			deliveries[tag] = d
			want = append(want, tag)
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(tag + strings.Repeat("x", size)), Tag: tag, Delivery: d}); err != nil {
				t.Fatal(err)
			}
		}
		undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](p.Flush(t.Context()))
		if !ok || undelivered.Failed() != 1 || undelivered.Pending != 0 || !errors.Is(undelivered, eventhubs.ErrEventTooLarge) {
			t.Errorf("Flush returned %v, want one event too large", undelivered)
		}
		if !slices.Equal(told, want) {
			t.Errorf("told in the order %v", told)
		}
		sizes := eventhubs.EventTooLargeError{Size: 60_019, Limit: 40_000}
		if o.EnableIdempotentRetries {
			sizes.Size += 120 // its numbers
		}
		if s.mute {
			sizes.Limit = sizes.Size - 1
		}
		if want := []failure{{"123", 1, sizes, eventhubs.CodeTooLarge, "2_G0"}}; !slices.Equal(failed, want) {
			t.Errorf("told as failed: %+v, want %+v", failed, want)
		}
		for tag, d := range deliveries {
			o := d.Outcome()
			if (o.Err != nil) != (tag == "123") || o.Tries < 1 {
				t.Errorf("the Delivery of %s is told %+v", tag, o)
			}
		}
		if got := len(bodies(server, "0")); got != 399 {
			t.Errorf("%d events are stored, want 399", got)
		}
		s.taken()
		for range 400 {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(strings.Repeat("y", 150)), Tag: "y"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if refused, largest := s.taken(); len(refused) > 1 || largest < 15_000 {
			t.Errorf("after it %v were refused, and the largest batch has %d bytes; want at most one, and 20,000 to 40,000", refused, largest)
		}
	})
}

// sizeOf is the size that a batch of one event says.
func sizeOf(b *eventhubs.Batch) int {
	if b.Count != 1 {
		return -1
	}
	return b.Bytes
}

// A small event that the service calls too large, for whatever reason, fails alone, and teaches nothing.
func TestOnePoisonousEventDoesNotHaveTheOthersLeaveOneByOne(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var poisoned, largest int
			var server *emulator.Server
			server = emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind != emulator.KindTransfer {
					return emulator.Pass()
				}
				// Poison is the first event after the 500th, so that a batch has it that begins where the log ends.
				if n := server.Counts("hub", "0").Events; poisoned < 20 && n <= 500 && n+op.Events > 500 {
					poisoned++
					if op.Events == 1 {
						poisoned = 20
					}
					return emulator.Reject("amqp:link:message-size-exceeded", "The received message is too large.")
				}
				largest = max(largest, op.Events)
				return emulator.Pass()
			}})
			var failed []string
			p := newProducer(t, server, eventhubs.Options{EnableIdempotentRetries: idempotent, OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
				for e := range b.Events() {
					failed = append(failed, string(e.Body))
				}
			}})
			for i := range 1000 {
				if err := p.Enqueue(t.Context(), data(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
			_ = p.Flush(t.Context())
			if !slices.Equal(failed, []string{"500"}) {
				t.Errorf("idempotent=%v: %v failed, want 500", idempotent, failed)
			}
			largest = 0
			for i := range 1000 {
				if err := p.Enqueue(t.Context(), data(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if largest < 900 {
				t.Errorf("idempotent=%v: later batches have at most %d events, want about 1000", idempotent, largest)
			}
		})
	}
}

// A batch with an ambiguous try: what may be stored already is cut, but for an idempotent producer, which could not say of the pieces whether they are.
func TestABatchWithAnAmbiguousTryIsCutUnlessItIsNumbered(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{T: t, server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Idempotence: modes["reports"]})}
			s := &stingy{takes: 1700}
			w.onTransfer(func(n int, op emulator.Operation) emulator.Action {
				if n == 1 {
					return emulator.Cut()
				}
				return s.hook(w.Context(), op)
			})
			var told []string
			note := func(_ context.Context, b *eventhubs.Batch) {
				code := eventhubs.Code("")
				if e, ok := errors.AsType[*eventhubs.Error](b.Outcome.Err); ok {
					code = e.Code
				}
				told = append(told, strings.TrimSpace(fmt.Sprintf("%d %v %s", b.Count, b.Outcome.Storage, code)))
			}
			p := w.producer(eventhubs.Options{EnableIdempotentRetries: idempotent, OnBatchSucceeded: note, OnBatchFailed: note})
			for i := range 20 {
				w.must(p.Enqueue(w.Context(), data(fmt.Sprintf("%02d%s", i, strings.Repeat("x", 140)))))
			}
			_ = p.Flush(w.Context())
			w.must(outcomeErr(p.Publish(w.Context(), data("next"))))
			synctest.Wait() // until its handler is through
			want := []string{"11 stored", "9 stored", "1 stored"}
			stored := 21
			if idempotent {
				want, stored = []string{"20 possibly stored too-large", "1 stored"}, 1
			}
			w.want(fmt.Sprintf("idempotent=%v", idempotent), told, fmt.Sprint(want))
			if got := len(w.storedIn("0")); got != stored {
				t.Errorf("idempotent=%v: %d events are stored, want %d", idempotent, got, stored)
			}
		})
	}
}

// A batch that was refused in a way that leaves its numbers open, and then for its size, is numbered anew under a raised epoch: what may still arrive of the
// first try is fenced off.
func TestABatchThatIsCutAfterADoubtfulRefusalRaisesTheEpoch(t *testing.T) {
	for first, epoch := range map[string]string{"amqp:internal-error": "1", "com.microsoft:server-busy": "0"} {
		inEachMode(t, func(w *world) {
			s := &stingy{takes: 1700}
			w.onTransfer(func(n int, op emulator.Operation) emulator.Action {
				if n == 1 {
					return emulator.Reject(first, "later")
				}
				return s.hook(w.Context(), op)
			})
			p := w.producer(eventhubs.Options{EnableIdempotentRetries: true})
			var want []string
			for i := range 20 {
				body := fmt.Sprintf("%02d%s", i, strings.Repeat("x", 100))
				want = append(want, fmt.Sprintf("%s/%d %02d", epoch, i+1, i))
				w.enqueue(p, "0", body)
			}
			w.must(p.Flush(w.Context()))
			w.want(first, strings.ReplaceAll(fmt.Sprint(w.numbersIn("0")), "x", ""), fmt.Sprint(want))
		})
	}
}

// With several sends at a time a detach for size leaves open whose batch it was. Nothing is told as certain that is not, and the service gets what it takes.
func TestADetachForSizeWithSeveralInFlightEndsInTakenBatches(t *testing.T) {
	for _, mute := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &stingy{takes: 1700, detach: true, mute: mute}
			server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
				if action, refused := s.refuses(op); refused {
					return action.After(5 * time.Millisecond)
				}
				return emulator.Pass().AnswerAfter(20 * time.Millisecond)
			}})
			p := newProducer(t, server, eventhubs.Options{MaxConcurrentSendsPerPartition: 4, MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
				t.Errorf("mute=%v: %d events failed: %v", mute, b.Count, b.Outcome.Err)
			}})
			for i := range 1000 {
				if err := p.Enqueue(t.Context(), data(fmt.Sprintf("%04d%s", i, strings.Repeat("x", 140)))); err != nil {
					t.Fatal(err)
				}
				if i%40 == 0 {
					time.Sleep(3 * time.Millisecond)
				}
			}
			if err := p.Close(t.Context()); err != nil {
				t.Errorf("mute=%v: Close: %v", mute, err)
			}
			all := bodies(server, "0")
			slices.Sort(all)
			if n := len(slices.Compact(all)); n != 1000 {
				t.Errorf("mute=%v: %d events are stored, want 1000", mute, n)
			}
		})
	}
}
