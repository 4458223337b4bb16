package eventhubs

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// unauthorized is a try that fails with all that a service tells of it.
func unauthorized() error {
	return &connection.Error{Code: connection.CodeUnauthorized, Condition: "amqp:unauthorized-access", Description: "InvalidSignature",
		TrackingID: "t-1", Transient: true, Err: errors.New("amqp:unauthorized-access: InvalidSignature")}
}

// wantHindrance checks that an error is an end and tells the failure before it, which has lasted since the given moment.
func wantHindrance(t *testing.T, what string, err, end error, since time.Duration, transient bool) {
	t.Helper()
	if !errors.Is(err, end) {
		t.Errorf("%s: %v, want one that is %v", what, err, end)
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Errorf("%s: %v has no *Error", what, err)
		return
	}
	if e.Code != CodeUnauthorized || e.Condition != "amqp:unauthorized-access" || e.TrackingID != "t-1" || e.Tries < 1 {
		t.Errorf("%s: the *Error is %#v, want the code, the condition, the tracking id and the tries of what had failed", what, e)
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

// start is when a bubble begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// A hinderedRig is a producer whose tries all fail: of a partition's link, or, unlisted, to get the list of partitions.
func hinderedRig(t *testing.T, unlisted bool, options Options) (*BufferedProducer, *outcomes) {
	peer, told := newPeer(t, 1), new(outcomes)
	if unlisted {
		peer.properties = func(int) error { return unauthorized() }
	} else {
		peer.open = func(string) error { return unauthorized() }
	}
	options.MaxWaitTime, options.OnBatchFailed = SendAtOnce, told.handle
	if options.Retry.Mode == 0 {
		options.Retry = RetryOptions{Mode: RetryFixed, RetryDelay: 10 * time.Second, MaxRetries: 100}
	}
	p := peer.producer(options)
	if !unlisted {
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	return p, told
}

// TestWhateverEndsAnEventTellsWhatFailedBefore ends an event in each way, after tries of its partition or for the list have failed since the first moment.
func TestWhateverEndsAnEventTellsWhatFailedBefore(t *testing.T) {
	soon := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	for name, c := range map[string]struct {
		options   Options
		end       error
		transient bool
		call      func(*testing.T, *BufferedProducer) error // its error tells the cause too, if it is not nil
	}{
		"Close":   {Options{}, ErrClosed, false, func(t *testing.T, p *BufferedProducer) error { return p.Close(soon(t)) }},
		"Abandon": {Options{}, ErrAbandoned, false, func(t *testing.T, p *BufferedProducer) error { return p.Abandon(t.Context()) }},
		"Clear": {Options{}, ErrCleared, false, func(t *testing.T, p *BufferedProducer) error {
			enqueue(t, p, "0", "cleared") // the first is on its way, unless it is staged
			p.Clear(t.Context())
			return nil
		}},
		"the DeliveryTimeout": {Options{DeliveryTimeout: time.Minute}, ErrDeliveryTimeout, true, func(*testing.T, *BufferedProducer) error {
			time.Sleep(time.Hour)
			return nil
		}},
	} {
		for where, unlisted := range map[string]bool{"in a partition": false, "staged": true} {
			t.Run(name+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, told := hinderedRig(t, unlisted, c.options)
					enqueue(t, p, "0", "a")
					time.Sleep(35 * time.Second)
					if err := c.call(t, p); err != nil {
						wantHindrance(t, name, err, c.end, 0, c.transient)
					}
					synctest.Wait()
					all := told.all()
					if name == "Clear" && !unlisted {
						_ = p.Abandon(t.Context())
						all = told.all()[1:]
					}
					if len(all) == 0 {
						t.Fatal("no handler was told")
					}
					wantHindrance(t, "the outcome", all[0].outcome.Err, c.end, 0, c.transient)
					if want := `^eventhubs: not delivered within Options.DeliveryTimeout, 1m0s, after [5-8] tries; the last error: `; name == "the DeliveryTimeout" && !regexp.MustCompile(want).MatchString(all[0].outcome.Err.Error()) {
						t.Errorf("the outcome is %q, want %q in it", all[0].outcome.Err, want)
					}
					if all[0].outcome.Tries != 0 {
						t.Errorf("Outcome.Tries is %d, want 0: nothing was sent", all[0].outcome.Tries)
					}
				})
			})
		}
	}
}

// What expires before its first try, behind a batch whose tries fail, tells why it was not sent.
func TestAnExpiredEventTellsWhatFailedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, told := hinderedRig(t, false, Options{})
		expires := &Event{PartitionID: "0", ExpiresAt: time.Now().Add(15 * time.Second)}
		if err := p.Enqueue(t.Context(), With(event("a"), expires)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if all := told.all(); len(all) != 1 {
			t.Fatalf("%d batches were told, want 1", len(all))
		}
		wantHindrance(t, "the outcome", told.all()[0].outcome.Err, ErrExpired, 0, false)
	})
}

// The end of the tries is told with since when they have failed.
func TestTheLastTryTellsSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, told := hinderedRig(t, false, Options{Retry: RetryOptions{Mode: RetryFixed, RetryDelay: time.Second, MaxRetries: 3}})
		time.Sleep(7 * time.Second)
		enqueue(t, p, "0", "a")
		time.Sleep(time.Minute)
		err := told.all()[0].outcome.Err
		e, ok := err.(*Error)
		if !ok || e.Tries != 4 || e.Since.Sub(start) != 7*time.Second || !e.Transient {
			t.Errorf("the outcome's error is %#v, want an *Error of 4 tries since 7s", err)
		}
	})
}

// Who waits for room, who is refused it, and a Flush that gives up, say why nothing moves.
func TestWhoeverWaitsIsToldWhatFails(t *testing.T) {
	for where, unlisted := range map[string]bool{"in a partition": false, "staged": true} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := hinderedRig(t, unlisted, Options{MaxBufferedEvents: 1})
				enqueue(t, p, "0", "a")
				time.Sleep(4 * time.Minute)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				wantHindrance(t, "TryEnqueue", p.TryEnqueue(t.Context(), &Event{Body: []byte("b"), PartitionID: "0"}), ErrBufferFull, 0, true)
				err := p.Enqueue(ctx, &Event{Body: []byte("b"), PartitionID: "0"})
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
				wantHindrance(t, "Close", p.Close(ctx), ErrClosed, 0, false)
			})
		})
	}
}

// A partition that was not tried yet is held up by a connection that nobody can open.
func TestAHindranceInAnotherPartitionCountsIfThereIsNoConnection(t *testing.T) {
	for name, unreached := range map[string]bool{"there is none": true, "there is one": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 2)
				peer.open = func(string) error {
					return &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Unreached: unreached, Err: errors.New("no route")}
				}
				var told outcomes
				p := peer.producer(Options{MaxWaitTime: UntilFull, OnBatchFailed: told.handle})
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				if _, err := p.Publish(t.Context(), &Event{Body: []byte("a"), PartitionID: "0"}); err == nil {
					t.Fatal("Publish succeeded")
				}
				enqueue(t, p, "1", "b") // lingers
				_ = p.Abandon(t.Context())
				for _, b := range told.all() {
					if _, found := errors.AsType[*Error](b.outcome.Err); b.partition == "1" && found != unreached {
						t.Errorf("the outcome is %v: a cause in it is found: %v, want %v", b.outcome.Err, found, unreached)
					}
				}
			})
		})
	}
}

// What has passed is no cause.
func TestWhatHasSucceededSinceHindersNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer, told := newPeer(t, 1), new(outcomes)
		var passed atomic.Bool
		peer.open = func(string) error {
			if !passed.Load() {
				return unauthorized()
			}
			return nil
		}
		p := peer.producer(Options{MaxWaitTime: UntilFull, OnBatchFailed: told.handle})
		publishing := make(chan error)
		go func() {
			publishing <- outcomeErr(p.Publish(t.Context(), &Event{Body: []byte("a"), PartitionID: "0"}))
		}() // ends with it
		time.Sleep(time.Second / 4)
		passed.Store(true)
		if err := <-publishing; err != nil {
			t.Fatal(err)
		}
		enqueue(t, p, "0", "b")
		err := p.Abandon(t.Context())
		if e, found := errors.AsType[*Error](err); found {
			t.Errorf("Abandon returned %v, with %#v: that had passed", err, e)
		}
		if want := "eventhubs: 1 event not stored; the first failure: abandoned: "; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Abandon said %q, want it to begin with %q", err, want)
		}
	})
}

// UndeliveredError counts by storage, in words that fit one event as well as several.
func TestUndeliveredErrorCountsByStorage(t *testing.T) {
	for want, e := range map[string]*UndeliveredError{
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
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result {
			if s.partition == "0" {
				return transient(connection.Unknown)
			}
			return refused("no")
		}
		p := peer.producer(Options{MaxWaitTime: UntilFull, OnBatchFailed: func(context.Context, *Batch) {}, Retry: RetryOptions{MaxRetries: -1}})
		enqueue(t, p, "0", "a", "b")
		enqueue(t, p, "1", "c")
		u, ok := errors.AsType[*UndeliveredError](p.Close(t.Context()))
		if !ok || u.NotStored != 1 || u.PossiblyStored != 2 || u.Pending != 0 {
			t.Errorf("Close returned %#v, want 1 not stored and 2 possibly stored", u)
		}
	})
}
