package connection

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

func TestBatchesReachTheirPartitions(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() { // ends with the last batch
				id := strconv.Itoa(i)
				s := b.Sender(testHub, id, "")
				for range 10 {
					wantResult(t, s.Send(t.Context(), BatchOf(event("first "+id), event("second "+id))), Accepted, "")
				}
			})
		}
		wg.Wait()
		for i := range 4 {
			id, n := strconv.Itoa(i), 0
			for e := range b.server.Events(testHub, id) {
				want := []string{"first ", "second "}[n%2] + id
				if string(e.Body) != want {
					t.Errorf("partition %s, event %d: %q, want %q", id, n, e.Body, want)
				}
				n++
			}
			if n != 20 {
				t.Errorf("partition %s has %d events, want 20", id, n)
			}
		}
		if got := b.server.Counts(testHub, "").Batches; got != 40 {
			t.Errorf("%d batches, want 40", got)
		}
	})
}

func TestBatchOfManyFramesArrivesWhole(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1000, 1020)), Accepted, "")
		if got := b.stored("0"); got != 1000 {
			t.Errorf("%d events stored, want 1000", got)
		}
	})
}

func TestBatchLargerThanTheLinkTakesIsNotSent(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		e := wantResult(t, s.Send(t.Context(), batch(1100, 1000)), NotSent, CodeTooLarge)
		if e.Transient {
			t.Errorf("error %+v is transient", e)
		}
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		if got := b.tap.count(emulator.KindAttach); got != 3 {
			t.Errorf("%d links, want 3 ($cbs twice, and the sender's, which survives)", got)
		}
	})
}

func TestSendsOfOneSenderMayOverlap(t *testing.T) {
	slow := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Pass().AnswerAfter(time.Second)
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Hook: slow}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { // ends with the outcome
				wantResult(t, s.Send(t.Context(), batch(2, 100)), Accepted, "")
			})
		}
		wg.Wait()
		wantElapsed(t, start, time.Second)
	})
}

// TestEachOutcomeIsToldApart (H5: released and modified are no success) also checks that a sender
// works after each. It counts connections and links, and checks whether the batch was stored.
func TestEachOutcomeIsToldApart(t *testing.T) {
	const busy = "The request was terminated because the entity is being throttled. Error code : 50002. TrackingId:abc_G1, SystemTracker:x, Timestamp:y"
	for _, c := range []struct {
		name        string
		action      emulator.Action
		outcome     Outcome
		code        Code
		transient   bool
		stored      int // of the batch of 2 events
		connections int // after the next batch
		links       int
	}{
		{"accepted", emulator.Pass(), Accepted, "", false, 2, 1, 1},
		{"throttled", emulator.Reject("com.microsoft:server-busy", busy), Rejected, CodeThrottled, true, 0, 1, 1},
		{"too large", emulator.Reject("amqp:link:message-size-exceeded", "big"), Rejected, CodeTooLarge, false, 0, 1, 1},
		{"unauthorized", emulator.Reject("amqp:unauthorized-access", "no"), Rejected, CodeUnauthorized, false, 0, 1, 1},
		{"released", emulator.Release(), Released, CodeReleased, true, 0, 1, 1},
		{"modified", emulator.Modify(), Modified, CodeReleased, true, 0, 1, 1},
		{"detached as too large", emulator.Detach("amqp:link:message-size-exceeded", "big"), Rejected, CodeTooLarge, false, 0, 1, 2},
		{"connection closed as too large", emulator.CloseConnection("amqp:link:message-size-exceeded", "big"), Unknown, CodeTooLarge, false, 0, 2, 2},
		{"detached", emulator.Detach("amqp:link:detach-forced", "moved"), Unknown, CodeConnectionLost, true, 0, 1, 2},
		{"detached with unknown error", emulator.Detach("com.microsoft:new", "?"), Unknown, CodeInternal, true, 0, 1, 2},
		{"connection closed", emulator.CloseConnection("amqp:connection:forced", "upgrade"), Unknown, CodeConnectionLost, true, 0, 2, 2},
		{"cut", emulator.Cut(), Unknown, CodeConnectionLost, true, 0, 2, 2},
		{"cut after it was stored", emulator.Cut().Stored(), Unknown, CodeConnectionLost, true, 2, 2, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, emulator.Options{Hook: once(emulator.KindTransfer, c.action)}, func(t *testing.T, b *bench) {
				s := b.Sender(testHub, "0", "")
				start := time.Now()
				e := wantResult(t, s.Send(t.Context(), batch(2, 10)), c.outcome, c.code)
				if e != nil && e.Transient != c.transient {
					t.Errorf("error %+v, want transient %v", e, c.transient)
				}
				if c.code == CodeThrottled && (e.TrackingID != "abc_G1" || !strings.HasSuffix(e.Description, "50002.")) {
					t.Errorf("tracking id %q, description %q", e.TrackingID, e.Description)
				}
				if got := b.stored("0"); got != c.stored {
					t.Errorf("%d events stored, want %d", got, c.stored)
				}
				wantResult(t, s.Send(t.Context(), batch(1, 10)), Accepted, "")
				wantElapsed(t, start, 0)
				if got := b.tap.count(emulator.KindConnection); got != c.connections {
					t.Errorf("%d connections, want %d", got, c.connections)
				}
				// A connection also has a pair of links to $cbs.
				if got := b.tap.count(emulator.KindAttach) - 2*c.connections; got != c.links {
					t.Errorf("%d links, want %d", got, c.links)
				}
			})
		})
	}
}

// A link that is detached because a message is too large does not say which one, unless only one
// has no outcome.
func TestADetachForSizeIsARefusalOfAMessageThatIsAlone(t *testing.T) {
	for _, c := range []struct {
		name    string
		sends   int
		answer  time.Duration // after which the earlier ones are answered
		outcome Outcome       // of the last
		others  Outcome
	}{
		{"alone", 1, 0, Rejected, 0},
		{"behind one that has its outcome", 2, 0, Rejected, Accepted},
		{"behind one that is stored and not answered", 2, time.Minute, Unknown, Unknown},
		{"behind three", 4, time.Minute, Unknown, Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			hook := func(_ context.Context, op emulator.Operation) emulator.Action {
				switch {
				case op.Kind != emulator.KindTransfer:
					return emulator.Pass()
				case op.Events == 2:
					return emulator.Detach("amqp:link:message-size-exceeded", "big").After(time.Second)
				}
				return emulator.Pass().AnswerAfter(c.answer)
			}
			inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
				s := b.Sender(testHub, "0", "")
				var sends sync.WaitGroup
				for range c.sends - 1 {
					sends.Go(func() { // ends with the outcome
						wantTooLarge(t, s.Send(t.Context(), batch(1, 10)), c.others)
					})
				}
				synctest.Wait()
				wantTooLarge(t, s.Send(t.Context(), batch(2, 100)), c.outcome)
				sends.Wait()
				if got := b.stored("0"); got != c.sends-1 {
					t.Errorf("%d events stored, want %d", got, c.sends-1)
				}
				b.tap.set(nil)
				wantResult(t, s.Send(t.Context(), batch(1, 10)), Accepted, "")
			})
		})
	}
}

// A message that waits for credit when its link is detached for the size of another message has not
// left. It is worth an immediate try.
func TestWhatHasNotLeftIsNotBlamedForTheSizeOfAnother(t *testing.T) {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Detach("amqp:link:message-size-exceeded", "big").After(time.Second)
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		var sends sync.WaitGroup
		var waited atomic.Int64
		for range 350 { // the service allows 300
			sends.Go(func() { // ends with the outcome
				r := s.Send(t.Context(), batch(1, 10))
				if r.Outcome != NotSent {
					wantTooLarge(t, r, Unknown)
				} else if e := wantResult(t, r, NotSent, CodeConnectionLost); e.Transient && e.Lost {
					waited.Add(1)
				}
			})
		}
		sends.Wait()
		if waited.Load() == 0 { // one; the later sends have found the link gone, and another one
			t.Error("no message waited for credit, or it is not told to be sent at once")
		}
	})
}

// wantTooLarge checks an outcome. Unless it is accepted, its error is transient only if the outcome
// is open.
func wantTooLarge(t *testing.T, got Result, outcome Outcome) {
	t.Helper()
	if outcome == Accepted {
		wantResult(t, got, Accepted, "")
		return
	}
	if e := wantResult(t, got, outcome, CodeTooLarge); e != nil && (e.Transient != (outcome == Unknown) || e.Lost) {
		t.Errorf("error %+v, want transient %v", e, outcome == Unknown)
	}
}

func TestOnePartitionsLostLinkLeavesTheOthersAlone(t *testing.T) {
	var detach emulator.Hook = func(_ context.Context, op emulator.Operation) emulator.Action {
		switch {
		case op.Kind != emulator.KindTransfer:
			return emulator.Pass()
		case op.PartitionID == "0":
			return emulator.Detach("amqp:link:detach-forced", "moved")
		default:
			return emulator.Pass().AnswerAfter(time.Second)
		}
	}
	inBubble(t, emulator.Options{Hook: detach}, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		wg.Go(func() { // ends with the outcome, a second later
			wantResult(t, b.Sender(testHub, "1", "").Send(t.Context(), batch(1, 10)), Accepted, "")
		})
		s := b.Sender(testHub, "0", "")
		for range 5 {
			wantResult(t, s.Send(t.Context(), batch(1, 10)), Unknown, CodeConnectionLost)
		}
		wg.Wait()
		if got := b.tap.count(emulator.KindConnection); got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

// TestConnectionLostWhileIdleIsReplacedAtOnce ends the connection while one partition is
// idle; a link that ends while idle is in hazards_test.go.
func TestConnectionLostWhileIdleIsReplacedAtOnce(t *testing.T) {
	for name, action := range map[string]emulator.Action{
		"closed": emulator.CloseConnection("amqp:connection:forced", "idle"),
		"cut":    emulator.Cut(),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, emulator.Options{Hook: once(emulator.KindTransfer, action)}, func(t *testing.T, b *bench) {
				idle := b.Sender(testHub, "0", "")
				if err := idle.Open(t.Context()); err != nil {
					t.Fatal(err)
				}
				wantResult(t, b.Sender(testHub, "1", "").Send(t.Context(), batch(1, 1)), Unknown, CodeConnectionLost)
				start := time.Now()
				wantResult(t, idle.Send(t.Context(), batch(1, 1)), Accepted, "")
				wantElapsed(t, start, 0)
			})
		})
	}
}

// TestContextThatEndsWhileWaitingForCreditLeavesTheLinkAlone, and reports it like any other timeout
// (H4).
func TestContextThatEndsWhileWaitingForCreditLeavesTheLinkAlone(t *testing.T) {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.PartitionID == "0" {
			return emulator.WithholdCredit(10 * time.Second)
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		for range 3 {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			e := wantResult(t, s.Send(ctx, batch(2000, 100)), NotSent, CodeTimeout)
			cancel()
			if !errors.Is(e, context.DeadlineExceeded) {
				t.Errorf("error %v does not match the context's", e)
			}
			wantElapsed(t, start, time.Second)
		}
		wantResult(t, s.Send(t.Context(), batch(3, 10)), Accepted, "")
		if got := b.stored("0"); got != 3 {
			t.Errorf("%d events stored, want the last batch's 3", got)
		}
		if got := b.tap.count(emulator.KindAttach); got != 3 {
			t.Errorf("%d links, want 3 ($cbs twice, and the sender's)", got)
		}
	})
}

func TestEmptyBatchIsRefused(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		wantResult(t, b.Sender(testHub, "0", "").Send(t.Context(), nil), NotSent, CodeRejected)
	})
}

func TestSenderToTheHubLeavesThePartitionToTheService(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		wantResult(t, b.Sender(testHub, "", "").Send(t.Context(), batch(3, 10)), Accepted, "")
		if got := b.server.Counts(testHub, "").Events; got != 3 {
			t.Errorf("%d events stored, want 3", got)
		}
	})
}

func TestContextThatHasEndedSendsNothing(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		e := wantResult(t, b.Sender(testHub, "0", "").Send(ctx, batch(1, 1)), NotSent, CodeCanceled)
		if !errors.Is(e, context.Canceled) {
			t.Errorf("error %v does not match context.Canceled", e)
		}
		if got := b.tap.count(emulator.KindConnection); got != 0 {
			t.Errorf("%d connections, want none", got)
		}
	})
}

// TestContextThatEndsMidMessageGivesUpTheLinkOnly (H3: not the connection) has a slow network, on
// which the batch takes 8 seconds, and a context of 5.
func TestContextThatEndsMidMessageGivesUpTheLinkOnly(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		c, nc := b.through(nil, time.Second)
		s, other := c.Sender(testHub, "0", ""), c.Sender(testHub, "1", "")
		for _, s := range []*Sender{s, other} {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		}
		nc.Load().on.Store(true)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second+time.Millisecond)
		defer cancel()
		e := wantResult(t, s.Send(ctx, batch(1000, 1000)), Unknown, CodeTimeout)
		if !errors.Is(e, context.DeadlineExceeded) || !e.Transient {
			t.Errorf("error %+v, want a transient one that matches the context's", e)
		}
		wantElapsed(t, start, 5*time.Second+time.Millisecond)
		nc.Load().on.Store(false)
		for _, s := range []*Sender{other, s} {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		}
		if got := b.stored("0"); got != 2 {
			t.Errorf("%d events stored, want 2, and none of the batch that was given up", got)
		}
		if got := b.tap.count(emulator.KindConnection); got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
		_ = c.Close(t.Context())
	})
}

// TestContextThatEndsOnAStalledNetworkBreaksTheConnection has a network that accepts nothing any
// more: the detach cannot leave either.
func TestContextThatEndsOnAStalledNetworkBreaksTheConnection(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		c, nc := b.through(make(chan struct{}), 0)
		s := c.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		nc.Load().on.Store(true)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantResult(t, s.Send(ctx, batch(1000, 1000)), Unknown, CodeTimeout)
		wantElapsed(t, start, time.Second)
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		wantElapsed(t, start, time.Second+standstill) // the write has the batch's memory, so it does not get closeTimeout
		_ = c.Close(t.Context())
	})
}

func TestContextThatEndsBeforeTheOutcomeGivesUpTheLink(t *testing.T) {
	for name, c := range map[string]struct {
		action  emulator.Action
		outcome Outcome
		stored  int
	}{
		"no outcome, not stored":                {emulator.Silence(), Unknown, 0},
		"no outcome, stored":                    {emulator.Silence().Stored(), Unknown, 1},
		"an outcome that comes in time, though": {emulator.Pass().AnswerAfter(999 * time.Millisecond), Accepted, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, emulator.Options{Hook: once(emulator.KindTransfer, c.action)}, func(t *testing.T, b *bench) {
				s := b.Sender(testHub, "0", "")
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				result := s.Send(ctx, batch(1, 10))
				code := CodeTimeout
				if c.outcome == Accepted {
					code = ""
				}
				e := wantResult(t, result, c.outcome, code)
				if e != nil && !errors.Is(e, context.DeadlineExceeded) {
					t.Errorf("error %v does not match the context's", e)
				}
				if got := b.stored("0"); got != c.stored {
					t.Errorf("%d events stored, want %d", got, c.stored)
				}
				wantResult(t, s.Send(t.Context(), batch(1, 10)), Accepted, "")
				if got := b.tap.count(emulator.KindConnection); got != 1 {
					t.Errorf("%d connections, want 1", got)
				}
			})
		})
	}
}

func TestClosedSenderSendsNothingMore(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		s.Close(t.Context())
		wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeClosed)
		s.Close(t.Context())
	})
}

func TestCloseOfASenderEndsItsSends(t *testing.T) {
	inBubble(t, emulator.Options{Hook: once(emulator.KindTransfer, emulator.Silence())}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		var wg sync.WaitGroup
		wg.Go(func() { // ends with Close
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Unknown, CodeConnectionLost)
		})
		synctest.Wait()
		start := time.Now()
		s.Close(t.Context())
		wg.Wait()
		wantElapsed(t, start, 0)
	})
}
