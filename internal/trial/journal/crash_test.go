package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// A row of the crash table is a moment at which the application dies. The moments between the
// caller's memory and the disk are rows of package internal/journal.
var crashTable = []struct {
	name  string
	hook  emulator.Hook // of the service, in the life that dies
	after time.Duration // when the life dies
	plain bool          // without idempotent retries: at least once
	want  string
}{
	{name: "4 Enqueue returned and nothing was sent", hook: refuseAll(), after: time.Second, want: "[a b c d]"},
	{name: "7 the batch is on the wire, and arrives later", hook: onTransfer(emulator.Accept().After(time.Minute)), after: time.Second, want: "[a b c d]"},
	{name: "8 the service has stored the batch, and the acknowledgement is on its way", hook: onTransfer(emulator.Silence().Stored()), after: time.Second, want: "[a b c d]"},
	{name: "8 the service has stored the batch and cut the connection", hook: onTransfer(emulator.Cut().Stored()), after: time.Millisecond, want: "[a b c d]"},
	{name: "10 the outcome was reported and is not on the disk", hook: nil, after: 500 * time.Millisecond, want: "[a b c d]"},
	{name: "11 the outcome is on the disk", hook: nil, after: time.Minute, want: "[a b c d]"},
	{name: "13 the epoch is saved, and the link not attached", hook: onAttach(), after: time.Second, want: "[a b c d]"},
	{name: "20 without idempotent retries the acknowledgement is on its way", hook: onTransfer(emulator.Silence().Stored()), after: time.Second, plain: true, want: "[a b c a b c d]"},
}

func refuseAll() emulator.Hook {
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Reject("com.microsoft:server-busy", "busy")
		}
		return emulator.Pass()
	}
}

func onTransfer(action emulator.Action) emulator.Hook {
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return action
		}
		return emulator.Pass()
	}
}

func onAttach() emulator.Hook {
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.PartitionID == "0" {
			return emulator.Silence()
		}
		return emulator.Pass()
	}
}

func TestEachRowOfTheCrashTable(t *testing.T) {
	for _, row := range crashTable {
		for _, end := range []string{"kill", "power cut"} {
			t.Run(row.name+"/"+end, func(t *testing.T) {
				atHome(t, 1, func(h *home) {
					o := h.options()
					o.EnableIdempotentRetries = !row.plain
					o.MaxWaitTime = 10 * time.Millisecond // the three events are one batch
					first := h.begin(o)
					if row.hook != nil {
						h.Server.SetHook(row.hook)
					}
					first.enqueue("a", "b", "c")
					time.Sleep(row.after)
					if end == "kill" {
						first.kill()
					} else {
						first.cutPower()
					}
					h.Server.SetHook(nil)
					second := h.begin(o)
					second.enqueue("d")
					second.close()
					time.Sleep(2 * time.Minute) // for what is still on its way
					h.Want("partition 0", h.StoredIn("0"), row.want)
				})
			})
		}
	}
}

// A power cut right after Enqueue, again and again while the journal recovers, loses nothing.
func TestAnAcceptedEventSurvivesAPowerCut(t *testing.T) {
	atHome(t, 1, func(h *home) {
		h.Server.SetHook(refuseAll())
		var want []string
		for n := range 5 {
			l := h.begin(h.options())
			bodies := numbered(fmt.Sprint("life ", n), 20)
			l.enqueue(bodies...)
			want = append(want, bodies...)
			l.cutPower()
		}
		h.Server.SetHook(nil)
		h.begin(h.options()).close()
		h.Want("partition 0", h.StoredIn("0"), want)
	})
}

// The outcome of a life's last second may not be on the disk when it dies. The next life finds by
// its number that the event is stored, and reports that again.
func TestAnOutcomeThatWasReportedMayBeReportedAgain(t *testing.T) {
	atHome(t, 1, func(h *home) {
		first := h.begin(h.options())
		first.enqueue("a")
		time.Sleep(100 * time.Millisecond)
		h.Want("told in the first life", len(first.told.All()), 1)
		first.kill()
		o := h.options()
		var recovered []bool
		o.OnBatchSucceeded = func(_ context.Context, b *eventhubs.Batch) { recovered = append(recovered, b.Recovered) }
		second := h.begin(o)
		second.enqueue("b")
		second.close()
		h.Want("batches told as recovered", recovered, "[true false]")
		h.Want("partition 0", h.NumbersIn("0"), "[0/1 a 1/2 b]")
	})
}

// A refusal is reported before the journal drops the event. A life that dies in between leaves it
// to the next one, which tries the event again and reports that refusal, too. Nothing after it was
// sent.
func TestARefusalThatTheJournalDoesNotKnowIsReportedAgain(t *testing.T) {
	for name, dies := range map[string]bool{"16 told, and not dropped": true, "17 dropped": false} {
		t.Run(name, func(t *testing.T) {
			atHome(t, 1, func(h *home) {
				h.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindTransfer && op.Bytes > 1000 {
						return emulator.Reject("com.microsoft:argument-error", "no")
					}
					return emulator.Pass()
				})
				var first *life
				told := 0
				o := h.options()
				o.MaxWaitTime = eventhubs.SendAtOnce
				o.OnBatchSucceeded = func(context.Context, *eventhubs.Batch) {}
				o.OnBatchFailed = func(context.Context, *eventhubs.Batch) {
					if told++; dies && told == 1 {
						first.process.dead.Store(true)
						h.disk.Kill()
						first.network.Kill(true)
					}
				}
				first = h.begin(o)
				first.enqueue("a")
				time.Sleep(50 * time.Millisecond)
				first.enqueue(strings.Repeat("poison", 200))
				time.Sleep(50 * time.Millisecond)
				want := 2
				if !dies {
					want = 1
					first.enqueue("b")
					time.Sleep(50 * time.Millisecond)
					first.kill()
				}
				second := h.begin(o)
				second.enqueue("c")
				_ = second.Close(h.Context())
				h.Want("refusals reported", told, want)
				h.Want("partition 0", strings.Replace(fmt.Sprint(h.StoredIn("0")), " b", "", 1), "[a c]")
			})
		})
	}
}

// An event that expires in one life is reported and gone, and the numbers of later ones fit.
func TestAnExpiredEventIsGoneForGood(t *testing.T) {
	atHome(t, 1, func(h *home) {
		h.Server.SetHook(refuseAll())
		first := h.begin(h.options())
		first.enqueue("a")
		h.Must(first.Enqueue(h.Context(), &eventhubs.Event{Body: []byte("expires"), PartitionID: "0", ExpiresAt: time.Now().Add(time.Minute)}))
		first.enqueue("b")
		time.Sleep(2 * time.Minute)
		first.kill()
		h.Server.SetHook(nil)
		second := h.begin(h.options())
		second.enqueue("c")
		if err := second.Close(h.Context()); !errors.Is(err, eventhubs.ErrExpired) {
			t.Errorf("Close returned %v, want ErrExpired", err)
		}
		third := h.begin(h.options())
		third.enqueue("d")
		third.close()
		h.Want("partition 0", h.StoredIn("0"), "[a b c d]")
	})
}

// A service that does not know the producer any more gives it a new id. Nothing is lost or stored
// twice, since nothing was on its way.
func TestAForgottenProducerGoesOn(t *testing.T) {
	atHome(t, 1, func(h *home) {
		first := h.begin(h.options())
		first.enqueue("a", "b")
		first.close()
		refused := false
		h.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindAttach && op.PartitionID == "0" && !refused {
				refused = true
				return emulator.Reject("com.microsoft:argument-out-of-range", "no such producer")
			}
			return emulator.Pass()
		})
		second := h.begin(h.options())
		second.enqueue("c")
		time.Sleep(100 * time.Millisecond)
		second.kill()
		third := h.begin(h.options())
		third.enqueue("d")
		third.close()
		h.Want("partition 0", h.NumbersIn("0"), "[0/1 a 0/2 b 2:0/1 c 2:1/2 d]")
	})
}

// A life stores an event without hearing of it, and then the service forgets the producer. If a later
// life gets a refusal for the event, nobody can say that it is not in the hub.
func TestAfterAForgottenProducerARefusedEventMayBeStored(t *testing.T) {
	refusal := emulator.Reject("com.microsoft:argument-error", "no")
	for name, between := range map[string]bool{"the next life": false, "a life after that": true} {
		t.Run(name, func(t *testing.T) {
			atHome(t, 1, func(h *home) {
				hook := func(attach, transfer emulator.Action) {
					h.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
						switch {
						case op.Kind == emulator.KindTransfer:
							return transfer
						case op.Kind == emulator.KindAttach && op.PartitionID == "0":
							answer := attach
							attach = emulator.Pass()
							return answer
						}
						return emulator.Pass()
					})
				}
				forgets := emulator.Reject("com.microsoft:argument-out-of-range", "no such producer")
				first := h.begin(h.options())
				first.enqueue("a")
				h.Must(first.Flush(h.Context()))
				hook(emulator.Pass(), emulator.Silence().Stored())
				first.enqueue("b")
				time.Sleep(100 * time.Millisecond)
				first.kill()
				hook(forgets, refusal)
				if between {
					hook(forgets, emulator.Silence())
					second := h.begin(h.options())
					time.Sleep(5 * time.Second)
					second.kill()
					hook(emulator.Pass(), refusal)
				}
				last := h.begin(h.options())
				last.enqueue("c")
				_ = last.Close(h.Context())
				h.Want("partition 0", h.StoredIn("0"), "[a b]")
				var told []string
				for _, b := range last.told.All() {
					told = append(told, fmt.Sprint(b.Bodies, b.Outcome.Storage))
				}
				h.Want("outcomes", told, fmt.Sprint([]string{fmt.Sprint([]string{"b"}, eventhubs.PossiblyStored), fmt.Sprint([]string{"c"}, eventhubs.NotStored)}))
			})
		})
	}
}

// Events of a former life keep the partition that they had when the hub had fewer. New events use
// the new ones.
func TestAHubThatHasGrownKeepsTheOrderOfKeys(t *testing.T) {
	atHome(t, 2, func(h *home) {
		h.Server.SetHook(refuseAll())
		first := h.begin(h.options())
		for n := range 40 {
			h.Must(first.Enqueue(h.Context(), &eventhubs.Event{Body: fmt.Append(nil, n), PartitionKey: fmt.Sprint("key ", n%8)}))
		}
		time.Sleep(time.Second)
		first.kill()
		h.Must(h.Server.AddPartitions("hub", 2))
		h.Server.SetHook(nil)
		second := h.begin(h.options())
		h.Must(second.Flush(h.Context()))
		old := len(h.StoredIn("2")) + len(h.StoredIn("3"))
		h.Want("events of the former life in new partitions", old, 0)
		for n := range 40 {
			h.Must(second.Enqueue(h.Context(), &eventhubs.Event{Body: []byte("new"), PartitionKey: fmt.Sprint("key ", n)}))
		}
		second.close()
		if len(h.StoredIn("2"))+len(h.StoredIn("3")) == 0 {
			t.Error("no new event is in a new partition")
		}
		for _, id := range []string{"0", "1"} {
			newest := map[int]int{}
			for _, body := range h.StoredIn(id) {
				var n int
				if _, err := fmt.Sscan(body, &n); err != nil {
					continue // a new one
				}
				if last, ok := newest[n%8]; ok && n < last {
					t.Errorf("partition %s: %d comes after %d", id, n, last)
				}
				newest[n%8] = n
			}
		}
	})
}

// A journal that is older than what the service has, for example from a backup, does not take the
// service's events for its own.
func TestAJournalFromABackupStops(t *testing.T) {
	atHome(t, 1, func(h *home) {
		first := h.begin(h.options())
		first.enqueue("a")
		first.close()
		backup := h.disk.Clone()
		second := h.begin(h.options())
		second.enqueue("b", "c")
		second.close()
		h.disk = backup
		third := h.begin(h.options())
		third.enqueue("d")
		short, cancel := context.WithTimeout(h.Context(), time.Minute)
		defer cancel()
		err := third.Close(short)
		u, ok := errors.AsType[*eventhubs.UndeliveredError](err)
		if !ok || u.Kept != 1 {
			t.Fatalf("Close returned %v, want 1 event kept", err)
		}
		h.Want("partition 0", h.StoredIn("0"), "[a b c]")
		if s := third.Stats().Partitions; s[0].Waiting != eventhubs.WaitingStopped {
			t.Errorf("the partition waits for %v, want WaitingStopped", s[0].Waiting)
		}
	})
}

// A copy of a directory is another life of the same producer. It takes over, and the first one
// keeps its events.
func TestACopiedDirectoryTakesOver(t *testing.T) {
	atHome(t, 1, func(h *home) {
		first := h.begin(h.options())
		first.enqueue("a")
		h.Must(first.Flush(h.Context()))
		time.Sleep(2 * time.Second)
		original := h.disk
		h.disk = original.Clone()
		copied := h.begin(h.options())
		copied.enqueue("b")
		h.Must(copied.Flush(h.Context()))
		first.enqueue("c")
		time.Sleep(time.Minute)
		h.Want("partition 0", h.StoredIn("0"), "[a b]")
		h.Want("events that the first one keeps", first.Journal().Events, 1)
		h.Want("the first one's state", first.Health().State, eventhubs.HealthRefused)
		first.kill()
		copied.close()
	})
}

// The checkpoint of an event is kept with it. So a source that is read again goes on in the right
// place, whenever the application dies.
func TestASourceGoesOnAfterItsCheckpoint(t *testing.T) {
	atHome(t, 1, func(h *home) {
		source := numbered("line", 60)
		for lives := 0; ; lives++ {
			l := h.begin(h.options())
			at := 0
			if c := l.Journal().Checkpoint; c != nil {
				_, err := fmt.Sscan(string(c), &at)
				h.Must(err)
			}
			h.disk.CutAt(25 + 10*lives)
			for ; at < len(source); at++ {
				if l.Enqueue(h.Context(), &eventhubs.Event{Body: []byte(source[at]), PartitionID: "0", Checkpoint: fmt.Append(nil, at+1)}) != nil {
					break
				}
			}
			if at == len(source) {
				h.disk.CutAt(-1)
				l.close()
				h.Want("partition 0", h.StoredIn("0"), source)
				if lives < 2 {
					t.Errorf("the source was read in %d lives, want more", lives+1)
				}
				return
			}
			l.cutPower()
		}
	})
}

// Deliveries and Publish calls of events that were never read from the journal end when the
// producer does.
func TestWhoeverWaitsForAKeptEventLearnsThatItIsKept(t *testing.T) {
	atHome(t, 1, func(h *home) {
		h.Server.SetHook(refuseAll())
		o := h.options()
		o.MaxBufferedEvents = 2
		l := h.begin(o)
		published := make(chan error, 5)
		for range 5 {
			go func() { // ends with the producer
				_, err := l.Publish(h.Context(), &eventhubs.Event{Body: []byte("p"), PartitionID: "0"})
				published <- err
			}()
		}
		time.Sleep(time.Minute)
		ended, cancel := context.WithCancel(h.Context())
		cancel()
		_ = l.Abandon(ended)
		synctest.Wait()
		kept := 0
		for range 5 {
			if err := <-published; errors.Is(err, eventhubs.ErrKept) {
				kept++
			} else if !errors.Is(err, eventhubs.ErrClosed) {
				t.Errorf("Publish returned %v, want ErrKept, or ErrClosed for one that waited for room", err)
			}
		}
		h.Want("events in the journal", l.Journal().Events, kept)
	})
}
