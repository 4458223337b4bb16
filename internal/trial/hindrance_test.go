package trial

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// wantHindrance checks that an error is an end and names the failure before it, which has lasted
// since the given moment.
func wantHindrance(t *testing.T, what string, err, end error, since time.Duration, transient bool) {
	t.Helper()
	if !errors.Is(err, end) {
		t.Errorf("%s: %v, want one that is %v", what, err, end)
	}
	e, ok := errors.AsType[*eventhubs.Error](err)
	if !ok {
		t.Errorf("%s: %v has no *Error", what, err)
		return
	}
	if e.Code != eventhubs.CodeUnauthorized || e.Condition != "amqp:unauthorized-access" || e.TrackingID != "t-1" || e.Tries < 1 {
		t.Errorf("%s: the *Error is %#v, want the code, the condition, the tracking id and the tries of the failure", what, e)
	}
	if got := e.Since.Sub(start); got != since {
		t.Errorf("%s: it has failed since %v, want %v", what, got, since)
	}
	if e.Transient != transient {
		t.Errorf("%s: Transient is %v, want %v", what, e.Transient, transient)
	}
	if strings.Count(err.Error(), "eventhubs:") != 1 || !strings.Contains(err.Error(), "InvalidSignature") {
		t.Errorf("%s: the text is %q, want one prefix and the cause", what, err)
	}
}

// start is the time at which a bubble begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// A hinderedRig is a producer whose tries all fail: those of a partition's link or, unlisted, those
// for the list of partitions.
func hinderedRig(t *testing.T, unlisted bool, options eventhubs.Options) (*eventhubs.BufferedProducer, *world.Outcomes) {
	peer, told := scripted.New(t, 1), new(world.Outcomes)
	if unlisted {
		peer.List = func(int) error { return scripted.Unauthorized() }
	} else {
		peer.Open = func(string) error { return scripted.Unauthorized() }
	}
	options.MaxWaitTime, options.OnBatchFailed = eventhubs.SendAtOnce, told.Handle
	if options.Retry.Mode == 0 {
		options.Retry = eventhubs.RetryOptions{Mode: eventhubs.RetryFixed, RetryDelay: 10 * time.Second, MaxRetries: 100}
	}
	p := world.Over(peer, options)
	if !unlisted {
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	return p, told
}

// TestWhateverEndsAnEventTellsWhatFailedBefore ends an event in each way. All tries of its
// partition, or for the list, have failed since the first moment.
func TestWhateverEndsAnEventTellsWhatFailedBefore(t *testing.T) {
	soon := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	for name, c := range map[string]struct {
		options   eventhubs.Options
		end       error
		transient bool
		// Its error names the cause too, unless it is nil.
		call func(*testing.T, *eventhubs.BufferedProducer) error
	}{
		"Close":   {eventhubs.Options{}, eventhubs.ErrClosed, false, func(t *testing.T, p *eventhubs.BufferedProducer) error { return p.Close(soon(t)) }},
		"Abandon": {eventhubs.Options{}, eventhubs.ErrAbandoned, false, func(t *testing.T, p *eventhubs.BufferedProducer) error { return p.Abandon(t.Context()) }},
		"Clear": {eventhubs.Options{}, eventhubs.ErrCleared, false, func(t *testing.T, p *eventhubs.BufferedProducer) error {
			world.Enqueue(t, p, "0", "cleared") // the first is in flight, unless it is staged
			p.Clear(t.Context())
			return nil
		}},
		"the DeliveryTimeout": {eventhubs.Options{DeliveryTimeout: time.Minute}, eventhubs.ErrDeliveryTimeout, true, func(*testing.T, *eventhubs.BufferedProducer) error {
			time.Sleep(time.Hour)
			return nil
		}},
	} {
		for where, unlisted := range map[string]bool{"in a partition": false, "staged": true} {
			t.Run(name+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, told := hinderedRig(t, unlisted, c.options)
					world.Enqueue(t, p, "0", "a")
					time.Sleep(35 * time.Second)
					if err := c.call(t, p); err != nil {
						wantHindrance(t, name, err, c.end, 0, c.transient)
					}
					synctest.Wait()
					all := told.All()
					if name == "Clear" && !unlisted {
						_ = p.Abandon(t.Context())
						all = told.All()[1:]
					}
					if len(all) == 0 {
						t.Fatal("no handler was called")
					}
					wantHindrance(t, "the outcome", all[0].Outcome.Err, c.end, 0, c.transient)
					if want := `^eventhubs: not delivered within Options.DeliveryTimeout, 1m0s, after [5-8] tries; the last error: `; name == "the DeliveryTimeout" && !regexp.MustCompile(want).MatchString(all[0].Outcome.Err.Error()) {
						t.Errorf("the outcome is %q, want %q in it", all[0].Outcome.Err, want)
					}
					if all[0].Outcome.Tries != 0 {
						t.Errorf("Outcome.Tries is %d, want 0: nothing was sent", all[0].Outcome.Tries)
					}
				})
			})
		}
	}
}

// An event expires before its first try, after a batch whose tries fail. Its error says why it was
// not sent.
func TestAnExpiredEventTellsWhatFailedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, told := hinderedRig(t, false, eventhubs.Options{})
		expires := &eventhubs.Event{PartitionID: "0", ExpiresAt: time.Now().Add(15 * time.Second)}
		if err := p.Enqueue(t.Context(), world.With(world.Event("a"), expires)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if all := told.All(); len(all) != 1 {
			t.Fatalf("%d batches have an outcome, want 1", len(all))
		}
		wantHindrance(t, "the outcome", told.All()[0].Outcome.Err, eventhubs.ErrExpired, 0, false)
	})
}

// The error of the last try says since when the tries have failed.
func TestTheLastTryTellsSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, told := hinderedRig(t, false, eventhubs.Options{Retry: eventhubs.RetryOptions{Mode: eventhubs.RetryFixed, RetryDelay: time.Second, MaxRetries: 3}})
		time.Sleep(7 * time.Second)
		world.Enqueue(t, p, "0", "a")
		time.Sleep(time.Minute)
		err := told.All()[0].Outcome.Err
		e, ok := err.(*eventhubs.Error)
		if !ok || e.Tries != 4 || e.Since.Sub(start) != 7*time.Second || !e.Transient {
			t.Errorf("the outcome's error is %#v, want an *Error of 4 tries since 7s", err)
		}
	})
}

// Callers that wait for room or are refused it get an error that says why nothing moves. So does a
// Flush that gives up.
func TestWhoeverWaitsIsToldWhatFails(t *testing.T) {
	for where, unlisted := range map[string]bool{"in a partition": false, "staged": true} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := hinderedRig(t, unlisted, eventhubs.Options{MaxBufferedEvents: 1})
				world.Enqueue(t, p, "0", "a")
				time.Sleep(4 * time.Minute)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				wantHindrance(t, "TryEnqueue", p.TryEnqueue(t.Context(), &eventhubs.Event{Body: []byte("b"), PartitionID: "0"}), eventhubs.ErrBufferFull, 0, true)
				err := p.Enqueue(ctx, &eventhubs.Event{Body: []byte("b"), PartitionID: "0"})
				wantHindrance(t, "Enqueue", err, context.DeadlineExceeded, 0, true)
				if want := "sending has failed for 4m1s: "; !strings.Contains(err.Error(), want) {
					t.Errorf("Enqueue said %q, want %q in it", err, want)
				}
				err = p.Flush(ctx)
				wantHindrance(t, "Flush", err, context.DeadlineExceeded, 0, true)
				if want := "eventhubs: 1 event still pending: "; !strings.HasPrefix(err.Error(), want) {
					t.Errorf("Flush said %q, want it to begin with %q", err, want)
				}
				ctx, cancel = context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				wantHindrance(t, "Close", p.Close(ctx), eventhubs.ErrClosed, 0, false)
			})
		})
	}
}

// A partition without a try is held up by a connection that cannot be opened.
func TestAHindranceInAnotherPartitionCountsIfThereIsNoConnection(t *testing.T) {
	for name, unreached := range map[string]bool{"there is none": true, "there is one": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 2)
				peer.Open = func(string) error {
					return &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Unreached: unreached, Err: errors.New("no route")}
				}
				var told world.Outcomes
				p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: told.Handle})
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				if _, err := p.Publish(t.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: "0"}); err == nil {
					t.Fatal("Publish succeeded")
				}
				world.Enqueue(t, p, "1", "b") // lingers
				_ = p.Abandon(t.Context())
				for _, b := range told.All() {
					if _, found := errors.AsType[*eventhubs.Error](b.Outcome.Err); b.Partition == "1" && found != unreached {
						t.Errorf("the outcome is %v: a cause in it is found: %v, want %v", b.Outcome.Err, found, unreached)
					}
				}
			})
		})
	}
}

// A failure that has passed is no cause.
func TestWhatHasSucceededSinceHindersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, told := scripted.New(t, 1), new(world.Outcomes)
		var passed atomic.Bool
		peer.Open = func(string) error {
			if !passed.Load() {
				return scripted.Unauthorized()
			}
			return nil
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: told.Handle})
		publishing := make(chan error)
		go func() {
			publishing <- world.OutcomeErr(p.Publish(t.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: "0"}))
		}() // ends with it
		time.Sleep(time.Second / 4)
		passed.Store(true)
		if err := <-publishing; err != nil {
			t.Fatal(err)
		}
		world.Enqueue(t, p, "0", "b")
		err := p.Abandon(t.Context())
		if e, found := errors.AsType[*eventhubs.Error](err); found {
			t.Errorf("Abandon returned %v with the passed failure %#v", err, e)
		}
		if want := "eventhubs: 1 event not stored; the first failure: abandoned: "; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Abandon said %q, want it to begin with %q", err, want)
		}
	})
}

// UndeliveredError counts by storage. Its words fit one event as well as several.
func TestUndeliveredErrorCountsByStorage(t *testing.T) {
	for want, e := range map[string]*eventhubs.UndeliveredError{
		"eventhubs: 1 event not stored; the first failure: x":                               {NotStored: 1, Err: errors.New("eventhubs: x")},
		"eventhubs: 2 events not stored, 1 event possibly stored; the first failure: x":     {NotStored: 2, PossiblyStored: 1, Err: errors.New("x")},
		"eventhubs: 3 events still pending: x":                                              {Pending: 3, Err: errors.New("x")},
		"eventhubs: 1 event not stored, 2 events possibly stored, 1 event still pending: x": {NotStored: 1, PossiblyStored: 2, Pending: 1, Err: errors.New("x")},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Partition == "0" {
				return scripted.Transient(connection.Unknown)
			}
			return scripted.Refused("no")
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}, Retry: eventhubs.RetryOptions{MaxRetries: -1}})
		world.Enqueue(t, p, "0", "a", "b")
		world.Enqueue(t, p, "1", "c")
		u, ok := errors.AsType[*eventhubs.UndeliveredError](p.Close(t.Context()))
		if !ok || u.NotStored != 1 || u.PossiblyStored != 2 || u.Pending != 0 {
			t.Errorf("Close returned %#v, want 1 not stored and 2 possibly stored", u)
		}
	})
}
