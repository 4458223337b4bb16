package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/callback"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// takes has the service answer attaches as one that refuses claims with an error, if there is one, and gives each who claims nothing an id of its own: 77, 78 and so on.
func (n *numberedPeer) takes(refusal func(claim connection.Claim) error) {
	id := int64(76)
	n.reply = func(_ int, claim *connection.Claim) (connection.Identity, error) {
		if claim == nil {
			id++
			return connection.Identity{ProducerID: id}, nil
		}
		if err := refusal(*claim); err != nil {
			return connection.Identity{}, err
		}
		return connection.Identity{ProducerID: claim.ProducerID, Epoch: claim.Epoch, Sequence: n.last}, nil
	}
}

// attachRefused is a refusal of the attach itself, with that code.
func attachRefused(code connection.Code) error {
	return &connection.Error{Code: code, Transient: code == connection.CodeInternal, Refused: true, Err: errors.New("no such producer")}
}

// loseLink is a loss while the link is idle.
func (n *numberedPeer) loseLink() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = false
}

// The service may forget a producer whose link is idle, and then refuse its attach: no number was sent, and still the epoch must be raised, or nothing would ever be taken again.
func TestAForgottenProducerGoesOnThoughItsLinkWasIdle(t *testing.T) {
	for _, code := range []connection.Code{connection.CodeOutOfOrder, connection.CodeRejected, connection.CodePartitionUnknown, connection.CodeNotFound, connection.CodeInternal} {
		t.Run(string(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNumberedPeer(t)
				forgotten := false
				n.takes(func(connection.Claim) error {
					if forgotten {
						return attachRefused(code)
					}
					return nil
				})
				p := n.producer(Options{Retry: RetryOptions{MaxRetries: 1}})
				enqueue(t, p, "0", "a")
				_ = p.Flush(t.Context())
				forgotten = true
				n.loseLink()
				costs := 1
				if code == connection.CodeInternal {
					costs = 2 // one more to find out that it does not pass
				}
				for range costs {
					enqueue(t, p, "0", "b")
					if err := p.Flush(t.Context()); err == nil {
						t.Error("a batch is taken from a producer that was forgotten")
					}
				}
				for _, body := range []string{"c", "d"} {
					enqueue(t, p, "0", body)
					if err := p.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
				n.wantSent("77:0/1-1", "78:0/1-1", "78:0/2-2")
			})
		})
	}
}

// Nobody knows the words in which the real service refuses a higher epoch.
func TestAHigherEpochRefusedInAnyWordsMakesANewProducer(t *testing.T) {
	for code, failing := range map[connection.Code]int{connection.CodeNotFound: 0, connection.CodeDisabled: 0, connection.CodeInternal: 1} {
		t.Run(string(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNumberedPeer(t)
				n.takes(func(claim connection.Claim) error {
					if claim.Epoch > 0 {
						return attachRefused(code)
					}
					return nil
				})
				p := n.producer(Options{Retry: RetryOptions{MaxRetries: 1}})
				n.answers = []connection.Result{lostAcknowledgement, lostAcknowledgement}
				enqueue(t, p, "0", "a")
				_ = p.Flush(t.Context())
				for range failing { // what may pass by itself is tried as long as anything
					enqueue(t, p, "0", "b")
					if err := p.Flush(t.Context()); err == nil {
						t.Error("a refusal that may pass has made a new producer at once")
					}
				}
				enqueue(t, p, "0", "c")
				if err := p.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				n.wantSent("77:0/1-1", "77:0/1-1", "78:0/1-1")
			})
		})
	}
}

// A right that is missing for a while says nothing about the epoch, nor does a limit that is reached.
func TestAHigherEpochRefusedForRightsOrLimitsIsClaimedAgain(t *testing.T) {
	for _, code := range []connection.Code{connection.CodeUnauthorized, connection.CodeQuotaExceeded} {
		synctest.Test(t, func(t *testing.T) {
			n := newNumberedPeer(t)
			refused := 0
			n.takes(func(claim connection.Claim) error {
				if claim.Epoch > 0 && refused < 5 {
					refused++
					return attachRefused(code)
				}
				return nil
			})
			p := n.producer(Options{Retry: RetryOptions{MaxRetries: 1}})
			n.answers = []connection.Result{lostAcknowledgement, lostAcknowledgement}
			enqueue(t, p, "0", "a")
			_ = p.Flush(t.Context())
			for range 3 {
				enqueue(t, p, "0", "b")
				_ = p.Flush(t.Context())
			}
			n.wantSent("77:0/1-1", "77:0/1-1", "77:1/1-1")
		})
	}
}

// A service that takes nobody has not refused the epoch: the producer stays who it is, also if the link of the attach that showed it was lost.
func TestAServiceThatTakesNobodyLeavesTheProducerWhoItIs(t *testing.T) {
	for name, second := range map[string]error{
		"refused":   attachRefused(connection.CodeRejected),
		"lost":      &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Err: errors.New("cut")},
		"forgotten": attachRefused(connection.CodeOutOfOrder),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNumberedPeer(t)
				plain, refusing := n.reply, false
				n.reply = func(attach int, claim *connection.Claim) (connection.Identity, error) {
					switch {
					case refusing && claim == nil:
						return connection.Identity{}, second
					case refusing:
						return connection.Identity{}, attachRefused(connection.CodeRejected)
					}
					return plain(attach, claim)
				}
				p := n.producer(Options{Retry: RetryOptions{MaxRetries: -1}})
				enqueue(t, p, "0", "a")
				_ = p.Flush(t.Context())
				n.answers = []connection.Result{lostAcknowledgement}
				enqueue(t, p, "0", "b")
				_ = p.Flush(t.Context())
				refusing = true
				for range 2 {
					enqueue(t, p, "0", "c")
					_ = p.Flush(t.Context())
				}
				refusing = false
				enqueue(t, p, "0", "d")
				if err := p.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				n.wantSent("77:0/1-1", "77:0/2-2", "77:1/2-2")
			})
		})
	}
}

// Under the epoch that was given up a batch may still arrive: a reply that goes back to it gives numbers that are not safe.
func TestAReplyThatGoesBackToAnOlderEpochMakesANewProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNumberedPeer(t)
		n.takes(func(connection.Claim) error { return nil })
		plain := n.reply
		n.reply = func(attach int, claim *connection.Claim) (connection.Identity, error) {
			id, err := plain(attach, claim)
			id.Epoch = 0
			return id, err
		}
		p := n.producer(Options{Retry: RetryOptions{MaxRetries: -1}})
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		n.answers = []connection.Result{lostAcknowledgement}
		enqueue(t, p, "0", "b", "c")
		_ = p.Flush(t.Context())
		enqueue(t, p, "0", "d")
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		n.wantSent("77:0/1-1", "77:0/2-3", "78:0/1-1")
	})
}

// A service may raise the epoch by itself at each attach, and then refuse what it had before as an older producer's. That is not another producer.
func TestARefusalOfFormerNumbersFencesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNumberedPeer(t)
		n.reply = func(attach int, _ *connection.Claim) (connection.Identity, error) {
			return connection.Identity{ProducerID: 77, Epoch: int16(attach - 1), Sequence: n.last}, nil
		}
		p := n.producer(Options{})
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		n.answers = []connection.Result{lostAcknowledgement, {Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeFenced, Err: errors.New("epoch 0 is below 1")}}}
		enqueue(t, p, "0", "b")
		if err := p.Flush(t.Context()); err == nil {
			t.Error("what was refused is stored")
		}
		enqueue(t, p, "0", "c")
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		n.wantSent("77:0/1-1", "77:0/2-2", "77:0/2-2", "77:2/2-2")
	})
}

// Numbers come round to what the reply to an attach has told long ago. It settles nothing that was sent after it.
func TestAnOldReplySettlesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNumberedPeer(t)
		p := n.producer(Options{})
		if err := p.Connect(t.Context(), &ConnectOptions{Links: true}); err != nil {
			t.Fatal(err)
		}
		i := p.directory.partitions()[0].identity
		_ = i.take(t.Context())
		i.next.first = math.MaxInt32 // the attach has told 0
		i.release()
		n.answers = []connection.Result{{Outcome: connection.Released, Err: &connection.Error{Code: connection.CodeReleased, Transient: true, Err: errors.New("released")}}}
		enqueue(t, p, "0", "a", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		n.wantSent("77:0/2147483647-0", "77:0/2147483647-0")
	})
}

// A loader is a ProducerStore that keeps nothing.
type loader func(ctx context.Context) error

func (l loader) Load(ctx context.Context, _ ProducerKey) (ProducerID, error) {
	return ProducerID{}, l(ctx)
}
func (loader) Save(context.Context, ProducerKey, ProducerID, ProducerID) error { return nil }

// A sender that waits for Connect's turn fails like any other try, with an error that Policy and the outcome tell by its code.
func TestATryThatWaitsForConnectFailsWithACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNumberedPeer(t)
		var told []error
		o := outcomes{}
		p := n.producer(Options{
			ProducerStore: loader(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
			OnBatchFailed: o.handle,
			Retry: RetryOptions{TryTimeout: 5 * time.Second, Policy: func(f FailedTry) (time.Duration, bool) {
				told = append(told, f.Err)
				return time.Second, f.Failures < 3
			}},
		})
		ctx, cancel := context.WithCancel(t.Context())
		connected := make(chan error)
		go func() { connected <- p.Connect(ctx, nil) }()
		synctest.Wait()
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		told = append(told, o.all()[0].outcome.Err)
		if len(told) != 4 {
			t.Errorf("told were %v", told)
		}
		for _, err := range told {
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeTimeout || e.PartitionID != "0" || !e.Transient || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("told was %T %v", err, err)
			}
		}
		cancel()
		<-connected
	})
}

// A state that ends its goroutine, as t.FailNow does, has failed: it is asked again, unless there is to be no other try. Then its batch fails, which stops the
// partition if that is asked for.
func TestAStateThatEndsItsGoroutineHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNumberedPeer(t)
		calls := 0
		p := n.producer(Options{ProducerStore: loader(func(context.Context) error {
			if calls++; calls == 1 {
				runtime.Goexit()
			}
			return nil
		})})
		enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("Flush returned %v", err)
		}
		n.wantSent("77:0/1-1")
	})
	for _, stop := range []bool{false, true} {
		t.Run(fmt.Sprint("StopPartitionOnFailure=", stop), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNumberedPeer(t)
				calls := 0
				o := outcomes{}
				p := n.producer(Options{StopPartitionOnFailure: stop, Retry: RetryOptions{MaxRetries: -1}, ProducerStore: loader(func(context.Context) error {
					if calls++; calls == 1 {
						runtime.Goexit()
					}
					return nil
				}), OnBatchFailed: func(ctx context.Context, b *Batch) {
					o.handle(ctx, b)
					runtime.Goexit() // a handler that does so too has been told
				}})
				enqueue(t, p, "0", "a")
				ended, isEnded := errors.AsType[*callback.EndedError](p.Flush(t.Context()))
				if !isEnded || ended.Function != "ProducerStore.Load" {
					t.Errorf("Flush returned %v, want that ProducerStore.Load ended its goroutine", ended)
				}
				err := p.Enqueue(t.Context(), &Event{Body: []byte("b"), PartitionID: "0"})
				if errors.Is(err, ErrPartitionStopped) != stop {
					t.Errorf("Enqueue returned %v", err)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if stop {
					n.wantSent()
				} else {
					n.wantSent("77:0/1-1")
				}
				if all := o.all(); len(all) != 1 || all[0].outcome.Storage != NotStored {
					t.Errorf("told was %+v", all)
				}
			})
		})
	}
}
