package producerhttp_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
	"github.com/go-eventhubs/eventhubs/producerhttp"
)

// about reports whether a rate is within a tenth of what is wanted.
func about(got, want float64) bool { return math.Abs(got-want) <= want/10 }

// abandon ends a producer whose trouble is not over.
func abandon(t *testing.T, p *eventhubs.BufferedProducer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := p.Abandon(ctx); err == nil {
		t.Error("Abandon returned nil although the trouble lasts")
	}
}

func TestASilentPartitionIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		server := newServer(t, 4, emulator.Options{Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if silent.Load() && op.Kind == emulator.KindTransfer && op.PartitionID == "1" {
				return emulator.Silence()
			}
			return emulator.Pass()
		}})
		p := newProducer(t, server, eventhubs.Options{})
		h := producerhttp.New(p, nil)
		stream(t, p, 4, 2*time.Minute)
		silent.Store(true)
		stream(t, p, 4, 40*time.Second)

		a := read(t, h, "/?format=json").Producers[0]
		if a.Name != "orders" || a.EventHub != "orders" || a.FullyQualifiedNamespace != "emulator-in-memory.invalid" || a.Identifier != "shop-1" || a.Closed {
			t.Errorf("the producer is %+v", a)
		}
		if a.Health.State != "silent" || a.Health.Code != "timeout" || fmt.Sprint(a.Health.Partitions) != "[1]" || a.Stats.BufferedEvents != 40 || a.Stats.StoredEvents != 600 {
			t.Errorf("the health is %+v and the numbers are %+v, want silent, partition 1, 40 buffered, 600 stored", a.Health, a.Stats)
		}
		for i, part := range a.Stats.Partitions {
			want := partition{ID: fmt.Sprint(i), State: "ready", Waiting: "not waiting"}
			if i == 1 {
				want = part
				if part.State != "silent" || part.Waiting != "for the service" || part.BufferedEvents != 40 || part.BatchesInFlight != 1 || part.OldestEventAgeSeconds != 40 ||
					time.Since(part.Since) != 39750*time.Millisecond || !strings.Contains(part.Error, "has not acknowledged a batch for 39s") {
					t.Errorf("the silent partition is %+v", part)
				}
			}
			if part != want {
				t.Errorf("partition %d is %+v, want %+v", i, part, want)
			}
		}
		if len(a.Rates) != 2 || a.Rates[0]["seconds"] != 60 || a.Rates[1]["seconds"] != 160 || !about(a.Rates[0]["acceptedEvents"], 4) || !about(a.Rates[0]["storedEvents"], 20./60*4+40./60*3) ||
			!about(a.Rates[1]["storedEvents"], 600./160) {
			t.Errorf("the rates are %v", a.Rates)
		}
		if n := len(a.Changes); n != 2 || a.Changes[0].State != "ready" || a.Changes[1].State != "silent" || fmt.Sprint(a.Changes[1].Partitions) != "[1]" || !strings.Contains(a.Changes[1].Error, "for 10s") {
			t.Errorf("the changes are %+v", a.Changes)
		}

		wantAll(t, "text", get(t, h, "/"),
			"orders: silent for 29s\n", "  Reason: partition 1: the service has not acknowledged a batch for 39s; the oldest of 40 events has waited for 40s",
			"  Partitions in trouble: 1\n", "  Buffered: 40 of 2,500 events (1 %), 2.0 KiB of 64.0 MiB (0 %)\n", "  Stored: 600 events, 30.5 KiB, in 600 batches\n",
			"\n  Per second, over        1 min  2m 40s\n", "\n  Events stored           3.35   3.75\n",
			"\n  0          ready   -    0       0 B      -       0          not waiting\n",
			"\n  1          silent  39s  40      2.0 KiB  40s     1          for the service  the service has not acknowledged a batch for 39s",
			"\n  2000-01-01T00:02:10Z  silent  the service does not answer; the producer waits (partition 1): partition 1: the service has not acknowledged a batch for 10s",
		)
		wantAll(t, "page", get(t, h, "/?format=html"),
			`<p class="badge bad"><span class="dot" aria-hidden="true"></span>silent for 29s</p>`, "<dt>Partitions in trouble</dt><dd>1</dd>",
			`<th scope="row">1</th><td class="state bad"><span class="dot" aria-hidden="true"></span>silent</td><td class="number">39s</td><td class="number">40</td>`,
			`<time datetime="2000-01-01T00:02:10Z">00:02:10</time>`, `aria-label="Events per second in the last 2m 30s: at most 4;`,
		)
		theRunbookShows(t, get(t, h, "/"))
		abandon(t, p)
		wantAll(t, "text", get(t, h, "/"), ", closed\n")
	})
}

// theRunbookShows checks that the text in docs/operations.md is the handler's, with other names and
// times. Lines may be left out or cut there.
func theRunbookShows(t *testing.T, text string) {
	t.Helper()
	document, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(document), "\n```\norders: ")
	example, _, found := strings.Cut(example, "\n```\n")
	if !found {
		t.Fatal("docs/operations.md has no example of the text")
	}
	text = strings.NewReplacer("emulator-in-memory.invalid", "contoso.servicebus.windows.net", "2000-01-01T00:", "2026-11-30T10:").Replace(text)
	for line := range strings.SplitSeq("orders: "+example, "\n") {
		shown, cut := strings.CutSuffix(line, "…")
		if !cut {
			shown += "\n"
		}
		if !strings.Contains("\n"+text, "\n"+shown) && strings.TrimSpace(shown) != "" {
			t.Errorf("docs/operations.md shows the line %q, the handler does not:\n%s", line, text)
		}
	}
}

func TestAThrottledNamespaceIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Bool
		server := newServer(t, 2, emulator.Options{Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if busy.Load() && op.Kind == emulator.KindTransfer {
				return emulator.Reject("com.microsoft:server-busy", "The request was terminated because the namespace orders is being throttled. Please wait 4 seconds and try again.")
			}
			return emulator.Pass()
		}})
		p := newProducer(t, server, eventhubs.Options{MaxBufferedEvents: 40})
		h := producerhttp.New(p, nil)
		stream(t, p, 2, time.Minute)
		busy.Store(true)
		stream(t, p, 2, time.Minute)
		waits, cancel := context.WithCancel(t.Context())
		waited := make(chan struct{})
		go func() { // ends when cancel is called
			defer close(waited)
			_ = p.Enqueue(waits, &eventhubs.Event{PartitionID: "0"})
		}()
		synctest.Wait()

		a := read(t, h, "/?format=json").Producers[0]
		if a.Health.State != "throttled" || a.Health.Code != "throttled" || fmt.Sprint(a.Health.Partitions) != "[0 1]" || fmt.Sprint(a.Health.Full) == "[]" || a.Stats.WaitingCallers != 1 || a.Stats.ThrottledTries < 10 {
			t.Errorf("the health is %+v and the numbers are %+v", a.Health, a.Stats)
		}
		for i, part := range a.Stats.Partitions {
			if part.State != "throttled" || part.Waiting != "throttled" || part.LastCode != "throttled" || part.LastError != part.Error || part.BatchesInFlight != 1 ||
				time.Since(part.Since) < 55*time.Second || time.Since(part.LastFailure) > 30*time.Second {
				t.Errorf("partition %d is %+v", i, part)
			}
		}
		if len(a.Rates) != 2 || a.Rates[0]["throttledTries"] == 0 || !about(a.Rates[1]["storedEvents"], 1) || a.Rates[0]["storedEvents"] > 0.1 {
			t.Errorf("the rates are %v, want nothing stored in the last minute, and half of 2 per second over both", a.Rates)
		}
		text := get(t, h, "/")
		wantAll(t, "text", text, "orders: throttled for ", "  Full partitions: 0", "  Waiting for room: 1 caller\n", " throttled, waited ", "\n  Tries throttled ", "the producer waits and sends again",
			"  Partitions in trouble: 0, 1\n")
		page := get(t, h, "/?format=html")
		wantAll(t, "page", page, `<p class="badge bad">`, "<dt>Waiting for room</dt><dd>1 caller</dd>", `<td>throttled</td>`, `<p class="muted">last error `)

		busy.Store(false)
		cancel()
		<-waited
		stream(t, p, 2, 30*time.Second)
		a = read(t, h, "/?format=json").Producers[0]
		if n := len(a.Changes); a.Health.State != "ready" || n != 3 || a.Changes[n-1].State != "ready" {
			t.Errorf("after the throttling the state is %q and the changes are %+v", a.Health.State, a.Changes)
		}
		for _, part := range a.Stats.Partitions {
			if part.State != "ready" || part.Error != "" || part.LastCode != "throttled" {
				t.Errorf("after the throttling a partition is %+v, want ready, with its last error", part)
			}
		}
		wantAll(t, "text", get(t, h, "/"), "ready for ", "last error ", " ago: com.microsoft:server-busy", "publishing succeeds again")
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAJournalThatFillsAndFailsIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		server := newServer(t, 2, emulator.Options{Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if down.Load() && op.Kind == emulator.KindTransfer {
				return emulator.Silence()
			}
			return emulator.Pass()
		}})
		disk := forgetful.New()
		disk.SyncTime = 3 * time.Millisecond
		kept := &eventhubs.JournalOptions{Directory: "journal", MaxBytes: 96 << 10, KeepFree: -1}
		testseam.JournalOn(kept, disk, 8<<10)
		p := newProducer(t, server, eventhubs.Options{Journal: kept, MaxWaitTime: eventhubs.SendAtOnce})
		h := producerhttp.New(p, nil)
		send := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			return p.Enqueue(ctx, &eventhubs.Event{Body: []byte(secretBody + strings.Repeat("x", 1000)), PartitionID: "1", Checkpoint: []byte(secretKey)})
		}
		for range 60 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		before := read(t, h, "/?format=json").Producers[0].Stats.Journal
		if before == nil || before.Events != 0 || before.MaxBytes != 96<<10 || before.LastSync.IsZero() || before.SlowestSyncSeconds != 0.003 || before.Error != "" {
			t.Fatalf("the journal is %+v", before)
		}
		down.Store(true)
		var full error
		for range 300 {
			if full = send(); full != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if full == nil || !strings.Contains(full.Error(), "is full") {
			t.Fatalf("the journal never became full: %v", full)
		}
		a := read(t, h, "/?format=json").Producers[0]
		j := a.Stats.Journal
		if j.Events < 30 || j.Bytes < 80<<10 || j.Oldest.IsZero() || a.Health.State == "ready" || a.Stats.BufferedEvents != j.Events {
			t.Errorf("the full journal is %+v in state %s", j, a.Health.State)
		}
		text := get(t, h, "/")
		wantAll(t, "text", text, "\n  Journal\n  Files: ", " of 96.0 KiB (", fmt.Sprintf("  Events without an outcome: %d\n", j.Events), "  Oldest: accepted ", "  Last fsync: ", "; the slowest took 3ms\n", "  Without an outcome: ")
		page := get(t, h, "/?format=html")
		wantAll(t, "page", page, "<h3>Journal</h3>", "<dt>Files</dt>", `<rect class="full" width="`, `<div class="warn"><dt>Files</dt>`)

		disk.Fail(forgetful.Fault{Op: forgetful.Sync})
		down.Store(false)
		time.Sleep(5 * time.Minute) // the outcomes cannot be kept: the journal fails
		_ = send()
		a = read(t, h, "/?format=json").Producers[0]
		n := len(a.Changes)
		if a.Health.State != "failing" || a.Health.Code != "journal" || a.Stats.Journal.Code != "journal" || n == 0 {
			t.Fatalf("after the disk has failed the health is %+v, the journal %+v, the changes %+v", a.Health, a.Stats.Journal, a.Changes)
		}
		failed := 0
		for i, c := range a.Changes {
			if i > 0 && c.At.Before(a.Changes[i-1].At) {
				t.Errorf("change %d is older than the one before: %+v", i, a.Changes)
			}
			if c.Code == "journal" && strings.Contains(c.Message, "the journal failed") {
				failed++
			}
		}
		if failed != 1 {
			t.Errorf("%d changes are about the failed journal, want 1: %+v", failed, a.Changes)
		}
		wantAll(t, "text", get(t, h, "/"), "orders: failing for ", "  Failed: the journal has failed: ")
		wantAll(t, "page", get(t, h, "/?format=html"), `<div class="warn"><dt>Failed</dt><dd>the journal has failed: `)
		_ = p.Close(t.Context())
		wantAll(t, "text", get(t, h, "/"), ", closed\n", "  Failed: the journal has failed: ")
	})
}
