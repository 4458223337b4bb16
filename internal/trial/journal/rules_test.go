package journal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// While the disk is full Enqueue waits, and TryEnqueue says so. Sending goes on and makes room.
func TestAFullJournalHoldsUpEnqueueAndNotSending(t *testing.T) {
	atHome(t, 1, func(h *home) {
		h.Server.SetHook(refuseAll())
		o := h.options()
		o.Journal.MaxBytes = 4 * 64 << 10
		l := h.begin(o)
		accepted := 0
		event := &eventhubs.Event{Body: make([]byte, 1000), PartitionID: "0"}
		for l.TryEnqueue(h.Context(), event) == nil {
			accepted++
		}
		err := l.TryEnqueue(h.Context(), event)
		if !errors.Is(err, eventhubs.ErrBufferFull) || !strings.Contains(err.Error(), "MaxBytes") {
			t.Errorf("TryEnqueue returned %v, want ErrBufferFull with MaxBytes", err)
		}
		if accepted < 100 || l.Journal().Bytes > o.Journal.MaxBytes {
			t.Errorf("%d events accepted, and %d bytes in files, want 100 events at least, and %d bytes at most", accepted, l.Journal().Bytes, o.Journal.MaxBytes)
		}
		short, cancel := context.WithTimeout(h.Context(), time.Minute)
		defer cancel()
		if err := l.Enqueue(short, event); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Enqueue returned %v, want the context's end", err)
		}
		h.Server.SetHook(nil)
		for range 300 {
			h.Must(l.Enqueue(h.Context(), event))
		}
		l.close()
		h.Want("events stored", len(h.StoredIn("0")), accepted+300)
	})
}

// A disk that others fill holds Enqueue up, and lets it go on once they have made room.
func TestADiskThatOthersFillHoldsUpEnqueue(t *testing.T) {
	atHome(t, 1, func(h *home) {
		h.Server.SetHook(refuseAll())
		l := h.begin(h.options())
		event := &eventhubs.Event{Body: make([]byte, 1000), PartitionID: "0"}
		h.disk.SetSize(h.disk.Used())
		for l.TryEnqueue(h.Context(), event) == nil {
		}
		done := make(chan error)
		go func() { done <- l.Enqueue(h.Context(), event) }()
		time.Sleep(time.Hour)
		h.disk.SetSize(0)
		began := time.Now()
		h.Must(<-done)
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("Enqueue went on after %v, want 3s at most", d)
		}
	})
}

// One process has the directory, for one hub.
func TestADirectoryBelongsToOneProcessAndOneHub(t *testing.T) {
	world.InMemory(t, func(w *world.World) {
		directory := w.TempDir()
		options := func() eventhubs.Options {
			o := eventhubs.Options{Journal: &eventhubs.JournalOptions{Directory: directory, KeepFree: -1}}
			testseam.JournalOn(o.Journal, nil, 64<<10)
			return o
		}
		p := w.Producer(options())
		o := options()
		_, err := eventhubs.NewBufferedProducerFromConnectionString(w.Server.ConnectionString("hub"), "", &o)
		if err == nil || !strings.Contains(err.Error(), "process") {
			t.Errorf("a second producer got %v, want an error that names the process", err)
		}
		w.Must(p.Close(w.Context()))
		_, err = eventhubs.NewBufferedProducerFromConnectionString(w.Server.ConnectionString("other"), "", &o)
		if err == nil || !strings.Contains(err.Error(), "/hub") || !strings.Contains(err.Error(), "/other") {
			t.Errorf("a producer for another hub got %v, want an error that names both", err)
		}
	})
}

// A changed byte in the middle is an error of the constructor, which names the file and the offset.
func TestDamageIsNamed(t *testing.T) {
	atHome(t, 1, func(h *home) {
		h.Server.SetHook(refuseAll())
		l := h.begin(h.options())
		l.enqueue(numbered("event", 50)...)
		l.kill()
		names, err := h.disk.List("/journal")
		h.Must(err)
		damaged := false
		for _, name := range names {
			path := filepath.Join("/journal", name)
			bytes := h.disk.Bytes(path)
			if at := strings.Index(string(bytes), "event 7"); strings.HasSuffix(name, ".seg") && at > 0 {
				bytes[at] ^= 1
				h.disk.Put(path, bytes)
				damaged = true
			}
		}
		h.Want("a segment has the event", damaged, true)
		_, err = h.tryBegin(h.options())
		if err == nil || !strings.Contains(err.Error(), ".seg") || !strings.Contains(err.Error(), "at byte") || !strings.Contains(err.Error(), "repair") {
			t.Errorf("the constructor returned %v, want the file, the offset, and what repairs it", err)
		}
	})
}

// Another KeyPartitioner would send events that are in flight to another partition.
func TestAnotherKeyPartitionerIsRefused(t *testing.T) {
	atHome(t, 2, func(h *home) {
		o := h.options()
		o.KeyPartitioner = func(p eventhubs.KeyPlacement) int { return len(p.Key) % p.Partitions }
		l := h.begin(o)
		h.Must(l.Enqueue(h.Context(), &eventhubs.Event{PartitionKey: "a"}))
		h.Must(l.Flush(h.Context()))
		l.kill()
		_, err := h.tryBegin(h.options())
		if !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), "KeyPartitioner") {
			t.Errorf("the constructor returned %v, want ErrInvalidArgument with the field", err)
		}
		h.begin(o).close()
	})
}

// A life may have other options than the one before: idempotent retries, the size of the files, how
// events without a key are spread.
func TestOptionsMayChangeBetweenLives(t *testing.T) {
	atHome(t, 3, func(h *home) {
		h.Server.SetHook(refuseAll())
		sizes := []int64{64 << 10, 16 << 10, 256 << 10, 32 << 10}
		var want int
		for n, size := range sizes {
			o := h.options()
			o.EnableIdempotentRetries = n%2 == 0
			o.Partitioning = []eventhubs.Partitioning{eventhubs.RoundRobin, eventhubs.Sticky}[n/2]
			l := &life{home: h, process: &process{Files: h.disk}, told: new(world.Outcomes)}
			testseam.JournalOn(o.Journal, l.process, size)
			l.network = &world.LateNetwork{Server: h.Server, Late: &h.late, Refuse: func() bool { return false }, Lag: func() time.Duration { return 0 }}
			o.Connection.DialContext = l.network.Dial
			p, err := eventhubs.NewBufferedProducerFromConnectionString(h.Server.ConnectionString("hub"), "", &o)
			h.Must(err)
			l.BufferedProducer = p
			h.Cleanup(l.end)
			if n == len(sizes)-1 {
				h.Server.SetHook(nil)
			}
			for i := range 100 {
				h.Must(l.Enqueue(h.Context(), &eventhubs.Event{Body: fmt.Append(nil, n, " ", i), Properties: map[string]any{"p": i}}))
				want++
			}
			if n == len(sizes)-1 {
				l.close()
				break
			}
			time.Sleep(time.Minute)
			l.kill()
		}
		seen := map[string]bool{}
		for _, id := range h.Server.PartitionIDs("hub") {
			for _, body := range h.StoredIn(id) {
				if seen[body] {
					t.Errorf("%s is stored twice", body)
				}
				seen[body] = true
			}
		}
		h.Want("events stored", len(seen), want)
	})
}

// A failed fsync is not tried again on the same file. The bytes go to another one, and nothing
// changes for the caller. When that fails too, Enqueue says so, and what was accepted is sent.
func TestAFailedFsyncLosesNothing(t *testing.T) {
	atHome(t, 1, func(h *home) {
		l := h.begin(h.options())
		l.enqueue("a")
		h.Must(l.Flush(h.Context()))
		h.disk.Fail(forgetful.Fault{Op: forgetful.Sync, Times: 1})
		l.enqueue("b")
		h.disk.Fail(forgetful.Fault{Op: forgetful.Sync})
		err := l.Enqueue(h.Context(), &eventhubs.Event{Body: []byte("c"), PartitionID: "0"})
		if !errors.Is(err, eventhubs.ErrJournal) {
			t.Errorf("Enqueue on a failed disk returned %v, want ErrJournal", err)
		}
		h.Want("the health", l.Health().State, eventhubs.HealthFailing)
		if !errors.Is(l.Health().Err, eventhubs.ErrJournal) {
			t.Errorf("Health has %v, want ErrJournal", l.Health().Err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		h.Want("stored by the life whose disk failed", h.StoredIn("0"), "[a b]")
		l.cutPower()
		second := h.begin(h.options())
		second.enqueue("d")
		second.close()
		h.Want("partition 0", strings.Replace(fmt.Sprint(h.StoredIn("0")), " c", "", 1), "[a b d]") // c may be there: its caller was told so
	})
}

// Events with neither key nor id go to one partition for 256 positions in a row with Sticky.
func TestStickyGivesARunOfTheJournalToOnePartition(t *testing.T) {
	atHome(t, 4, func(h *home) {
		o := h.options()
		o.Partitioning = eventhubs.Sticky
		l := h.begin(o)
		var events []*eventhubs.Event
		for n := range 1024 {
			events = append(events, &eventhubs.Event{Body: fmt.Append(nil, n)})
		}
		_, err := l.EnqueueAll(h.Context(), eventhubs.Events(events...))
		h.Must(err)
		l.close()
		for _, id := range h.Server.PartitionIDs("hub") {
			stored, runs, next := h.StoredIn(id), 0, ""
			for _, body := range stored {
				if body != next {
					runs++
				}
				n, err := strconv.Atoi(body)
				h.Must(err)
				next = strconv.Itoa(n + 1)
			}
			if n := len(stored); n < 200 || n > 300 || runs > 2 {
				t.Errorf("partition %s has %d events in %d runs, want about 256 in a row", id, n, runs)
			}
		}
	})
}
