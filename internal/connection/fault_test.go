package connection

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// sendWithin sends with a context that ends after timeout.
func sendWithin(t *testing.T, s *Sender, timeout time.Duration, events [][]byte) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return s.Send(ctx, events)
}

// TestTryEndsInTimeWhatever makes a try of one second against a service that does not answer, in
// various ways, and then against a healthy one.
func TestTryEndsInTimeWhatever(t *testing.T) {
	large := batch(1000, 1000) // 17 frames
	for _, c := range []struct {
		name        string
		kind        emulator.Kind
		action      emulator.Action
		events      [][]byte
		outcome     Outcome
		recovered   time.Duration // when the next try, made at once, has succeeded
		connections int
	}{
		{"no outcome", emulator.KindTransfer, emulator.Silence(), nil, Unknown, time.Second, 1},
		{"no outcome, and no answer to the detach", emulator.KindTransfer, emulator.Silence().IgnoreDetach(), nil, Unknown, time.Second + closeTimeout, 2},
		{"a closed session window", emulator.KindAttach, emulator.Pass().CloseWindow(0), nil, NotSent, time.Second, 1},
		{"a closed session window, and no answer to the detach", emulator.KindAttach, emulator.Pass().CloseWindow(0).IgnoreDetach(), nil, NotSent, time.Second + closeTimeout, 2},
		{"nobody reads", emulator.KindAttach, emulator.Pass().StallReading(0), large, Unknown, time.Second + standstill, 2},
		// An opening goes on without the try, since it may just be slow.
		{"no attach", emulator.KindAttach, emulator.Silence(), nil, NotSent, openTimeout, 1},
		{"no token", emulator.KindPutToken, emulator.Silence(), nil, NotSent, openTimeout + againPause, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			hook := func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == c.kind && (op.Kind != emulator.KindAttach || op.PartitionID != "") {
					return c.action
				}
				return emulator.Pass()
			}
			inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
				events := c.events
				if events == nil {
					events = batch(1, 1)
				}
				s := b.Sender(testHub, "0", "")
				start := time.Now()
				if e := wantResult(t, sendWithin(t, s, time.Second, events), c.outcome, CodeTimeout); e.Lost || e.Unreached || !e.Transient {
					t.Errorf("error %+v, want a transient one, neither lost nor unreached", e)
				}
				wantElapsed(t, start, time.Second)
				b.tap.set(nil)
				for s.Send(t.Context(), batch(1, 1)).Outcome != Accepted {
				}
				wantElapsed(t, start, c.recovered)
				if got := b.tap.count(emulator.KindConnection); got != c.connections {
					t.Errorf("%d connections, want %d", got, c.connections)
				}
			})
		})
	}
}

// TestPauseOfTheServiceIsWaitedFor has the same faults, but they pass within the try.
func TestPauseOfTheServiceIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name   string
		action emulator.Action
		credit bool // the send waits for the peer's permission
	}{
		{"credit", emulator.WithholdCredit(3 * time.Second), true},
		{"session window", emulator.Pass().CloseWindow(3 * time.Second), true},
		{"reading", emulator.Pass().StallReading(3 * time.Second), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			hook := func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == emulator.KindAttach && op.PartitionID != "" {
					return c.action
				}
				return emulator.Pass()
			}
			inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
				s := b.Sender(testHub, "0", "")
				start := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() { // ends with the outcome
					wantResult(t, s.Send(t.Context(), batch(1000, 1000)), Accepted, "")
				})
				synctest.Wait()
				if got := s.WaitingForCredit(); got != c.credit {
					t.Errorf("it waits for credit: %v, want %v", got, c.credit)
				}
				wg.Wait()
				wantElapsed(t, start, 3*time.Second)
				if s.WaitingForCredit() {
					t.Error("it still waits for credit")
				}
			})
		})
	}
}

// TestSendBehindOneThatIsHeldUpEndsByItself: it gives nothing up, since nothing of it has been
// handed over.
func TestSendBehindOneThatIsHeldUpEndsByItself(t *testing.T) {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.PartitionID != "" {
			return emulator.Pass().CloseWindow(3 * time.Second)
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { // ends with the outcome
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			wantElapsed(t, start, 3*time.Second)
		})
		synctest.Wait()
		wantResult(t, sendWithin(t, s, time.Second, batch(1, 1)), NotSent, CodeTimeout)
		wantElapsed(t, start, time.Second)
		wg.Wait()
		if got := b.tap.count(emulator.KindAttach); got != 3 {
			t.Errorf("%d links, want 3: a pair to $cbs, and the sender's", got)
		}
	})
}

// TestLinkThatGetsNoCreditForAMinuteIsReplaced: until then the link stays, however short the tries
// are, since a new link might have to wait as long.
func TestLinkThatGetsNoCreditForAMinuteIsReplaced(t *testing.T) {
	inBubble(t, emulator.Options{Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.PartitionID != "" {
			return emulator.WithholdCredit(0)
		}
		return emulator.Pass()
	}}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		for i := range 4 {
			if got := b.tap.count(emulator.KindAttach); i > 0 && got != 3 {
				t.Errorf("%d links after %d tries, want 3: a pair to $cbs, and the sender's", got, i)
			}
			wantResult(t, sendWithin(t, s, 15*time.Second, batch(1, 1)), NotSent, CodeTimeout)
			time.Sleep(time.Minute) // the time without a send does not count
		}
		b.tap.set(nil)
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		if got := b.tap.count(emulator.KindAttach); got != 4 {
			t.Errorf("%d links, want 4", got)
		}
	})
}

// TestAPairThatAnswersNothingIsReplaced: the first pair of links to a node stops serving requests,
// or never serves any. Another pair would. Nothing else ends the first one: the connection lives,
// since other traffic goes on.
func TestAPairThatAnswersNothingIsReplaced(t *testing.T) {
	for _, node := range []struct {
		address string
		kind    emulator.Kind
		ask     func(ctx context.Context, b *bench) error
	}{
		{"$cbs", emulator.KindPutToken, func(ctx context.Context, b *bench) error { return b.Authorize(ctx, testHub) }},
		{"$management", emulator.KindManagement, func(ctx context.Context, b *bench) error { _, err := b.HubProperties(ctx, testHub); return err }},
	} {
		for name, action := range map[string]emulator.Action{
			"no reply":      emulator.Silence(),
			"no settlement": emulator.Pass().After(24 * time.Hour),
			"no credit":     emulator.Pass(), // see below
		} {
			t.Run(node.address+", "+name, func(t *testing.T) {
				var pairs atomic.Int32
				var filter flowFilter
				hook := func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindAttach && op.Address == node.address && !op.Receiver {
						first := pairs.Add(1) == 1
						filter.dropping.Store(first && name == "no credit")
					}
					if op.Kind == node.kind && pairs.Load() == 1 {
						return action
					}
					return emulator.Pass()
				}
				inBubble(t, emulator.Options{Idle: neverIdle, Hook: hook}, func(t *testing.T, b *bench) {
					b.Conn.cfg.DialContext = func(ctx context.Context, _, _ string) (nc net.Conn, err error) {
						filter.Conn, err = b.server.Dial(ctx)
						return &filter, err
					}
					start := time.Now()
					for tries := 1; ; tries++ {
						ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
						err := node.ask(ctx, b)
						cancel()
						if err == nil {
							break
						}
						wantCode(t, err, CodeTimeout)
						if tries == 10 {
							t.Fatalf("it is not answered after %v; there were %d pairs", time.Since(start), pairs.Load())
						}
					}
					if got := time.Since(start); got < openTimeout || got > openTimeout+time.Second {
						t.Errorf("it is answered after %v, want %v: a pair that is only slow is not to be given up", got, openTimeout)
					}
					if got := b.tap.count(emulator.KindConnection); pairs.Load() != 2 || got != 1 {
						t.Errorf("%d pairs on %d connections, want 2 on one", pairs.Load(), got)
					}
				})
			})
		}
	}
}

// TestOneRequestThatIsNotAnsweredDisturbsNoOther: a pair that answers other requests works, however
// long that one waits.
func TestOneRequestThatIsNotAnsweredDisturbsNoOther(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle, Hook: once(emulator.KindManagement, emulator.Silence())}, func(t *testing.T, b *bench) {
		var lost sync.WaitGroup
		lost.Go(func() { // ends with its context
			ctx, cancel := context.WithTimeout(t.Context(), 2*openTimeout)
			defer cancel()
			_, err := b.HubProperties(ctx, testHub)
			wantCode(t, err, CodeTimeout)
		})
		for range 3 * 60 {
			time.Sleep(time.Second)
			if _, err := b.HubProperties(t.Context(), testHub); err != nil {
				t.Fatal(err)
			}
		}
		lost.Wait()
		if got := b.tap.count(emulator.KindAttach); got != 4 {
			t.Errorf("%d links, want 4: a pair to $cbs, and one to $management", got)
		}
	})
}

// TestRenewalSurvivesAPairThatAnswersNothing makes $cbs fall silent for good on its first pair of
// links. The service ends links without a token. The renewal begins early enough for another pair.
func TestRenewalSurvivesAPairThatAnswersNothing(t *testing.T) {
	var pairs atomic.Int32
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.Address == "$cbs" && !op.Receiver {
			pairs.Add(1)
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Hook: hook, Authentication: &emulator.Authentication{
		Keys: []emulator.Key{{Name: "rule", Value: "key", Rights: emulator.RightSend}},
	}}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		b.tap.set(func(ctx context.Context, op emulator.Operation) emulator.Action {
			_ = hook(ctx, op)
			if op.Kind == emulator.KindPutToken && pairs.Load() == 1 {
				return emulator.Silence()
			}
			return emulator.Pass()
		})
		for range 6 * 60 {
			time.Sleep(time.Minute)
			start := time.Now()
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			wantElapsed(t, start, 0)
		}
		if got := b.tap.count(emulator.KindConnection); pairs.Load() != 2 || got != 1 {
			t.Errorf("%d pairs on %d connections, want 2 on one", pairs.Load(), got)
		}
	})
}

func TestCloseEndsInTimeWhatever(t *testing.T) {
	for name, action := range map[string]emulator.Action{
		"no answer to the close":  emulator.Pass().IgnoreClose(),
		"no answer to the detach": emulator.Pass().IgnoreDetach(),
		"nobody reads":            emulator.Pass().StallReading(0),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, emulator.Options{Hook: once(emulator.KindTransfer, action)}, func(t *testing.T, b *bench) {
				wantResult(t, b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Accepted, "")
				start := time.Now()
				if err := b.Close(t.Context()); err != nil {
					t.Error(err)
				}
				wantElapsed(t, start, 0) // the close itself still fits into the network's buffers
			})
		})
	}
}

// TestCloseOfASenderThatIsNotAnsweredCostsTheConnection: batches that another sender has under way
// become unknown.
func TestCloseOfASenderThatIsNotAnsweredCostsTheConnection(t *testing.T) {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		switch {
		case op.Kind == emulator.KindAttach && op.PartitionID == "0":
			return emulator.Pass().IgnoreDetach()
		case op.Kind == emulator.KindTransfer && op.PartitionID == "1":
			return emulator.Silence()
		default:
			return emulator.Pass()
		}
	}
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { // ends when the connection is cut
			if e := wantResult(t, b.Sender(testHub, "1", "").Send(t.Context(), batch(1, 1)), Unknown, CodeConnectionLost); !e.Lost {
				t.Errorf("error %+v is not lost", e)
			}
		})
		synctest.Wait()
		s.Close(t.Context())
		wg.Wait()
		wantElapsed(t, start, closeTimeout)
	})
}
