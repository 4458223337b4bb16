package idempotence

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/callback"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// The service may forget a producer whose link is idle, and then refuse its attach. No number was
// sent, and the producer must still raise its epoch. Otherwise the service would never accept
// anything again.
func TestAForgottenProducerGoesOnThoughItsLinkWasIdle(t *testing.T) {
	for _, code := range []connection.Code{connection.CodeOutOfOrder, connection.CodeRejected, connection.CodePartitionUnknown, connection.CodeNotFound, connection.CodeInternal} {
		t.Run(string(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted.NewNumbered(t)
				forgotten := false
				n.Takes(func(connection.Claim) error {
					if forgotten {
						return scripted.AttachRefused(code)
					}
					return nil
				})
				p := world.Numbered(n, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 1}})
				world.Enqueue(t, p, "0", "a")
				_ = p.Flush(t.Context())
				forgotten = true
				n.LoseLink()
				costs := 1
				if code == connection.CodeInternal {
					costs = 2 // one more try, to find out that the failure does not pass
				}
				for range costs {
					world.Enqueue(t, p, "0", "b")
					if err := p.Flush(t.Context()); err == nil {
						t.Error("the service accepts a batch from a forgotten producer")
					}
				}
				for _, body := range []string{"c", "d"} {
					world.Enqueue(t, p, "0", body)
					if err := p.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
				n.WantSent("77:0/1-1", "78:0/1-1", "78:0/2-2")
			})
		})
	}
}

// The words with which the real service refuses a higher epoch are unknown.
func TestAHigherEpochRefusedInAnyWordsMakesANewProducer(t *testing.T) {
	for code, failing := range map[connection.Code]int{connection.CodeNotFound: 0, connection.CodeDisabled: 0, connection.CodeInternal: 1} {
		t.Run(string(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted.NewNumbered(t)
				n.Takes(func(claim connection.Claim) error {
					if claim.Epoch > 0 {
						return scripted.AttachRefused(code)
					}
					return nil
				})
				p := world.Numbered(n, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 1}})
				n.Answers = []connection.Result{scripted.LostAcknowledgement, scripted.LostAcknowledgement}
				world.Enqueue(t, p, "0", "a")
				_ = p.Flush(t.Context())
				for range failing { // a failure that may pass is tried as long as any other
					world.Enqueue(t, p, "0", "b")
					if err := p.Flush(t.Context()); err == nil {
						t.Error("a refusal that may pass has made a new producer at once")
					}
				}
				world.Enqueue(t, p, "0", "c")
				if err := p.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				n.WantSent("77:0/1-1", "77:0/1-1", "78:0/1-1")
			})
		})
	}
}

// A right that is missing for a while says nothing about the epoch. Neither does a quota that is
// used up.
func TestAHigherEpochRefusedForRightsOrLimitsIsClaimedAgain(t *testing.T) {
	for _, code := range []connection.Code{connection.CodeUnauthorized, connection.CodeQuotaExceeded} {
		synctest.Test(t, func(t *testing.T) {
			n := scripted.NewNumbered(t)
			refused := 0
			n.Takes(func(claim connection.Claim) error {
				if claim.Epoch > 0 && refused < 5 {
					refused++
					return scripted.AttachRefused(code)
				}
				return nil
			})
			p := world.Numbered(n, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 1}})
			n.Answers = []connection.Result{scripted.LostAcknowledgement, scripted.LostAcknowledgement}
			world.Enqueue(t, p, "0", "a")
			_ = p.Flush(t.Context())
			for range 3 {
				world.Enqueue(t, p, "0", "b")
				_ = p.Flush(t.Context())
			}
			n.WantSent("77:0/1-1", "77:0/1-1", "77:1/1-1")
		})
	}
}

// A service that accepts no producer has not refused the epoch. The producer keeps its identity,
// also if it loses the link of the attach that showed this.
func TestAServiceThatTakesNobodyLeavesTheProducerWhoItIs(t *testing.T) {
	for name, second := range map[string]error{
		"refused":   scripted.AttachRefused(connection.CodeRejected),
		"lost":      &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Err: errors.New("cut")},
		"forgotten": scripted.AttachRefused(connection.CodeOutOfOrder),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted.NewNumbered(t)
				plain, refusing := n.Reply, false
				n.Reply = func(attach int, claim *connection.Claim) (connection.Identity, error) {
					switch {
					case refusing && claim == nil:
						return connection.Identity{}, second
					case refusing:
						return connection.Identity{}, scripted.AttachRefused(connection.CodeRejected)
					}
					return plain(attach, claim)
				}
				p := world.Numbered(n, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: -1}})
				world.Enqueue(t, p, "0", "a")
				_ = p.Flush(t.Context())
				n.Answers = []connection.Result{scripted.LostAcknowledgement}
				world.Enqueue(t, p, "0", "b")
				_ = p.Flush(t.Context())
				refusing = true
				for range 2 {
					world.Enqueue(t, p, "0", "c")
					_ = p.Flush(t.Context())
				}
				refusing = false
				world.Enqueue(t, p, "0", "d")
				if err := p.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				n.WantSent("77:0/1-1", "77:0/2-2", "77:1/2-2")
			})
		})
	}
}

// A batch of the abandoned epoch may still arrive. If a reply goes back to that epoch, its numbers
// are not safe.
func TestAReplyThatGoesBackToAnOlderEpochMakesANewProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted.NewNumbered(t)
		n.Takes(func(connection.Claim) error { return nil })
		plain := n.Reply
		n.Reply = func(attach int, claim *connection.Claim) (connection.Identity, error) {
			id, err := plain(attach, claim)
			id.Epoch = 0
			return id, err
		}
		p := world.Numbered(n, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: -1}})
		wantANewProducer(n, p)
	})
}

// A service may raise the epoch by itself at each attach, and then refuse the former numbers as an
// older producer's. That does not show another producer.
func TestARefusalOfFormerNumbersFencesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted.NewNumbered(t)
		n.Reply = func(attach int, _ *connection.Claim) (connection.Identity, error) {
			return connection.Identity{ProducerID: 77, Epoch: int16(attach - 1), Sequence: n.Last}, nil
		}
		p := world.Numbered(n, eventhubs.Options{})
		world.Enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		n.Answers = []connection.Result{scripted.LostAcknowledgement, {Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeFenced, Err: errors.New("epoch 0 is below 1")}}}
		world.Enqueue(t, p, "0", "b")
		if err := p.Flush(t.Context()); err == nil {
			t.Error("a refused event is stored")
		}
		world.Enqueue(t, p, "0", "c")
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		n.WantSent("77:0/1-1", "77:0/2-2", "77:0/2-2", "77:2/2-2")
	})
}

// A loader is a ProducerStore that keeps nothing.
type loader func(ctx context.Context) error

func (l loader) Load(ctx context.Context, _ eventhubs.ProducerKey) (eventhubs.ProducerID, error) {
	return eventhubs.ProducerID{}, l(ctx)
}
func (loader) Save(context.Context, eventhubs.ProducerKey, eventhubs.ProducerID, eventhubs.ProducerID) error {
	return nil
}

// A sender that waits for Connect's turn fails like any other try. Policy and the outcome get an
// error with its code.
func TestATryThatWaitsForConnectFailsWithACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted.NewNumbered(t)
		var told []error
		o := world.Outcomes{}
		p := world.Numbered(n, eventhubs.Options{
			ProducerStore: loader(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
			OnBatchFailed: o.Handle,
			Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second, Policy: func(f eventhubs.FailedTry) (time.Duration, bool) {
				told = append(told, f.Err)
				return time.Second, f.Failures < 3
			}},
		})
		ctx, cancel := context.WithCancel(t.Context())
		connected := make(chan error)
		go func() { connected <- p.Connect(ctx, nil) }()
		synctest.Wait()
		world.Enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		told = append(told, o.All()[0].Outcome.Err)
		if len(told) != 4 {
			t.Errorf("outcomes %v", told)
		}
		for _, err := range told {
			if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeTimeout || e.PartitionID != "0" || !e.Transient || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the error is %T %v", err, err)
			}
		}
		cancel()
		<-connected
	})
}

// A store that ends its goroutine, as t.FailNow does, has failed. The producer asks it again,
// unless there is no other try. Then its batch fails, which stops the partition if the options say
// so.
func TestAStateThatEndsItsGoroutineHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted.NewNumbered(t)
		calls := 0
		p := world.Numbered(n, eventhubs.Options{ProducerStore: loader(func(context.Context) error {
			if calls++; calls == 1 {
				runtime.Goexit()
			}
			return nil
		})})
		world.Enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("Flush returned %v", err)
		}
		n.WantSent("77:0/1-1")
	})
	for _, stop := range []bool{false, true} {
		t.Run(fmt.Sprint("StopPartitionOnFailure=", stop), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := scripted.NewNumbered(t)
				calls := 0
				o := world.Outcomes{}
				p := world.Numbered(n, eventhubs.Options{StopPartitionOnFailure: stop, Retry: eventhubs.RetryOptions{MaxRetries: -1}, ProducerStore: loader(func(context.Context) error {
					if calls++; calls == 1 {
						runtime.Goexit()
					}
					return nil
				}), OnBatchFailed: func(ctx context.Context, b *eventhubs.Batch) {
					o.Handle(ctx, b)
					runtime.Goexit() // a handler that ends its goroutine has its outcome
				}})
				world.Enqueue(t, p, "0", "a")
				ended, isEnded := errors.AsType[*callback.EndedError](p.Flush(t.Context()))
				if !isEnded || ended.Function != "ProducerStore.Load" {
					t.Errorf("Flush returned %v, want that ProducerStore.Load ended its goroutine", ended)
				}
				err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("b"), PartitionID: "0"})
				if errors.Is(err, eventhubs.ErrPartitionStopped) != stop {
					t.Errorf("Enqueue returned %v", err)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if stop {
					n.WantSent()
				} else {
					n.WantSent("77:0/1-1")
				}
				if all := o.All(); len(all) != 1 || all[0].Outcome.Storage != eventhubs.NotStored {
					t.Errorf("outcomes %+v", all)
				}
			})
		})
	}
}
