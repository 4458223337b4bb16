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
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestNeverSentAfterExpiresAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		h := &scripted.SlowHub{Hub: peer, Open: func(ctx context.Context, id string) error {
			if scripted.Now() < time.Minute {
				return scripted.Transient(connection.NotSent).Err
			}
			return nil
		}}
		var told world.Outcomes
		p := world.On(t, h, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: told.Handle})
		_ = p.Connect(t.Context(), nil)
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("a"), ExpiresAt: time.Now().Add(10 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		_ = p.Flush(t.Context())
		for _, s := range peer.Sent() {
			if s.At > 10*time.Second {
				t.Errorf("the event was sent at %v, 10s was its end", s.At)
			}
		}
		if all := told.All(); len(all) != 1 || !errors.Is(all[0].Outcome.Err, eventhubs.ErrExpired) {
			t.Errorf("outcomes %+v", all)
		}
	})
}

func TestAnExpiredEventIsNeverSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return 10 * time.Second }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: told.Handle, OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "0", "first")
		synctest.Wait()
		for i, life := range []time.Duration{0, 5 * time.Second, 5 * time.Second, time.Minute, 5 * time.Second, 0} {
			o := &eventhubs.Event{PartitionID: "0"}
			if life > 0 {
				o.ExpiresAt = time.Now().Add(life)
			}
			if err := p.Enqueue(t.Context(), world.With(world.Event(fmt.Sprint(i)), o)); err != nil {
				t.Fatal(err)
			}
		}
		undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](p.Close(t.Context()))
		if !ok || undelivered.Failed() != 3 {
			t.Errorf("Close returned %v, want 3 failed", undelivered)
		}
		var order []string
		for _, b := range told.All() {
			order = append(order, fmt.Sprint(b.Outcome.Storage, b.Bodies))
			if b.Outcome.Err != nil && (!errors.Is(b.Outcome.Err, eventhubs.ErrExpired) || b.Outcome.Tries != 0) {
				t.Errorf("%v failed with %v after %d tries", b.Bodies, b.Outcome.Err, b.Outcome.Tries)
			}
		}
		want := "stored [first] not stored [1 2 4] stored [0 3 5]"
		if got := strings.Join(order, " "); got != want {
			t.Errorf("outcomes\n %s, want\n %s", got, want)
		}
	})
}

func TestEnqueueRefusesWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := world.Over(scripted.New(t, 1), eventhubs.Options{})
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("a"), ExpiresAt: time.Now()}); !errors.Is(err, eventhubs.ErrExpired) {
			t.Errorf("Enqueue returned %v, want ErrExpired", err)
		}
	})
}

// fleeting enqueues events for partition 0. expires is the time until each expires; zero: never.
func fleeting(t *testing.T, p *eventhubs.BufferedProducer, n int, expires func(i int) time.Duration) {
	t.Helper()
	for i := range n {
		o := &eventhubs.Event{PartitionID: "0"}
		if life := expires(i); life > 0 {
			o.ExpiresAt = time.Now().Add(life)
		}
		if err := p.Enqueue(t.Context(), world.With(world.Event(fmt.Sprint(i)), o)); err != nil {
			t.Fatal(err)
		}
	}
}

// everyOther lets every other event expire after a second.
func everyOther(i int) time.Duration { return time.Duration(i%2) * time.Second }

func TestMixedExpirySplitsABatchOnce(t *testing.T) {
	for _, senders := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 1)
			peer.Latency = func() time.Duration { return time.Minute / 2 }
			var told world.Outcomes
			p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxConcurrentSendsPerPartition: senders, OnBatchSucceeded: told.Handle, OnBatchFailed: told.Handle})
			for range senders {
				world.Enqueue(t, p, "0", "first")
				synctest.Wait()
			}
			fleeting(t, p, 2000, everyOther)
			undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](p.Flush(t.Context()))
			if !ok || undelivered.Failed() != 1000 || !errors.Is(undelivered, eventhubs.ErrExpired) {
				t.Errorf("Flush returned %v, want 1000 failed with ErrExpired", undelivered)
			}
			var live, expired []string
			for i := range 2000 {
				if i%2 == 0 {
					live = append(live, fmt.Sprint(i))
				} else {
					expired = append(expired, fmt.Sprint(i))
				}
			}
			sends := peer.Sent()[senders:]
			if len(sends) != 1 || !slices.Equal(sends[0].Bodies, live) {
				t.Errorf("%d senders: 1000 live events left in %d transfers, want one with all of them in order", senders, len(sends))
			}
			all := told.But("first")
			if len(all) != 2 || !slices.Equal(all[0].Bodies, expired) || !errors.Is(all[0].Outcome.Err, eventhubs.ErrExpired) || all[0].Outcome.Tries != 0 || !slices.Equal(all[1].Bodies, live) {
				t.Errorf("%d senders: %d batches have an outcome, want the 1000 expired ones, and then the others", senders, len(all))
			}
		})
	}
}

// Events expire one after the other while the link does not open. The others get neither more tries
// nor more time.
func TestWhatIsSplitOffHasTheTriesThatItHad(t *testing.T) {
	for name, options := range map[string]eventhubs.Options{
		"tries":     {Retry: eventhubs.RetryOptions{MaxRetries: 3}},
		"time":      {Retry: eventhubs.RetryOptions{MaxRetries: 1000}, DeliveryTimeout: 3500 * time.Millisecond},
		"UntilFull": {MaxWaitTime: eventhubs.UntilFull, Retry: eventhubs.RetryOptions{MaxRetries: 1000}, DeliveryTimeout: 3500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 1)
			var told world.Outcomes
			peer.Open = func(string) error { return scripted.Transient(0).Err }
			options.Retry.Policy = func(f eventhubs.FailedTry) (time.Duration, bool) {
				return time.Second, f.Failures <= options.Retry.MaxRetries // without jitter
			}
			options.OnBatchFailed = told.Handle
			p := world.Over(peer, options)
			if err := p.Connect(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			fleeting(t, p, 4, func(i int) time.Duration { return time.Duration(max(0, 2*i-1)) * time.Second / 2 }) // event 0 never, the others half a second after a try
			if err := p.Flush(t.Context()); err == nil {
				t.Error("Flush returned no error")
			}
			for _, b := range told.All() {
				if slices.Contains(b.Bodies, "0") && (errors.Is(b.Outcome.Err, eventhubs.ErrExpired) || b.At > 3500*time.Millisecond) {
					t.Errorf("%s: events without an expiry failed at %v with %v, want 3 s or 3.5 s", name, b.At, b.Outcome.Err)
				}
			}
			if n := len(told.All()); n != 4 {
				t.Errorf("%s: %d batches failed, want 4: %v", name, n, told.All())
			}
		})
	}
}
