package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
)

func TestThePositionsAreInTheSegmentsOnly(t *testing.T) {
	disk, o, records := written(t, true)
	names, _ := disk.List(there)
	for _, name := range names {
		if !strings.HasSuffix(name, ".seg") && name != "journal.json" {
			disk.Put(there+"/"+name, nil)
		}
	}
	if n, end, err := readable(disk, o, records); err != nil || n != len(records) || int(end) != n+1 {
		t.Errorf("%d records up to %d, %v, want %d", n, end, err, len(records))
	}
}

// five returns a disk with a journal of five records. A byte of one was changed after a kill, in
// the file path, at the offset at.
func five(t *testing.T, changed string) (disk *forgetful.Disk, o journal.Options, path string, at int) {
	t.Helper()
	disk = forgetful.New()
	o = journal.Options{Files: disk, SegmentBytes: small}
	j, _ := open(t, there, o)
	for i := range 5 {
		add(t, j, fmt.Sprintf("record %d", i))
	}
	path = there + "/" + newestOf(disk)
	text := disk.Bytes(path)
	at = bytes.Index(text, []byte(changed))
	text[at] ^= 1
	disk.Put(path, text)
	disk.Kill()
	return disk, o, path, at
}

func TestDamageInTheMiddleNamesFileOffsetAndNumber(t *testing.T) {
	disk, o, path, at := five(t, "record 2")
	_, err := journal.Open(there, o, nil, nil)
	damage, ok := errors.AsType[*journal.DamagedError](err)
	if !ok || damage.File != path || damage.Offset != int64(at)-41 || damage.First != 3 || damage.Records != 1 {
		t.Errorf("got %v, want position 3 of %s at byte %d, one record", err, path, at-41)
	}
	if report := repaired(t, "position 3", disk, o, []string{"record 0", "record 1", "record 2", "record 3", "record 4"}); len(report.Missing) != 1 ||
		report.Missing[0] != (journal.Missing{First: 3, Records: 1}) {
		t.Errorf("repaired: %+v, want position 3", report)
	}
}

func TestATornTailIsCutAndLogged(t *testing.T) {
	_, o, _, _ := five(t, "record 4")
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	j, got := open(t, there, o)
	if len(got) != 4 || !strings.Contains(log.String(), "bytes=49") || !strings.Contains(log.String(), "position=5") {
		t.Errorf("%d records, log %s, want 4 records and 49 bytes cut at position 5", len(got), &log)
	}
	if p := add(t, j, "another"); p != 5 {
		t.Errorf("position %d, want 5", p)
	}
}

func TestMemoryAtStartDoesNotGrowWithTheBacklog(t *testing.T) {
	taken := map[int]uint64{}
	for _, segments := range []int{10, 400} {
		disk := forgetful.New()
		o := journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncOS, Snapshot: func(dst []byte, _ journal.Position) []byte {
			return append(dst, make([]byte, 1500)...)
		}}
		j, _ := open(t, there, o)
		for disk.Used() < int64(segments)*small {
			add(t, j, string(make([]byte, 2000)))
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		j, _ = open(t, there, o)
		runtime.GC()
		runtime.ReadMemStats(&after)
		taken[segments] = after.HeapAlloc - min(after.HeapAlloc, before.HeapAlloc)
		runtime.KeepAlive(j)
	}
	if each := (int64(taken[400]) - int64(taken[10])) / 390; each > 300 {
		t.Errorf("a segment of the backlog takes %d bytes of memory, want at most 300: %v", each, taken)
	}
}

func TestAFileWhoseSyncFailedIsNeverSyncedAgain(t *testing.T) {
	disk := forgetful.New()
	var syncs []string
	j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: small})
	add(t, j, "before")
	disk.Watch = func(op forgetful.Op, name string) {
		if op == forgetful.Sync {
			syncs = append(syncs, name)
		}
	}
	disk.Fail(forgetful.Fault{Op: forgetful.Sync, Times: 1})
	add(t, j, "after")
	if len(syncs) < 3 || strings.Contains(strings.Join(syncs[1:], " "), syncs[0]) {
		t.Errorf("the files %q were synced, want the first one once, and two syncs of another", syncs)
	}
	disk.Restart(forgetful.NoPages, forgetful.NoNames, rand.New(rand.NewPCG(1, 1)))
	if _, got := open(t, there, journal.Options{Files: disk}); fmt.Sprint(got) != "[before after]" {
		t.Errorf("got %q, want both records", got)
	}
}

// The cache of the system shows a block that the disk has lost: it is written again before it
// counts.
func TestOpeningIsNotReadingTheDisk(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncOS}
	j, _ := open(t, there, o)
	add(t, j, "in the cache only")
	disk.Fail(forgetful.Fault{Op: forgetful.Sync, Times: 1})
	if err := j.Close(); err == nil {
		t.Fatal("Close did not fail")
	}
	o.Policy = journal.SyncEach
	if _, got := open(t, there, o); len(got) != 1 {
		t.Fatalf("%d records, want the one in the cache", len(got))
	}
	disk.Restart(forgetful.NoPages, forgetful.NoNames, rand.New(rand.NewPCG(1, 1)))
	if _, got := open(t, there, o); len(got) != 1 {
		t.Errorf("%d records after a power cut, want 1", len(got))
	}
}

func TestAFailedJournalSaysSo(t *testing.T) {
	disk := forgetful.New()
	j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: small})
	kept := add(t, j, "kept")
	disk.Fail(forgetful.Fault{Op: forgetful.Write})
	p, err := j.Add(false, []byte("lost"), nil, nil, nil)
	if err == nil {
		err = j.Await(p)
	}
	if !failedError(err) || !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want a FailedError with EIO", err)
	}
	if _, err := j.Add(false, nil, nil, nil, nil); !failedError(err) {
		t.Errorf("a later Add: %v, want a FailedError", err)
	}
	if err := j.Await(kept); err != nil {
		t.Errorf("Await of a record that was kept: %v", err)
	}
	if _, got := readAll(t, j, 1); len(got) != 1 {
		t.Errorf("readers have %d records, want 1", len(got))
	}
	if s := j.Stats(); !failedError(s.Failed) || s.End != 2 {
		t.Errorf("stats: %+v", s)
	}
	if err := j.Close(); !failedError(err) {
		t.Errorf("Close: %v, want a FailedError", err)
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	disk, o, _ := written(t, false)
	for name, change := range map[string]func([]byte) []byte{
		"journal.json": func(p []byte) []byte { return bytes.Replace(p, []byte(`"format":1`), []byte(`"format":2`), 1) },
		newestOf(disk): func(p []byte) []byte { p[8] = 2; return p },
	} {
		newer := disk.Clone()
		newer.Put(there+"/"+name, change(newer.Bytes(there+"/"+name)))
		o.Files = newer
		_, err := journal.Open(there, o, nil, nil)
		if format, ok := errors.AsType[*journal.FormatError](err); !ok || format.Found != 2 || format.Known != 1 || !strings.HasSuffix(format.File, name) {
			t.Errorf("%s: %v, want a FormatError", name, err)
		}
		if _, err := journal.Repair(there, newer); err == nil {
			t.Errorf("%s: Repair took a newer format for damage", name)
		}
	}
}

func newestOf(disk *forgetful.Disk) string { names, _ := disk.List(there); return newest(names) }

func TestADirectoryOfAnotherOwnerIsRefused(t *testing.T) {
	disk, o, _ := written(t, false)
	o.Files, o.Owner = disk, "another"
	_, err := journal.Open(there, o, nil, nil)
	if owner, ok := errors.AsType[*journal.OwnerError](err); !ok || *owner != (journal.OwnerError{Directory: there, Owner: "o", Wanted: "another"}) {
		t.Errorf("got %v, want an OwnerError", err)
	}
}

func TestASecondJournalIsRefused(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "a", "b")
	j, _ := open(t, directory, journal.Options{})
	_, err := journal.Open(directory, journal.Options{}, nil, nil)
	host, _ := os.Hostname()
	if inUse, ok := errors.AsType[*journal.InUseError](err); !ok || *inUse != (journal.InUseError{Directory: directory, PID: os.Getpid(), Host: host}) {
		t.Errorf("got %v, want an InUseError", err)
	}
	if _, err := journal.Repair(directory, nil); err == nil {
		t.Error("Repair changed a journal in use")
	}
	if _, err := journal.Inspect(directory, nil, nil, nil); err != nil {
		t.Errorf("Inspect beside a running journal: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j, _ = open(t, directory, journal.Options{})
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// Inspect reads half of a block while a process writes it. When Inspect looks for blocks after that
// one, the process has written more.
func TestABlockThatIsBeingWrittenIsNoDamage(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: 2 << 20}
	j, _ := open(t, there, o)
	add(t, j, "record")
	files := &halfFiles{Disk: disk, name: newestOf(disk)}
	files.then = func() {
		for range 10 {
			add(t, j, strings.Repeat("r", 100<<10))
		}
	}
	seen := 0
	report, err := journal.Inspect(there, files, nil, func(journal.Position, []byte) { seen++ })
	if err != nil || len(report.Damage) > 0 || files.then != nil {
		t.Errorf("%v, damage %v, want none", err, report.Damage)
	}
	if seen != 11 || report.Records != 11 || report.End != 12 {
		t.Errorf("%d records were seen, %d counted, up to %d, want 11", seen, report.Records, report.End)
	}
}

// A halfFiles gives the first reader of a file's blocks those that were there, and half of the next
// one. It writes that block and more before the second reading.
type halfFiles struct {
	*forgetful.Disk
	name string // of the file
	then func() // writes; nil once it has
}

func (h *halfFiles) Open(name string, write bool) (journal.File, error) {
	f, err := h.Disk.Open(name, write)
	return halfFile{f, h, filepath.Base(name) == h.name}, err
}

type halfFile struct {
	journal.File
	of    *halfFiles
	halve bool
}

func (f halfFile) ReadAt(p []byte, at int64) (int, error) {
	if at == 0 || !f.halve || f.of.then == nil {
		return f.File.ReadAt(p, at)
	}
	before := make([]byte, len(p))
	if _, err := f.File.ReadAt(before, at); err != nil {
		return 0, err
	}
	f.of.then()
	f.of.then = nil
	n, err := f.File.ReadAt(p, at)
	end := len(bytes.TrimRight(before, "\x00"))
	clear(p[end+1000:])
	return n, err
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "a")
	j, _ := open(t, directory, journal.Options{})
	defer func() { _ = j.Close() }()
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) < 5 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	if runtime.GOOS == "windows" {
		return // it has other modes
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", e.Name(), info.Mode())
		}
	}
	if info, err := os.Stat(directory); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, want 0700", info.Mode())
	}
}

func TestTheLastRecordIsSeenWithoutAnother(t *testing.T) {
	j, _ := open(t, there, journal.Options{Files: forgetful.New()})
	end, more := j.Committed()
	if end != 1 || closed(more) {
		t.Fatalf("a new journal has the end %d", end)
	}
	p, err := j.Add(false, []byte("one"), nil, nil, nil)
	if err != nil || closed(more) {
		t.Fatalf("%v; readers see a record that nobody awaited: %v", err, closed(more))
	}
	if _, got := readAll(t, j, 1); len(got) != 0 {
		t.Errorf("readers see %q before it was kept", got)
	}
	if err := j.Await(p); err != nil || !closed(more) {
		t.Fatalf("%v; readers were told: %v", err, closed(more))
	}
	if _, got := readAll(t, j, 1); len(got) != 1 {
		t.Errorf("readers see %q", got)
	}
}

func TestAReaderNamesTheDamageThatItMeets(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small}
	j, _ := open(t, there, o)
	first := newestOf(disk)
	for i := range 200 {
		add(t, j, fmt.Sprintf("record %03d %0500d", i, 0))
	}
	text := disk.Bytes(there + "/" + first)
	at := bytes.Index(text, []byte("record 005"))
	text[at+100] ^= 4
	disk.Put(there+"/"+first, text)
	r := j.Reader(1)
	defer r.Close()
	for i := range 6 {
		p, _, ok, err := r.Next()
		if i < 5 && (err != nil || !ok || int(p) != i+1) {
			t.Fatalf("record %d: %d, %v, %v", i, p, ok, err)
		}
		if i < 5 {
			continue
		}
		damage, is := errors.AsType[*journal.DamagedError](err)
		if !is || damage.First != 6 || damage.Records != 1 || damage.Offset != int64(at-42) || damage.File != there+"/"+first {
			t.Errorf("got %v, want position 6 at byte %d", err, at-42)
		}
	}
	if _, _, _, err := r.Next(); err == nil {
		t.Error("the reader went on after damage")
	}
	add(t, j, "the journal goes on")
}

func TestARemoteFileSystemIsRefused(t *testing.T) {
	disk := forgetful.New()
	disk.Kind = "NFS"
	o := journal.Options{Files: disk}
	if _, err := journal.Open(there, o, nil, nil); err == nil || !strings.Contains(err.Error(), "NFS") {
		t.Errorf("got %v, want an error that names NFS", err)
	}
	o.AllowRemote = true
	open(t, there, o)
}

func TestAReadOnlyOrFullDiskIsRefusedAtOnce(t *testing.T) {
	for _, op := range []forgetful.Op{forgetful.Create, forgetful.Write, forgetful.Sync, forgetful.SyncDirectory} {
		for _, number := range []syscall.Errno{syscall.EROFS, syscall.ENOSPC} {
			disk := forgetful.New()
			disk.Fail(forgetful.Fault{Op: op, Err: number})
			if _, err := journal.Open(there, journal.Options{Files: disk}, nil, nil); !errors.Is(err, number) {
				t.Errorf("operation %d: %v, want %v", op, err, number)
			}
			disk.Mend()
			open(t, there, journal.Options{Files: disk})
		}
	}
}

func TestAClockThatGoesBackIsLogged(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(24 * time.Hour)
		j, _ := open(t, there, o)
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	synctest.Test(t, func(t *testing.T) { open(t, there, o) }) // a day earlier
	if !strings.Contains(log.String(), "clock") || !strings.Contains(log.String(), "behind=24h0m0s") {
		t.Errorf("the log is %q, want a clock that is 24h behind", &log)
	}
}

func TestASnapshotThatIsTooLargeFailsTheJournal(t *testing.T) {
	j, _ := open(t, there, journal.Options{Files: forgetful.New(), SegmentBytes: small, Snapshot: func(dst []byte, _ journal.Position) []byte {
		return append(dst, make([]byte, small)...)
	}})
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		var p journal.Position
		if p, err = j.Add(false, make([]byte, 1000), nil, nil, nil); err == nil {
			err = j.Await(p)
		}
	}
	if !failedError(err) || !strings.Contains(err.Error(), "snapshot has 8192 bytes") {
		t.Errorf("got %v, want a FailedError that names the snapshot", err)
	}
}

// The caller that leads gets the panic, the others get the failure. Records that were kept stay.
func TestAPanicOfSnapshotFailsTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := forgetful.New()
		o := journal.Options{Files: disk, SegmentBytes: small}
		broken := o
		broken.Snapshot = func([]byte, journal.Position) []byte { panic("broken") }
		j, _ := open(t, there, broken)
		disk.SyncTime = time.Millisecond
		var panics, failures, kept atomic.Int64
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				defer func() {
					if recover() != nil {
						panics.Add(1)
					}
				}()
				for {
					p, err := j.Add(false, make([]byte, 500), nil, nil, nil)
					if err == nil {
						err = j.Await(p)
					}
					if err != nil {
						if failures.Add(1); !failedError(err) {
							t.Errorf("got %v, want a FailedError", err)
						}
						return
					}
					kept.Add(1)
				}
			})
		}
		all.Wait()
		if panics.Load() != 1 || failures.Load() != 4 {
			t.Errorf("%d callers got the panic and %d a failure, want 1 and 4", panics.Load(), failures.Load())
		}
		j.Release(2)
		if _, got := readAll(t, j, 1); len(got) != int(kept.Load()) {
			t.Errorf("readers have %d records, want %d", len(got), kept.Load())
		}
		if err := j.Close(); !failedError(err) {
			t.Errorf("Close: %v, want a FailedError", err)
		}
		if _, got := open(t, there, o); len(got) < int(kept.Load()) {
			t.Errorf("%d records, want at least %d", len(got), kept.Load())
		}
	})
}

func TestTheSnapshotOfTheNewestSegmentIsRestored(t *testing.T) {
	disk, o, records := written(t, true)
	o.Files = disk
	var restored string
	var replayed []journal.Position
	j, err := journal.Open(there, o, func(snapshot []byte) error {
		restored = string(snapshot)
		return nil
	}, func(p journal.Position, _ []byte) error {
		replayed = append(replayed, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if restored != fmt.Sprintf("state before %d", replayed[0]) || replayed[0] < 20 || replayed[len(replayed)-1] != 40 {
		t.Errorf("restored %q, replayed %v", restored, replayed)
	}
	_ = j.Close()
	broken := errors.New("broken")
	if _, err := journal.Open(there, o, func([]byte) error { return broken }, nil); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of restore", err)
	}
	if _, err := journal.Open(there, o, nil, func(journal.Position, []byte) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of replay", err)
	}
	if n, _, err := readable(disk, o, records); n != len(records) || err != nil { // it is unlocked
		t.Errorf("%d records, %v", n, err)
	}
}
