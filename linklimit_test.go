package eventhubs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// A link that states no limit, in either of AMQP's ways, takes batches as large as any, and large events.
func TestALinkWithoutALimitTakesWhatThereIs(t *testing.T) {
	for name, size := range map[string]int{"2^64-1": emulator.UnlimitedMessageSize, "nothing stated": emulator.UnstatedMessageSize} {
		for _, idempotent := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				largest := 0
				server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), MaxMessageSize: size,
					Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
						if op.Kind == emulator.KindTransfer {
							largest = max(largest, op.Bytes)
						}
						return emulator.Pass()
					}})
				p := newProducer(t, server, eventhubs.Options{EnableIdempotentRetries: idempotent})
				if _, err := p.Publish(t.Context(), data("small")); err != nil {
					t.Errorf("%s: a small event: %v", name, err)
				}
				if _, err := p.Publish(t.Context(), data(string(make([]byte, 5<<20)))); err != nil {
					t.Errorf("%s: an event of 5 MiB: %v", name, err)
				}
				large := largest
				largest = 0
				for range 2000 {
					if err := p.Enqueue(t.Context(), data(string(make([]byte, 1000)))); err != nil {
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

// Events that expire while the link is opened are set apart, the batch is cut for a smaller link, and the numbers of what is stored follow one another.
func TestMixedExpiryAndASmallerLinkLeaveTheNumbersRight(t *testing.T) {
	for name, mode := range modes {
		synctest.Test(t, func(t *testing.T) {
			w := &world{T: t, server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1), MaxMessageSize: 3000, Idempotence: mode,
				Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindAttach {
						return emulator.Pass().After(10 * time.Second)
					}
					return emulator.Pass()
				}})}
			var live, expired []string
			p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, MaxConcurrentSendsPerPartition: 1, OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
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
					o.ExpiresAt = time.Now().Add(time.Duration(1+i%3*7) * time.Second) // before, and while the link is opened
				} else {
					live = append(live, fmt.Sprintf("0/%d %s", len(live)+1, body))
				}
				w.must(p.Enqueue(t.Context(), eventhubs.With(data(body), o)))
			}
			undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](p.Close(t.Context()))
			if !ok || undelivered.Failed() != 50 || len(expired) != 50 {
				t.Errorf("%s: Close returned %v, and %d have expired, want 50", name, undelivered, len(expired))
			}
			w.want(name, w.numbersIn("0"), fmt.Sprint(live))
		})
	}
}
