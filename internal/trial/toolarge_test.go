package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// AMQP has two ways to state no limit. A link without a limit takes large events, and batches of
// the usual size.
func TestALinkWithoutALimitTakesWhatThereIs(t *testing.T) {
	for name, size := range map[string]int{"2^64-1": emulator.UnlimitedMessageSize, "nothing stated": emulator.UnstatedMessageSize} {
		for _, idempotent := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				largest := 0
				server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), MaxMessageSize: size,
					Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
						if op.Kind == emulator.KindTransfer {
							largest = max(largest, op.Bytes)
						}
						return emulator.Pass()
					}})
				p := world.NewProducer(t, server, eventhubs.Options{EnableIdempotentRetries: idempotent})
				if _, err := p.Publish(t.Context(), world.Event("small")); err != nil {
					t.Errorf("%s: a small event: %v", name, err)
				}
				if _, err := p.Publish(t.Context(), world.Event(string(make([]byte, 5<<20)))); err != nil {
					t.Errorf("%s: an event of 5 MiB: %v", name, err)
				}
				large := largest
				largest = 0
				for range 2000 {
					if err := p.Enqueue(t.Context(), world.Event(string(make([]byte, 1000)))); err != nil {
						t.Fatal(err)
					}
				}
				if err := p.Close(t.Context()); err != nil {
					t.Errorf("%s: Close: %v", name, err)
				}
				if large < 5<<20 || largest < 1000<<10 || largest > 1<<20 {
					t.Errorf("%s: the large event came in %d bytes and the largest batch had %d, want more than %d, and nearly 1 MiB", name, large, largest, 5<<20)
				}
				if n := server.Counts("hub", "").Events; n != 2002 {
					t.Errorf("%s: %d events are stored, want 2002", name, n)
				}
			})
		}
	}
}

// Events that expire while the link opens leave the batch, and the rest is cut for a smaller link.
// The numbers of the stored events follow one another.
func TestMixedExpiryAndASmallerLinkLeaveTheNumbersRight(t *testing.T) {
	for name, mode := range world.Modes {
		synctest.Test(t, func(t *testing.T) {
			w := &world.World{T: t, Server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), MaxMessageSize: 3000, Idempotence: mode,
				Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindAttach {
						return emulator.Pass().After(10 * time.Second)
					}
					return emulator.Pass()
				}})}
			var live, expired []string
			p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, MaxConcurrentSendsPerPartition: 1, OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
				for e := range b.Events() {
					if errors.Is(b.Outcome.Err, eventhubs.ErrExpired) {
						expired = append(expired, string(e.Body))
					}
				}
			}})
			for i := range 100 {
				o := &eventhubs.Event{}
				body := fmt.Sprint(i)
				if i%2 == 1 {
					// Some events expire before the link opens, and some meanwhile.
					o.ExpiresAt = time.Now().Add(time.Duration(1+i%3*7) * time.Second)
				} else {
					live = append(live, fmt.Sprintf("0/%d %s", len(live)+1, body))
				}
				w.Must(p.Enqueue(t.Context(), world.With(world.Event(body), o)))
			}
			undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](p.Close(t.Context()))
			if !ok || undelivered.Failed() != 50 || len(expired) != 50 {
				t.Errorf("%s: Close returned %v, and %d have expired, want 50", name, undelivered, len(expired))
			}
			w.Want(name, w.NumbersIn("0"), fmt.Sprint(live))
		})
	}
}

func TestABatchThatIsTooLargeAfterAllIsCut(t *testing.T) {
	world.Stinginesses(t, func(t *testing.T, s *world.Stingy, o eventhubs.Options) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Hook: s.Hook})
		s.Takes = 1700
		o.Retry.MaxRetries = -1 // a cut is no retry
		o.FailFast = true
		o.Retry.Policy = func(f eventhubs.FailedTry) (time.Duration, bool) {
			t.Errorf("the policy is asked about %v", f.Err)
			return 0, false
		}
		o.OnBatchFailed = func(_ context.Context, b *eventhubs.Batch) { t.Errorf("%d events failed: %v", b.Count, b.Outcome.Err) }
		p := world.NewProducer(t, server, o)
		var want []string
		began := time.Now()
		round := func() (refused []int, largest int) {
			for range 2000 {
				want = append(want, fmt.Sprintf("%05d %s", len(want), strings.Repeat("x", 140)))
				if err := p.Enqueue(t.Context(), world.Event(want[len(want)-1])); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Errorf("Flush: %v", err)
			}
			return s.Taken()
		}
		refused, largest := round()
		// 320 KB, halved until each piece has 1700 bytes; no piece is tried at its old size again.
		most := 12
		if !s.Mute {
			most = 1
		}
		if len(refused) == 0 || len(refused) > most || largest > 1700 || largest < 700 {
			t.Errorf("%d messages were refused, %v, and the largest that was taken had %d bytes; want at most %d, and nearly 1700", len(refused), refused, largest, most)
		}
		// The learned limit also holds for other links, which were detached and state the old limit
		// again.
		if refused, _ := round(); len(refused) != 0 {
			t.Errorf("%d more messages were refused after the producer knew the limit: %v", len(refused), refused)
		}
		if got := world.Bodies(server, "0"); !slices.Equal(got, want) {
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

// One event is too large, and the service refuses another for its size in any case. Each fails
// alone, in its place. Later events leave in batches as before.
func TestOnlyAnEventThatIsRefusedAloneIsTooLarge(t *testing.T) {
	world.Stinginesses(t, func(t *testing.T, s *world.Stingy, o eventhubs.Options) {
		s.Takes = 40_000
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Hook: s.Hook})
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
				t.Errorf("%d events in %d bytes have the outcome %v, %v", b.Count, b.Bytes, b.Outcome.Storage, b.Outcome.Err)
			}
			failed = append(failed, f)
		}
		p := world.NewProducer(t, server, o)
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
			t.Errorf("outcomes in the order %v", told)
		}
		sizes := eventhubs.EventTooLargeError{Size: 60_019, Limit: 40_000}
		if o.EnableIdempotentRetries {
			sizes.Size += 120 // its numbers
		}
		if s.Mute {
			sizes.Limit = sizes.Size - 1
		}
		if want := []failure{{"123", 1, sizes, eventhubs.CodeTooLarge, "2_G0"}}; !slices.Equal(failed, want) {
			t.Errorf("reported as failed: %+v, want %+v", failed, want)
		}
		for tag, d := range deliveries {
			o := d.Outcome()
			if (o.Err != nil) != (tag == "123") || o.Tries < 1 {
				t.Errorf("the Delivery of %s got %+v", tag, o)
			}
		}
		if got := len(world.Bodies(server, "0")); got != 399 {
			t.Errorf("%d events are stored, want 399", got)
		}
		s.Taken()
		for range 400 {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(strings.Repeat("y", 150)), Tag: "y"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if refused, largest := s.Taken(); len(refused) > 1 || largest < 15_000 {
			t.Errorf("after it %v were refused, and the largest batch has %d bytes; want at most one, and 20,000 to 40,000", refused, largest)
		}
	})
}

// sizeOf returns the size that a batch of one event reports.
func sizeOf(b *eventhubs.Batch) int {
	if b.Count != 1 {
		return -1
	}
	return b.Bytes
}

// A small event that the service refuses as too large fails alone, and teaches the producer no
// limit.
func TestOnePoisonousEventDoesNotHaveTheOthersLeaveOneByOne(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var poisoned, largest int
			var server *emulator.Server
			server = emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind != emulator.KindTransfer {
					return emulator.Pass()
				}
				// The poisonous event is the first after the 500th, so that its batch begins at the
				// end of the log.
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
			p := world.NewProducer(t, server, eventhubs.Options{EnableIdempotentRetries: idempotent, OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
				for e := range b.Events() {
					failed = append(failed, string(e.Body))
				}
			}})
			for i := range 1000 {
				if err := p.Enqueue(t.Context(), world.Event(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
			_ = p.Flush(t.Context())
			if !slices.Equal(failed, []string{"500"}) {
				t.Errorf("idempotent=%v: %v failed, want 500", idempotent, failed)
			}
			largest = 0
			for i := range 1000 {
				if err := p.Enqueue(t.Context(), world.Event(fmt.Sprint(i))); err != nil {
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

// A batch with an ambiguous try may be stored. The producer cuts it, unless it is idempotent: an
// idempotent producer could not find out which pieces are stored.
func TestABatchWithAnAmbiguousTryIsCutUnlessItIsNumbered(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := &world.World{T: t, Server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Idempotence: world.Modes["reports"]})}
			s := &world.Stingy{Takes: 1700}
			w.OnTransfer(func(n int, op emulator.Operation) emulator.Action {
				if n == 1 {
					return emulator.Cut()
				}
				return s.Hook(w.Context(), op)
			})
			var told []string
			note := func(_ context.Context, b *eventhubs.Batch) {
				code := eventhubs.Code("")
				if e, ok := errors.AsType[*eventhubs.Error](b.Outcome.Err); ok {
					code = e.Code
				}
				told = append(told, strings.TrimSpace(fmt.Sprintf("%d %v %s", b.Count, b.Outcome.Storage, code)))
			}
			p := w.Producer(eventhubs.Options{EnableIdempotentRetries: idempotent, OnBatchSucceeded: note, OnBatchFailed: note})
			for i := range 20 {
				w.Must(p.Enqueue(w.Context(), world.Event(fmt.Sprintf("%02d%s", i, strings.Repeat("x", 140)))))
			}
			_ = p.Flush(w.Context())
			w.Must(world.OutcomeErr(p.Publish(w.Context(), world.Event("next"))))
			synctest.Wait() // until its handler returns
			want := []string{"11 stored", "9 stored", "1 stored"}
			stored := 21
			if idempotent {
				want, stored = []string{"20 possibly stored too-large", "1 stored"}, 1
			}
			w.Want(fmt.Sprintf("idempotent=%v", idempotent), told, fmt.Sprint(want))
			if got := len(w.StoredIn("0")); got != stored {
				t.Errorf("idempotent=%v: %d events are stored, want %d", idempotent, got, stored)
			}
		})
	}
}

// A batch is refused in a way that leaves its numbers open, and then for its size. It is numbered
// again under a raised epoch, which fences off the first try if it still arrives.
func TestABatchThatIsCutAfterADoubtfulRefusalRaisesTheEpoch(t *testing.T) {
	for first, epoch := range map[string]string{"amqp:internal-error": "1", "com.microsoft:server-busy": "0"} {
		world.InEachMode(t, func(w *world.World) {
			s := &world.Stingy{Takes: 1700}
			w.OnTransfer(func(n int, op emulator.Operation) emulator.Action {
				if n == 1 {
					return emulator.Reject(first, "later")
				}
				return s.Hook(w.Context(), op)
			})
			p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true})
			var want []string
			for i := range 20 {
				body := fmt.Sprintf("%02d%s", i, strings.Repeat("x", 100))
				want = append(want, fmt.Sprintf("%s/%d %02d", epoch, i+1, i))
				w.Enqueue(p, "0", body)
			}
			w.Must(p.Flush(w.Context()))
			w.Want(first, strings.ReplaceAll(fmt.Sprint(w.NumbersIn("0")), "x", ""), fmt.Sprint(want))
		})
	}
}

// With several sends in flight, a detach for size does not say which batch was too large. No
// outcome claims more certainty than that, and the service gets batches that it takes.
func TestADetachForSizeWithSeveralInFlightEndsInTakenBatches(t *testing.T) {
	for _, mute := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &world.Stingy{Takes: 1700, Detach: true, Mute: mute}
			server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
				if action, refused := s.Refuses(op); refused {
					return action.After(5 * time.Millisecond)
				}
				return emulator.Pass().AnswerAfter(20 * time.Millisecond)
			}})
			p := world.NewProducer(t, server, eventhubs.Options{MaxConcurrentSendsPerPartition: 4, MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
				t.Errorf("mute=%v: %d events failed: %v", mute, b.Count, b.Outcome.Err)
			}})
			for i := range 1000 {
				if err := p.Enqueue(t.Context(), world.Event(fmt.Sprintf("%04d%s", i, strings.Repeat("x", 140)))); err != nil {
					t.Fatal(err)
				}
				if i%40 == 0 {
					time.Sleep(3 * time.Millisecond)
				}
			}
			if err := p.Close(t.Context()); err != nil {
				t.Errorf("mute=%v: Close: %v", mute, err)
			}
			all := world.Bodies(server, "0")
			slices.Sort(all)
			if n := len(slices.Compact(all)); n != 1000 {
				t.Errorf("mute=%v: %d events are stored, want 1000", mute, n)
			}
		})
	}
}
