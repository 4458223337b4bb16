package eventhubs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// tooLarge is the result of a try that the service has refused for its size.
func tooLarge(outcome connection.Outcome) connection.Result {
	return connection.Result{Outcome: outcome, Err: &connection.Error{Code: connection.CodeTooLarge, Condition: "amqp:link:message-size-exceeded", Err: errors.New("too large")}}
}

// brief is what was told, in short.
func (o *outcomes) brief() (all []string) {
	for _, b := range o.all() {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%v %v %d tries %v", b.bodies, b.outcome.Storage, b.outcome.Tries, b.at)))
	}
	return all
}

// Pieces of a batch have its tries, its age and what is not known of it: cutting gives them nothing and takes nothing from them.
func TestPiecesOfABatchInheritItsTriesItsAgeAndItsAmbiguity(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		answer  func(s sent) connection.Result
		want    []string
	}{
		{"one retry, used up before the cut", Options{Retry: RetryOptions{MaxRetries: 1}}, func(s sent) connection.Result {
			switch {
			case len(s.bodies) == 4 && s.try == 1:
				return transient(connection.Released)
			case len(s.bodies) > 2:
				return tooLarge(connection.Rejected)
			}
			return transient(connection.Released)
		}, []string{"[0 1] not stored 3 tries 1s", "[2 3] not stored 3 tries 1s"}},
		{"one retry, left after two cuts", Options{Retry: RetryOptions{MaxRetries: 1}}, func(s sent) connection.Result {
			if len(s.bodies) > 1 {
				return tooLarge(connection.Rejected)
			}
			return transient(connection.Released)
		}, []string{"[0] not stored 4 tries 1s", "[1] not stored 4 tries 2s", "[2] not stored 3 tries 3s", "[3] not stored 3 tries 4s"}},
		{"an ambiguous try before the cut", Options{}, func(s sent) connection.Result {
			switch {
			case len(s.bodies) == 4 && s.try == 1:
				return transient(connection.Unknown)
			case len(s.bodies) > 2:
				return tooLarge(connection.Rejected)
			}
			return refused("no")
		}, []string{"[0 1] possibly stored 3 tries 1s", "[2 3] possibly stored 3 tries 1s"}},
		{"an ambiguous try of one piece", Options{Retry: RetryOptions{MaxRetries: 1}}, func(s sent) connection.Result {
			switch {
			case len(s.bodies) > 2:
				return tooLarge(connection.Rejected)
			case s.bodies[0] == "0":
				return transient(connection.Unknown)
			}
			return refused("no")
		}, []string{"[0 1] possibly stored 3 tries 1s", "[2 3] not stored 2 tries 1s"}},
		{"the delivery's time", Options{DeliveryTimeout: 2500 * time.Millisecond}, func(s sent) connection.Result {
			if len(s.bodies) > 2 && s.try > 2 {
				return tooLarge(connection.Rejected)
			}
			return transient(connection.Released)
		}, []string{"[0 1] not stored 4 tries 2s", "[2 3] not stored 4 tries 2s"}},
		{"the delivery's time with UntilFull", Options{DeliveryTimeout: 2500 * time.Millisecond, MaxWaitTime: UntilFull}, func(s sent) connection.Result {
			if len(s.bodies) > 2 && s.try > 2 {
				return tooLarge(connection.Rejected)
			}
			return transient(connection.Released)
		}, []string{"[0 1] not stored 4 tries 2s", "[2 3] not stored 4 tries 2s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 1)
				peer.answer = c.answer
				var told outcomes
				c.options.OnBatchFailed, c.options.OnBatchSucceeded = told.handle, told.handle
				most := c.options.Retry.MaxRetries
				c.options.Retry.Policy = func(f FailedTry) (time.Duration, bool) {
					if e, ok := errors.AsType[*Error](f.Err); !ok || e.Code == CodeTooLarge {
						t.Errorf("the policy is asked about %v", f.Err)
					}
					return time.Second, most == 0 || f.Failures <= most // without the spread
				}
				p := peer.producer(c.options)
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				enqueue(t, p, "0", "0", "1", "2", "3")
				_ = p.Flush(t.Context())
				if got := told.brief(); !slices.Equal(got, c.want) {
					t.Errorf("told\n got %q\nwant %q", got, c.want)
				}
			})
		})
	}
}

// What was sent once does not expire, also in pieces; and a piece that is taken out of the buffer is possibly stored if its batch is.
func TestPiecesOfABatchDoNotExpireAndAreClearedAsWhatTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		var told outcomes
		p := peer.producer(Options{OnBatchFailed: told.handle, OnBatchSucceeded: told.handle})
		peer.answer = func(s sent) connection.Result {
			switch {
			case len(s.bodies) == 4 && s.try == 1:
				time.Sleep(time.Minute) // all have expired
				return transient(connection.Unknown)
			case len(s.bodies) > 2:
				return tooLarge(connection.Rejected)
			case s.bodies[0] == "0":
				time.Sleep(time.Second)
				p.Clear(t.Context())
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		fleeting(t, p, 4, func(int) time.Duration { return 10 * time.Second })
		_ = p.Flush(t.Context())
		all := told.all()
		if len(all) != 2 || all[0].outcome.Storage != Stored || all[1].outcome.Storage != PossiblyStored || !errors.Is(all[1].outcome.Err, ErrCleared) {
			t.Errorf("told %q, want the first two stored, and the others cleared and possibly stored", told.brief())
		}
	})
}

// What was learned of a service ends with an attach that states another limit than the one before.
func TestALearnedLimitEndsWithAnotherStatedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		takes := 3000
		peer.answer = func(s sent) connection.Result {
			if s.bytes > takes {
				return tooLarge(connection.Rejected)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{})
		largest := func() (largest, refused int) {
			before := len(peer.sent())
			for range 100 {
				enqueue(t, p, "0", strings.Repeat("x", 100))
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Errorf("Flush: %v", err)
			}
			for _, s := range peer.sent()[before:] {
				if s.bytes > takes {
					refused++
				} else {
					largest = max(largest, s.bytes)
				}
			}
			return largest, refused
		}
		first, refused := largest()
		if refused != 2 {
			t.Errorf("%d batches were refused, want 2: 11 KB and half of it", refused)
		}
		if again, refused := largest(); again != first || refused != 0 {
			t.Errorf("batches have %d bytes, and %d are refused, after %d were learned", again, refused, first)
		}
		peer.mu.Lock()
		peer.maxMessage, takes = 1<<20-1, 1<<20
		peer.mu.Unlock()
		largest() // one batch learns of the attach
		if after, _ := largest(); after < 10_000 {
			t.Errorf("batches have %d bytes after an attach with another limit, want 11,000", after)
		}
	})
}

// A link that takes less than the one before is noticed by the transport, if a batch was sent already and is not looked at any more. That is no failure.
func TestABatchThatASmallerLinkDoesNotTakeIsCutAtOnce(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 1)
			peer.answer = func(s sent) connection.Result {
				peer.mu.Lock()
				defer peer.mu.Unlock()
				switch {
				case uint64(s.bytes) > peer.maxMessage:
					return tooLarge(connection.NotSent)
				case s.try == 1 && len(s.bodies) == 20:
					peer.maxMessage = 3000
					return transient(connection.Released)
				}
				return connection.Result{Outcome: connection.Accepted}
			}
			p := peer.producer(Options{EnableIdempotentRetries: idempotent, Retry: RetryOptions{MaxRetries: 1}, FailFast: true})
			for i := range 20 {
				enqueue(t, p, "0", fmt.Sprintf("%02d%s", i, strings.Repeat("x", 200)))
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Errorf("idempotent=%v: Flush: %v", idempotent, err)
			}
			stored := peer.storedIn("0")
			if len(stored) != 20 || !slices.IsSorted(stored) {
				t.Errorf("idempotent=%v: %d events are stored, want 20 in order", idempotent, len(stored))
			}
		})
	}
}

// Of several batches on a link that is detached for size the largest is cut: the others are tried again as they are, and nothing is learned from them.
func TestOfSeveralThatMayHaveBeenTooLargeTheLargestIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return 20 * time.Millisecond }
		peer.answer = func(s sent) connection.Result {
			if s.at < 20*time.Millisecond && s.try == 1 {
				return tooLarge(connection.Unknown)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: UntilFull, MaxConcurrentSendsPerPartition: 2, Retry: RetryOptions{RetryDelay: -1}})
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		var flushes sync.WaitGroup
		for _, events := range []int{2, 100} {
			for i := range events {
				enqueue(t, p, "0", fmt.Sprintf("%03d/%03d", events, i))
			}
			flushes.Go(func() { _ = p.Flush(t.Context()) }) // ends with the last outcome
			synctest.Wait()
		}
		flushes.Wait()
		var sizes []int
		for _, s := range peer.sent() {
			sizes = append(sizes, len(s.bodies))
		}
		slices.Sort(sizes)
		if want := []int{2, 2, 50, 50, 100}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %v events were sent, want %v", sizes, want)
		}
	})
}

// A service that calls everything too large gets each event once alone, and no pause is taken for it.
func TestAServiceThatRefusesAllForTheirSizeIsAskedALimitedNumberOfTimes(t *testing.T) {
	for name, answer := range map[string]connection.Result{"rejected": tooLarge(connection.Rejected), "not sent": tooLarge(connection.NotSent), "unknown": tooLarge(connection.Unknown)} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 1)
			peer.answer = func(sent) connection.Result { return answer }
			var told outcomes
			p := peer.producer(Options{OnBatchFailed: told.handle, Retry: RetryOptions{MaxRetries: 2}})
			for i := range 100 {
				enqueue(t, p, "0", fmt.Sprint(i))
			}
			_ = p.Flush(t.Context())
			failed := 0
			for _, b := range told.all() {
				failed += len(b.bodies)
			}
			if n := len(peer.sent()); failed != 100 || n > 400 {
				t.Errorf("%s: %d events failed after %d tries, want 100, and at most 400", name, failed, n)
			}
		})
	}
}
