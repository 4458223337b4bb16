package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A link gets smaller between two tries. The first try was never sent.
func TestALinkThatGotSmallerAfterATryThatWasNeverSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		max := uint64(10_000)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if uint64(s.Bytes) > max {
				return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodeTooLarge, Err: errors.New("too large")}}
			}
			if s.Try == 1 && max == 10_000 {
				max, peer.MaxMessage = 1000, 1000
				return scripted.Transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		h := &scripted.SlowHub{Hub: peer}
		peer.MaxMessage = max
		p := world.On(t, h, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: world.Ignore})
		for i := range 50 {
			world.Enqueue(t, p, "0", fmt.Sprintf("%0100d", i))
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v at %v", err, scripted.Now())
		}
	})
}

// Pieces of a batch inherit its tries, its age and its ambiguity. A cut gives them nothing and
// takes nothing from them.
func TestPiecesOfABatchInheritItsTriesItsAgeAndItsAmbiguity(t *testing.T) {
	for _, c := range []struct {
		name    string
		options eventhubs.Options
		answer  func(s scripted.Sent) connection.Result
		want    []string
	}{
		{"one retry, used up before the cut", eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 1}}, func(s scripted.Sent) connection.Result {
			switch {
			case len(s.Bodies) == 4 && s.Try == 1:
				return scripted.Transient(connection.Released)
			case len(s.Bodies) > 2:
				return scripted.TooLarge(connection.Rejected)
			}
			return scripted.Transient(connection.Released)
		}, []string{"[0 1] not stored 3 tries 1s", "[2 3] not stored 3 tries 1s"}},
		{"one retry, left after two cuts", eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 1}}, func(s scripted.Sent) connection.Result {
			if len(s.Bodies) > 1 {
				return scripted.TooLarge(connection.Rejected)
			}
			return scripted.Transient(connection.Released)
		}, []string{"[0] not stored 4 tries 1s", "[1] not stored 4 tries 2s", "[2] not stored 3 tries 3s", "[3] not stored 3 tries 4s"}},
		{"an ambiguous try before the cut", eventhubs.Options{}, func(s scripted.Sent) connection.Result {
			switch {
			case len(s.Bodies) == 4 && s.Try == 1:
				return scripted.Transient(connection.Unknown)
			case len(s.Bodies) > 2:
				return scripted.TooLarge(connection.Rejected)
			}
			return scripted.Refused("no")
		}, []string{"[0 1] possibly stored 3 tries 1s", "[2 3] possibly stored 3 tries 1s"}},
		{"an ambiguous try of one piece", eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 1}}, func(s scripted.Sent) connection.Result {
			switch {
			case len(s.Bodies) > 2:
				return scripted.TooLarge(connection.Rejected)
			case s.Bodies[0] == "0":
				return scripted.Transient(connection.Unknown)
			}
			return scripted.Refused("no")
		}, []string{"[0 1] possibly stored 3 tries 1s", "[2 3] not stored 2 tries 1s"}},
		{"the delivery's time", eventhubs.Options{DeliveryTimeout: 2500 * time.Millisecond}, func(s scripted.Sent) connection.Result {
			if len(s.Bodies) > 2 && s.Try > 2 {
				return scripted.TooLarge(connection.Rejected)
			}
			return scripted.Transient(connection.Released)
		}, []string{"[0 1] not stored 4 tries 2s", "[2 3] not stored 4 tries 2s"}},
		{"the delivery's time with UntilFull", eventhubs.Options{DeliveryTimeout: 2500 * time.Millisecond, MaxWaitTime: eventhubs.UntilFull}, func(s scripted.Sent) connection.Result {
			if len(s.Bodies) > 2 && s.Try > 2 {
				return scripted.TooLarge(connection.Rejected)
			}
			return scripted.Transient(connection.Released)
		}, []string{"[0 1] not stored 4 tries 2s", "[2 3] not stored 4 tries 2s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 1)
				peer.Answer = c.answer
				var told world.Outcomes
				c.options.OnBatchFailed, c.options.OnBatchSucceeded = told.Handle, told.Handle
				most := c.options.Retry.MaxRetries
				c.options.Retry.Policy = func(f eventhubs.FailedTry) (time.Duration, bool) {
					if e, ok := errors.AsType[*eventhubs.Error](f.Err); !ok || e.Code == eventhubs.CodeTooLarge {
						t.Errorf("the policy is asked about %v", f.Err)
					}
					return time.Second, most == 0 || f.Failures <= most // without jitter
				}
				p := world.Over(peer, c.options)
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				world.Enqueue(t, p, "0", "0", "1", "2", "3")
				_ = p.Flush(t.Context())
				if got := told.Brief(); !slices.Equal(got, c.want) {
					t.Errorf("outcomes\n got %q\nwant %q", got, c.want)
				}
			})
		})
	}
}

// An event that was sent once does not expire, also not in a piece. A piece that is taken out of
// the buffer is possibly stored if its batch is.
func TestPiecesOfABatchDoNotExpireAndAreClearedAsWhatTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle, OnBatchSucceeded: told.Handle})
		peer.Answer = func(s scripted.Sent) connection.Result {
			switch {
			case len(s.Bodies) == 4 && s.Try == 1:
				time.Sleep(time.Minute) // all would have expired
				return scripted.Transient(connection.Unknown)
			case len(s.Bodies) > 2:
				return scripted.TooLarge(connection.Rejected)
			case s.Bodies[0] == "0":
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
		all := told.All()
		if len(all) != 2 || all[0].Outcome.Storage != eventhubs.Stored || all[1].Outcome.Storage != eventhubs.PossiblyStored || !errors.Is(all[1].Outcome.Err, eventhubs.ErrCleared) {
			t.Errorf("outcomes %q, want the first two stored, and the others cleared and possibly stored", told.Brief())
		}
	})
}

// A learned limit ends with an attach that states another limit than the attach before.
func TestALearnedLimitEndsWithAnotherStatedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		takes := 3000
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Bytes > takes {
				return scripted.TooLarge(connection.Rejected)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{})
		largest := func() (largest, refused int) {
			before := len(peer.Sent())
			for range 100 {
				world.Enqueue(t, p, "0", strings.Repeat("x", 100))
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Errorf("Flush: %v", err)
			}
			for _, s := range peer.Sent()[before:] {
				if s.Bytes > takes {
					refused++
				} else {
					largest = max(largest, s.Bytes)
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
		peer.Mu.Lock()
		peer.MaxMessage, takes = 1<<20-1, 1<<20
		peer.Mu.Unlock()
		largest() // one batch learns of the attach
		if after, _ := largest(); after < 10_000 {
			t.Errorf("batches have %d bytes after an attach with another limit, want 11,000", after)
		}
	})
}

// A link takes less than the one before. The transport notices this when a batch was sent once and
// the producer no longer looks at its size. That is no failure.
func TestABatchThatASmallerLinkDoesNotTakeIsCutAtOnce(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 1)
			peer.Answer = func(s scripted.Sent) connection.Result {
				peer.Mu.Lock()
				defer peer.Mu.Unlock()
				switch {
				case uint64(s.Bytes) > peer.MaxMessage:
					return scripted.TooLarge(connection.NotSent)
				case s.Try == 1 && len(s.Bodies) == 20:
					peer.MaxMessage = 3000
					return scripted.Transient(connection.Released)
				}
				return connection.Result{Outcome: connection.Accepted}
			}
			p := world.Over(peer, eventhubs.Options{EnableIdempotentRetries: idempotent, Retry: eventhubs.RetryOptions{MaxRetries: 1}, FailFast: true})
			for i := range 20 {
				world.Enqueue(t, p, "0", fmt.Sprintf("%02d%s", i, strings.Repeat("x", 200)))
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Errorf("idempotent=%v: Flush: %v", idempotent, err)
			}
			stored := peer.StoredIn("0")
			if len(stored) != 20 || !slices.IsSorted(stored) {
				t.Errorf("idempotent=%v: %d events are stored, want 20 in order", idempotent, len(stored))
			}
		})
	}
}

// Several batches are on a link that is detached for size. The largest is cut. The others are tried
// again unchanged, and teach the producer no limit.
func TestOfSeveralThatMayHaveBeenTooLargeTheLargestIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return 20 * time.Millisecond }
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.At < 20*time.Millisecond && s.Try == 1 {
				return scripted.TooLarge(connection.Unknown)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, MaxConcurrentSendsPerPartition: 2, Retry: eventhubs.RetryOptions{RetryDelay: -1}})
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		var flushes sync.WaitGroup
		for _, events := range []int{2, 100} {
			for i := range events {
				world.Enqueue(t, p, "0", fmt.Sprintf("%03d/%03d", events, i))
			}
			flushes.Go(func() { _ = p.Flush(t.Context()) }) // ends with the last outcome
			synctest.Wait()
		}
		flushes.Wait()
		var sizes []int
		for _, s := range peer.Sent() {
			sizes = append(sizes, len(s.Bodies))
		}
		slices.Sort(sizes)
		if want := []int{2, 2, 50, 50, 100}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %v events were sent, want %v", sizes, want)
		}
	})
}

// A service that refuses everything for its size gets each event alone once, and no pauses follow.
func TestAServiceThatRefusesAllForTheirSizeIsAskedALimitedNumberOfTimes(t *testing.T) {
	for name, answer := range map[string]connection.Result{"rejected": scripted.TooLarge(connection.Rejected), "not sent": scripted.TooLarge(connection.NotSent), "unknown": scripted.TooLarge(connection.Unknown)} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 1)
			peer.Answer = func(scripted.Sent) connection.Result { return answer }
			var told world.Outcomes
			p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle, Retry: eventhubs.RetryOptions{MaxRetries: 2}})
			for i := range 100 {
				world.Enqueue(t, p, "0", fmt.Sprint(i))
			}
			_ = p.Flush(t.Context())
			failed := 0
			for _, b := range told.All() {
				failed += len(b.Bodies)
			}
			if n := len(peer.Sent()); failed != 100 || n > 400 {
				t.Errorf("%s: %d events failed after %d tries, want 100, and at most 400", name, failed, n)
			}
		})
	}
}

func TestAnEventTooLargeForTheLinkFailsAloneInItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.MaxMessage = 1000
		var succeeded, failed world.Outcomes
		var order []string
		note := func(record *world.Outcomes) func(context.Context, *eventhubs.Batch) {
			return func(ctx context.Context, b *eventhubs.Batch) {
				record.Handle(ctx, b)
				for e := range b.Events() {
					order = append(order, string(e.Body[0]))
				}
			}
		}
		p := world.Over(peer, eventhubs.Options{OnBatchSucceeded: note(&succeeded), OnBatchFailed: note(&failed)})
		large := strings.Repeat("L", 2000)
		world.Enqueue(t, p, "0", "a", "b", large, "c", large, large, "d")
		undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](p.Flush(t.Context()))
		if !ok || undelivered.Failed() != 3 || undelivered.Pending != 0 {
			t.Errorf("Flush returned %v, want 3 failed", undelivered)
		}
		if got := strings.Join(order, ""); got != "abLcLLd" {
			t.Errorf("outcomes in the order %s, want abLcLLd", got)
		}
		for _, b := range failed.All() {
			tooLarge, ok := errors.AsType[*eventhubs.EventTooLargeError](b.Outcome.Err)
			if !ok || tooLarge.Size < 2000 || tooLarge.Limit != 1000 || len(b.Bodies) != 1 || b.Outcome.Storage != eventhubs.NotStored {
				t.Errorf("a large event failed with %+v", b.Outcome)
			}
			if !errors.Is(b.Outcome.Err, eventhubs.ErrEventTooLarge) {
				t.Errorf("%v does not match the sentinel", b.Outcome.Err)
			}
		}
		if p.BufferedEvents() != 0 || p.PartitionBufferedEvents("0") != 0 {
			t.Errorf("%d events are counted, %d in the partition", p.BufferedEvents(), p.PartitionBufferedEvents("0"))
		}
	})
}

func TestABatchIsCutAgainForASmallerLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.MaxMessage = 10_000
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
		var want []string
		for i := range 500 { // 50 kB, cut at 256 KiB before the link is known
			body := fmt.Sprintf("%0100d", i)
			want = append(want, body)
			world.Enqueue(t, p, "0", body)
		}
		flushes := make(chan error, 3)
		for range cap(flushes) {
			go func() { flushes <- p.Flush(t.Context()) }()
		}
		for range cap(flushes) {
			if err := <-flushes; err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range peer.Sent() {
			if s.Bytes > 10_000 {
				t.Errorf("a batch of %d bytes was sent over a link for 10000", s.Bytes)
			}
		}
		if got := peer.StoredIn("0"); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d events are stored, or not in their order", len(got))
		}
	})
}
