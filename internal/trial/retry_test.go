package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestThrottledOnceAndThenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Try == 1 {
				return connection.Result{Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}}
			}
			return scripted.Refused("no")
		}
		var failed world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: failed.Handle, Retry: eventhubs.RetryOptions{MaxRetries: -1}})
		world.Enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		if all := failed.All(); len(peer.Sent()) != 2 || len(all) != 1 || !strings.Contains(all[0].Outcome.Err.Error(), "amqp:not-allowed") {
			t.Errorf("%d sends, outcomes: %+v", len(peer.Sent()), all)
		}
		if s := p.Stats(); s.ThrottledTries != 1 || s.Retries != 0 {
			t.Errorf("throttled %d, retried %d, want 1 and 0", s.ThrottledTries, s.Retries)
		}
	})
}

func TestTheDeliveryTimeoutHoldsWhileTheListIsUnknown(t *testing.T) {
	for name, hang := range map[string]bool{"no answer": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 1)
				h := &scripted.HangingHub{Hub: peer, Hang: hang}
				var told world.Outcomes
				p := world.On(t, h, eventhubs.Options{DeliveryTimeout: 10 * time.Second, OnBatchFailed: told.Handle, Retry: eventhubs.RetryOptions{Mode: eventhubs.RetryFixed, RetryDelay: time.Minute}})
				world.Enqueue(t, p, "", "a")
				time.Sleep(time.Hour)
				if all := told.All(); len(all) != 1 || all[0].At > 10*time.Second {
					t.Errorf("outcomes %+v, want a failure within 10s", all)
				}
			})
		})
	}
}

func TestTheDeliveryTimeoutShortensATry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Hour }
		var told world.Outcomes
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, DeliveryTimeout: 10 * time.Second, OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		if all := told.All(); len(all) != 1 || all[0].At != 10*time.Second || all[0].Outcome.Storage != eventhubs.PossiblyStored {
			t.Errorf("outcomes: %+v, want possibly stored at 10s, though a try may take a minute", all)
		}
	})
}

func TestFailFastEndsWhatWillNotPass(t *testing.T) {
	for _, fast := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 1)
			peer.List = func(int) error {
				return &connection.Error{Code: connection.CodeNotFound, Err: errors.New("no such hub")}
			}
			var told world.Outcomes
			p := world.Over(peer, eventhubs.Options{FailFast: fast, OnBatchFailed: told.Handle})
			world.Enqueue(t, p, "", "a")
			_ = p.Flush(t.Context())
			if asked := peer.Asked; fast && asked != 1 || !fast && asked != 16 {
				t.Errorf("FailFast %v: the list was asked for %d times", fast, asked)
			}
		})
	}
}

// A link that opens slowly leaves the try its full time to send. DeliveryTimeout bounds both
// together.
func TestWhatOpeningTakesIsNotTheSends(t *testing.T) {
	const never = time.Hour
	for _, c := range []struct {
		deliveryTimeout, answers time.Duration
		sends                    int
		ends                     time.Duration
		storage                  eventhubs.Storage
	}{
		{time.Minute, 1500 * time.Millisecond, 1, 3300 * time.Millisecond, eventhubs.Stored},
		{time.Minute, never, 1, 3800 * time.Millisecond, eventhubs.PossiblyStored},
		{3 * time.Second, never, 1, 3 * time.Second, eventhubs.PossiblyStored},
		// The peer's link opens late, whatever its context.
		{time.Second, never, 0, 1800 * time.Millisecond, eventhubs.NotStored},
	} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 1)
			peer.Open = func(string) error {
				time.Sleep(1800 * time.Millisecond)
				return nil
			}
			peer.Latency = func() time.Duration { return c.answers }
			p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, DeliveryTimeout: c.deliveryTimeout, Retry: eventhubs.RetryOptions{TryTimeout: 2 * time.Second, MaxRetries: -1}})
			d := new(eventhubs.Delivery)
			_, err := p.Publish(t.Context(), &eventhubs.Event{Body: []byte("a"), Delivery: d})
			if sends := len(peer.Sent()); sends != c.sends || scripted.Now() != c.ends || d.Outcome().Storage != c.storage {
				t.Errorf("with %v to deliver and an answer after %v: %v (%v) at %v, %d sends; want %v at %v, %d", c.deliveryTimeout, c.answers, d.Outcome().Storage, err, scripted.Now(), sends, c.storage, c.ends, c.sends)
			}
		})
	}
}

// The service closes links that have been idle for long. That says nothing about a new link.
func TestALostLinkIsReplacedAtOnce(t *testing.T) {
	for _, fast := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 1)
			peer.Answer = func(s scripted.Sent) connection.Result {
				if s.Try == 1 {
					return connection.Result{Outcome: connection.Unknown, Err: &connection.Error{Code: connection.CodeUnauthorized, Lost: true, Err: errors.New("no")}}
				}
				return connection.Result{Outcome: connection.Accepted}
			}
			p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, FailFast: fast})
			world.Enqueue(t, p, "0", "a")
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
			peer.WantSends("again at once", "0s 0 [a]", "0s 0 [a]")
		})
	}
}

func TestALinkThatIsLostAgainIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Try < 4 {
				return scripted.Failing(connection.Error{Code: connection.CodeConnectionLost, Transient: true, Lost: true})
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		world.Enqueue(t, p, "0", "a")
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		tries := peer.TriesOf("0")
		if len(tries) != 4 || tries[1] != 0 || tries[2] < time.Second || tries[3]-tries[2] < 2*time.Second {
			t.Errorf("tries at %v, want one at once and then pauses", tries)
		}
	})
}

// Without this rule the partitions of one producer come back over a minute, each after its own
// pause.
func TestAConnectionThatIsOpenedWakesAllThatWaitForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 8)
		setDown := scripted.Unreachable(peer)
		setDown(true)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		for _, id := range peer.Partitions {
			world.Enqueue(t, p, id, "a")
		}
		time.Sleep(time.Minute)
		if h := p.Health(); h.State != eventhubs.HealthUnreachable || len(h.Partitions) != 8 {
			t.Errorf("Health is %+v", h)
		}
		setDown(false)
		peer.Reopen()
		synctest.Wait()
		if sends := peer.Sent(); len(sends) != 8 || sends[7].At != time.Minute {
			t.Errorf("%d batches are sent at once, want all 8: %v", len(sends), sends)
		}
	})
}

// An opened connection says nothing about failures with another reason.
func TestOtherPausesAreNotCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Try == 1 {
				return scripted.Transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		peer.Reopen()
		time.Sleep(500 * time.Millisecond)
		if n := len(peer.Sent()); n != 1 {
			t.Errorf("%d tries before the pause is over", n)
		}
	})
}

func TestATokenServiceThatIsDownForTenMinutesLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		none := func() error {
			if scripted.Now() < 10*time.Minute {
				return &connection.Error{Code: connection.CodeNoToken, Err: errors.New("the identity service is down")}
			}
			return nil
		}
		peer.List = func(int) error { return none() }
		peer.Open = func(string) error { return none() }
		p := world.Over(peer, eventhubs.Options{})
		for _, id := range []string{"0", "1"} {
			world.Enqueue(t, p, id, "a", "b")
		}
		time.Sleep(time.Second)
		if h := p.Health(); h.State != eventhubs.HealthUnauthorized {
			t.Errorf("Health is %+v", h)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(peer.StoredIn("0"), peer.StoredIn("1")); got != "[a b] [a b]" {
			t.Errorf("stored %s", got)
		}
		if scripted.Now() > 12*time.Minute {
			t.Errorf("stored only after %v", scripted.Now())
		}
	})
}

func TestRetriesEndWithTheReason(t *testing.T) {
	tests := []struct {
		name    string
		answer  connection.Result
		retries int
		tries   int
		storage eventhubs.Storage
	}{
		{"refused for good", scripted.Refused("no"), 5, 1, eventhubs.NotStored},
		{"never sent", scripted.Transient(connection.NotSent), 2, 3, eventhubs.NotStored},
		{"released", scripted.Transient(connection.Released), 2, 3, eventhubs.NotStored},
		{"cut in flight", scripted.Transient(connection.Unknown), 2, 3, eventhubs.PossiblyStored},
		{"no retries", scripted.Transient(connection.Unknown), -1, 1, eventhubs.PossiblyStored},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 1)
				peer.Answer = func(scripted.Sent) connection.Result { return tt.answer }
				var told world.Outcomes
				p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle, Retry: eventhubs.RetryOptions{MaxRetries: tt.retries}})
				world.Enqueue(t, p, "0", "a")
				_ = p.Close(t.Context())
				o := told.All()[0].Outcome
				if o.Tries != tt.tries || o.Storage != tt.storage {
					t.Errorf("got %d tries and %v, want %d and %v", o.Tries, o.Storage, tt.tries, tt.storage)
				}
				e, ok := errors.AsType[*eventhubs.Error](o.Err)
				if !ok || e.PartitionID != "0" || !errors.Is(o.Err, tt.answer.Err) {
					t.Errorf("the reason is %v", o.Err)
				}
			})
		})
	}
}

func TestOnceATryWasAmbiguousARefusalEndsAsPossiblyStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Try == 1 {
				return scripted.Transient(connection.Unknown)
			}
			return scripted.Refused("no")
		}
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "0", "a")
		_ = p.Close(t.Context())
		if o := told.All()[0].Outcome; o.Storage != eventhubs.PossiblyStored || o.Tries != 2 {
			t.Errorf("the outcome is %+v", o)
		}
	})
}

func TestThrottlingIsWaitedForAndIsNotARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := connection.Result{Outcome: connection.Rejected, Err: &connection.Error{
			Code: connection.CodeThrottled, Condition: "com.microsoft:server-busy", Transient: true, Err: errors.New("busy")}}
		peer := scripted.New(t, 1)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Try <= 20 {
				return busy
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, Retry: eventhubs.RetryOptions{MaxRetries: -1}})
		world.Enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		sends := peer.Sent()
		for i := 1; i < len(sends); i++ {
			if pause := sends[i].At - sends[i-1].At; pause < 4*time.Second || pause > 20*time.Second || i == 1 && pause > 5*time.Second {
				t.Errorf("paused %v, want between 4 s and 20 s, and at first up to 5 s", pause)
			}
		}
	})
}

func TestTheDeliveryTimeoutEndsRetrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(scripted.Sent) connection.Result { return scripted.Transient(connection.NotSent) }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle, DeliveryTimeout: 10 * time.Second, Retry: eventhubs.RetryOptions{MaxRetries: 1000}})
		world.Enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		if at := told.All()[0].At; at > 10*time.Second || at < 3*time.Second {
			t.Errorf("the batch failed at %v, want within 10 s and not at its first failure", at)
		}
	})
}

func TestATryEndsAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Hour }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: told.Handle, Retry: eventhubs.RetryOptions{MaxRetries: -1, TryTimeout: 7 * time.Second}})
		world.Enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		if b := told.All()[0]; b.At != 7*time.Second || b.Outcome.Storage != eventhubs.PossiblyStored || !errors.Is(b.Outcome.Err, context.DeadlineExceeded) {
			t.Errorf("the batch failed at %v with %+v", b.At, b.Outcome)
		}
	})
}
