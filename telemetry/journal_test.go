package telemetry_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

const (
	journalLimit   = 1 << 20
	journalSegment = 64 << 10
	diskSize       = 8 << 20
)

// journaled returns a producer with a journal on a disk in memory. Each fsync takes 30 ms there.
func journaled(t *testing.T) (*world, *forgetful.Disk) {
	t.Helper()
	disk := forgetful.New()
	disk.SyncTime = 30 * time.Millisecond
	disk.SetSize(diskSize)
	options := &eventhubs.JournalOptions{Directory: "journal", MaxBytes: journalLimit, KeepFree: -1}
	testseam.JournalOn(options, disk, journalSegment)
	return newWorld(t, eventhubs.Options{Journal: options, EnableIdempotentRetries: true}, telemetry.Options{}), disk
}

// figure returns the value of a metric that has one data point.
func (w *world) figure(name string) float64 {
	w.t.Helper()
	for _, m := range w.read() {
		if m.Name != name {
			continue
		}
		lines := points(m)
		var value float64
		if len(lines) != 1 {
			w.t.Fatalf("%s has the data points %q, want one", name, lines)
		}
		if _, err := fmt.Sscanf(lines[0], "{} %g", &value); err != nil {
			w.t.Fatalf("%s has %q: %v", name, lines[0], err)
		}
		return value
	}
	return math.NaN()
}

func TestMetricsShowTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, disk := journaled(t)
		w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				return emulator.Reject("com.microsoft:server-busy", "wait")
			}
			return emulator.Pass()
		})
		for range 3 {
			w.enqueue(t.Context(), "0", "a")
		}
		time.Sleep(time.Minute)
		w.want(
			"eventhubs.producer.journal.events{} 3",
			fmt.Sprint("eventhubs.producer.journal.limit{} ", journalLimit),
			fmt.Sprint("eventhubs.producer.journal.disk.free{} ", diskSize-disk.Used()),
			"eventhubs.producer.journal.slowest_sync{} 0.030",
			"eventhubs.producer.journal.failed{} 0",
		)
		files := w.figure(telemetry.MetricJournalBytes)
		if files < journalSegment || files > float64(disk.Used()) || w.figure(telemetry.MetricJournalUtilization) != math.Round(files/journalLimit*1000)/1000 {
			t.Errorf("the files have %v bytes and utilization is %v; the disk has %d bytes of them", files, w.figure(telemetry.MetricJournalUtilization), disk.Used())
		}
		if buffer := w.figure(telemetry.MetricBufferUtilization); !math.IsNaN(buffer) {
			t.Errorf("the buffer's utilization is %v, want no figure: the buffer is on the disk", buffer)
		}
		w.server.SetHook(nil)
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		w.want("eventhubs.producer.journal.events{} 0")
	})
}

// A disk of unknown size has no figure. Zero would look like a full disk.
func TestADiskOfUnknownSizeHasNoFigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, disk := journaled(t)
		disk.SetSize(0)
		if free := w.figure(telemetry.MetricJournalDiskFree); !math.IsNaN(free) {
			t.Errorf("the disk has %v bytes free, want no figure", free)
		}
	})
}

// After a restart nothing is in memory before the partitions are known.
func TestTheOldestEventAgesThoughTheServiceCannotBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := journaled(t)
		w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindManagement {
				return emulator.Silence()
			}
			return emulator.Pass()
		})
		w.enqueue(t.Context(), "0", "a")
		time.Sleep(time.Hour)
		if age := w.figure(telemetry.MetricOldestEventAge); age < 3600 || age > 3601 {
			t.Errorf("the oldest event is %v s old, want an hour", age)
		}
		w.server.SetHook(nil)
	})
}

func TestMetricsShowAFailedJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, disk := journaled(t)
		w.enqueue(t.Context(), "0", "a")
		disk.Fail(forgetful.Fault{Op: forgetful.Sync, Err: syscall.EIO})
		if err := w.producer.Enqueue(t.Context(), &eventhubs.Event{}); err == nil {
			t.Fatal("Enqueue returned nil though every fsync fails")
		}
		time.Sleep(time.Minute)
		w.want("eventhubs.producer.journal.failed{} 1", "eventhubs.producer.trouble.duration{} 60.000")
	})
}

// A copy of the directory is another life of the same producer. The later one takes over.
func TestMetricsShowAPartitionThatACopyOfTheJournalHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, disk := journaled(t)
		w.enqueue(t.Context(), "0", "a")
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		copied := disk.Clone()
		copied.Kill() // no process has its lock
		options := w.options
		options.Trace, options.Journal = nil, &eventhubs.JournalOptions{Directory: "journal", MaxBytes: journalLimit, KeepFree: -1}
		testseam.JournalOn(options.Journal, copied, journalSegment)
		later, err := eventhubs.NewBufferedProducerFromConnectionString(w.server.ConnectionString("hub"), "", &options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = later.Close(context.Background()) })
		if _, err := later.Publish(t.Context(), &eventhubs.Event{PartitionID: "0"}); err != nil {
			t.Fatal(err)
		}
		w.enqueue(t.Context(), "0", "b")
		time.Sleep(time.Minute)
		w.want(
			"eventhubs.producer.partitions{eventhubs.waiting=stopped} 1",
			"eventhubs.producer.journal.events{} 1",
			"eventhubs.producer.health{eventhubs.health.state=refused} 1",
		)
		if age := w.figure(telemetry.MetricOldestEventAge); age < 59 || age > 61 {
			t.Errorf("the oldest event is %v s old, want a minute: it waits in the journal", age)
		}
	})
}

func TestProducersWithoutAJournalReportNoMetricsOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, line := range eventful(t).collect() {
			if strings.HasPrefix(line, "eventhubs.producer.journal") {
				t.Error(line)
			}
		}
	})
}

// Producers of one hub have a journal each: sizes add up, and gauges show the worst one, whichever
// comes last.
func TestJournalsOfOneHubAreTakenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := journaled(t)
		w.enqueue(t.Context(), "0", "a")
		one, limit, free := w.figure(telemetry.MetricJournalBytes), journalLimit, int64(0)
		const others = 7
		for n := range others {
			options, disk := w.options, forgetful.New()
			options.Logger = slog.New(slog.DiscardHandler)
			options.Journal = &eventhubs.JournalOptions{Directory: "another", MaxBytes: journalLimit, KeepFree: -1}
			disk.SetSize(diskSize)
			if n == others/2 {
				options.Journal.MaxBytes /= 2
				disk.SetSize(diskSize / 2)
				disk.SyncTime = time.Minute
			}
			testseam.JournalOn(options.Journal, disk, journalSegment)
			p, err := eventhubs.NewBufferedProducerFromConnectionString(w.server.ConnectionString("hub"), "", &options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close(context.Background()) })
			if limit += int(options.Journal.MaxBytes); n == others/2 {
				free = diskSize/2 - disk.Used()
			}
			if err := p.Enqueue(t.Context(), &eventhubs.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		w.want(
			fmt.Sprint("eventhubs.producer.journal.limit{} ", limit),
			fmt.Sprint("eventhubs.producer.journal.disk.free{} ", free),
			"eventhubs.producer.journal.slowest_sync{} 60.000",
		)
		if all := w.figure(telemetry.MetricJournalBytes); all != (others+1)*one {
			t.Errorf("the files have %v bytes together, want %d times %v", all, others+1, one)
		}
		if got, want := w.figure(telemetry.MetricJournalUtilization), math.Round(2*one/journalLimit*1000)/1000; got != want {
			t.Errorf("utilization is %v, want %v, that of the smaller journal", got, want)
		}
	})
}
