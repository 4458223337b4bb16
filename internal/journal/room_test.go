package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
)

// fill adds records until the journal is full, and returns how many it took.
func fill(t *testing.T, j *journal.Journal, note bool, record []byte) (n int) {
	t.Helper()
	for ; n < 10_000; n++ {
		p, err := j.Add(note, record, nil, nil, nil)
		if errors.Is(err, journal.ErrFull) {
			return n
		}
		if err == nil {
			err = j.Await(p)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the journal is never full")
	return 0
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestReleaseNeedsNoRoom(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small}
	disk.SetSize(5*small + 1000)
	j, _ := open(t, there, o)
	record := bytes.Repeat([]byte("x"), 500)
	n := fill(t, j, false, record)
	if closed(j.Room()) {
		t.Error("there is room in a full journal")
	}
	if p, err := j.Add(true, record, nil, nil, nil); err != nil || j.Await(p) != nil { // the reserve
		t.Fatal(err)
	}
	if _, err := j.Add(false, []byte("x"), nil, nil, nil); !errors.Is(err, journal.ErrFull) {
		t.Errorf("an event took the reserve: %v", err)
	}
	notes := 1 + fill(t, j, true, []byte("note"))
	if notes < 100 {
		t.Errorf("a full journal took %d notes, want over 100", notes)
	}
	room := j.Room()
	disk.Fail(forgetful.Fault{Op: forgetful.Create, Err: syscall.ENOSPC})
	for _, before := range []int{n * 3 / 4, n + notes + 1} {
		j.Release(journal.Position(before))
		if !closed(room) {
			t.Fatalf("no room after Release(%d) of %d", before, n+notes)
		}
		if again := fill(t, j, false, record); again == 0 {
			t.Errorf("nothing was taken after Release(%d)", before)
		}
		room = j.Room()
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// Others have taken the disk: there is a last segment and a spare, and no file can be made.
func TestTheLastSegmentIsUsedAgainWhenAllIsReleased(t *testing.T) {
	for _, early := range []bool{false, true} {
		disk := forgetful.New()
		o := journal.Options{Files: disk, SegmentBytes: small}
		disk.SetSize(2*small + 1000)
		j, _ := open(t, there, o)
		record := bytes.Repeat([]byte("x"), 500)
		if early { // each record is released at once
			for range 200 {
				j.Release(add(t, j, string(record)) + 1)
			}
			if _, err := j.Add(false, record, nil, nil, nil); err != nil { // also one that was not written
				t.Fatal(err)
			}
			for range 200 {
				if p, err := j.Add(false, record, nil, nil, nil); err != nil {
					t.Fatal(err)
				} else if j.Release(p + 1); p == 0 {
					t.Fatal("position 0")
				}
			}
			continue
		}
		fill(t, j, false, record)
		j.Release(j.Stats().End)
		for range 10 {
			if !closed(j.Room()) {
				t.Fatal("no room after all was released")
			}
			if n := fill(t, j, false, record); n < 10 {
				t.Fatalf("%d records fit, want a segment's", n)
			}
			j.Release(j.Stats().End)
		}
	}
}

// The note takes room in the spare, which becomes the last segment meanwhile.
func TestANoteIsAddedWhileTheLastSegmentIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := forgetful.New()
		disk.SetSize(2*small + 1000)
		o := journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncOS, Snapshot: func(dst []byte, _ journal.Position) []byte {
			return append(dst, make([]byte, small/4)...) // the largest: no byte is to spare
		}}
		j, _ := open(t, there, o)
		fill(t, j, false, make([]byte, 900)) // room for the note is left
		disk.SyncTime = time.Second
		var releasing sync.WaitGroup
		releasing.Go(func() { j.Release(j.Stats().End) })
		time.Sleep(time.Second / 2) // in an fsync
		begin := time.Now()
		p, err := j.Add(true, make([]byte, 100), nil, nil, nil)
		if took := time.Since(begin); err != nil || took > 0 {
			t.Fatalf("%v after %v, want a note at once", err, took)
		}
		releasing.Wait()
		if err := j.Await(p); err != nil {
			t.Fatal(err)
		}
		if fill(t, j, true, []byte("n")) == 0 {
			t.Error("no other note was taken")
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheBoundHoldsAtStart(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small, MaxBytes: 4 * small}
	check := func(j *journal.Journal, bound int64) {
		t.Helper()
		if s := j.Stats(); s.Bytes > bound || disk.Used() > bound+1000 {
			t.Fatalf("%d bytes are allocated, %d used, want at most %d", s.Bytes, disk.Used(), bound)
		}
	}
	record := bytes.Repeat([]byte("x"), 300)
	for _, note := range []bool{false, true} { // the second time the reserve is used up, too
		j, _ := open(t, there, o)
		fill(t, j, false, record)
		if note {
			fill(t, j, true, record)
		}
		check(j, o.MaxBytes)
		end := j.Stats().End
		for range 5 {
			disk.Restart(forgetful.NoPages, forgetful.NoNames, rand.New(rand.NewPCG(1, 1)))
			j, _ = open(t, there, o)
			check(j, o.MaxBytes)
			if got := j.Stats().End; got != end {
				t.Fatalf("the end is %d, want %d", got, end)
			}
		}
		disk.Kill()
	}
	o.MaxBytes = 3 * small // less than there is
	j, _ := open(t, there, o)
	check(j, 4*small)
	if _, err := j.Add(false, record, nil, nil, nil); !errors.Is(err, journal.ErrFull) {
		t.Errorf("Add over the bound: %v, want ErrFull", err)
	}
	j.Release(j.Stats().End)
	if n := fill(t, j, false, record); n == 0 {
		t.Error("nothing fits after all was released")
	}
	check(j, 3*small)

	o.MaxBytes--
	if _, err := journal.Open("/other", o, nil, nil); err == nil || !strings.Contains(err.Error(), fmt.Sprint(3*small)) {
		t.Errorf("a bound below three segments: %v, want the bytes that are needed", err)
	}
}

func TestKeepFreeLeavesRoomForOthers(t *testing.T) {
	disk := forgetful.New()
	disk.SetSize(20 * small)
	j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: small, KeepFree: 10 * small})
	fill(t, j, false, make([]byte, 500))
	if free := disk.Free(there); free < 10*small || free > 11*small {
		t.Errorf("%d bytes are free, want a little over %d", free, 10*small)
	}
}

func TestRoomThatOthersMakeIsFoundOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := forgetful.New()
		disk.SetSize(3*small + 1000)
		j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: small})
		record := make([]byte, 500)
		fill(t, j, false, record)
		disk.SetSize(0)
		time.Sleep(time.Second - 1)
		if _, err := j.Add(false, record, nil, nil, nil); !errors.Is(err, journal.ErrFull) {
			t.Errorf("got %v within the second, want ErrFull", err)
		}
		time.Sleep(time.Nanosecond)
		if p, err := j.Add(false, record, nil, nil, nil); err != nil || j.Await(p) != nil {
			t.Errorf("got %v a second later, want room", err)
		}
	})
}

func TestReleaseKeepsTheSegmentOfTheFirstNeededRecord(t *testing.T) {
	disk := forgetful.New()
	j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: small})
	for range 100 {
		add(t, j, string(make([]byte, 500)))
	}
	for p := journal.Position(1); p <= 101; p++ {
		j.Release(p)
		if first := j.Stats().First; first > p {
			t.Fatalf("the first record is %d after Release(%d)", first, p)
		}
		if p <= 100 {
			if first, _ := readAll(t, j, p); first != p {
				t.Fatalf("read from %d, want %d", first, p)
			}
		}
	}
	if s := j.Stats(); s.First < 80 || s.Bytes > 3*small {
		t.Errorf("%+v, want one segment and two free ones", s)
	}
	if first, _ := readAll(t, j, 5); first != j.Stats().First {
		t.Errorf("a reader from a released position begins at %d, want %d", first, j.Stats().First)
	}
}

func TestReleaseOfRecordsThatAreNotThereReleasesNoLaterOne(t *testing.T) {
	j, _ := open(t, there, journal.Options{Files: forgetful.New(), SegmentBytes: small})
	j.Release(1000)
	for range 100 {
		add(t, j, string(make([]byte, 500)))
	}
	if first, got := readAll(t, j, 1); first != 1 || len(got) != 100 {
		t.Errorf("%d records from %d on, want 100 from 1 on", len(got), first)
	}
}

func TestCloseWakesThoseThatWaitForRoomAndForRecords(t *testing.T) {
	j, _ := open(t, there, journal.Options{Files: forgetful.New(), SegmentBytes: small, MaxBytes: 3 * small})
	fill(t, j, false, make([]byte, 500))
	room := j.Room()
	_, more := j.Committed()
	if closed(room) || closed(more) {
		t.Fatal("a full journal has room or records")
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if !closed(room) || !closed(more) {
		t.Errorf("room: %v, records: %v, want both channels closed", closed(room), closed(more))
	}
}

func TestAReaderOfAReleasedSegmentGetsAnError(t *testing.T) {
	disk := forgetful.New()
	j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: small})
	for range 100 {
		add(t, j, string(make([]byte, 500)))
	}
	r := j.Reader(1)
	defer r.Close()
	if p, _, ok, err := r.Next(); p != 1 || !ok {
		t.Fatalf("%d, %v, %v", p, ok, err)
	}
	j.Release(101)
	for range 100 { // the files are written again
		add(t, j, strings.Repeat("other", 100))
	}
	for {
		p, record, ok, err := r.Next()
		if errors.Is(err, journal.ErrReleased) {
			return
		}
		if !ok || err != nil || p > 100 || string(record) != string(make([]byte, 500)) {
			t.Fatalf("position %d, %v, %v, %.20q, want ErrReleased", p, ok, err, record)
		}
	}
}

func TestAnotherSegmentSizeAtTheNextOpen(t *testing.T) {
	disk := forgetful.New()
	var want []string
	var log bytes.Buffer
	for i, size := range []int64{16 << 10, 4 << 10, 64 << 10, 8 << 10} {
		j, got := open(t, there, journal.Options{Files: disk, SegmentBytes: size, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%d records, want %d", len(got), len(want))
		}
		for k := range 60 {
			want = append(want, fmt.Sprintf("%d.%d %0500d", i, k, k))
			add(t, j, want[len(want)-1])
		}
		if err := j.Close(); err != nil || log.Len() > 0 {
			t.Fatal(err, log.String())
		}
	}
	// Released files of another size are not used again.
	j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: 32 << 10, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 200 {
		j.Release(j.Stats().End)
		add(t, j, string(make([]byte, 500)))
	}
	if bytes := j.Stats().Bytes; bytes != 3*32<<10 || disk.Used() > bytes+1000 || log.Len() > 0 {
		t.Errorf("%d bytes are allocated, %d used, want three segments of 32 KB; %s", bytes, disk.Used(), &log)
	}
}

func TestOpeningManyTimesFillsNoSegment(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: 4 << 10}
	for range 100 {
		j, _ := open(t, there, o)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j, _ := open(t, there, o)
	before := newestOf(disk)
	if add(t, j, "a record"); newestOf(disk) != before {
		t.Errorf("the first record begins the segment %s, want it in %s", newestOf(disk), before)
	}
}

func TestARecordLargerThanASegmentIsRefused(t *testing.T) {
	j, _ := open(t, there, journal.Options{Files: forgetful.New(), SegmentBytes: small})
	if _, err := j.Add(false, make([]byte, small), nil, nil, nil); err == nil || errors.Is(err, journal.ErrFull) || !strings.Contains(err.Error(), "8192") {
		t.Errorf("got %v, want an error that names the sizes", err)
	}
	add(t, j, "another")
}

// A removal may not be on the disk after a power cut, though a later one is.
func TestAReleasedSegmentThatComesBackIsIgnored(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small}
	j, _ := open(t, there, o)
	name := there + "/" + newestOf(disk)
	old := disk.Bytes(name)
	for range 100 {
		add(t, j, string(make([]byte, 500)))
	}
	j.Release(60)
	for range 20 {
		add(t, j, string(make([]byte, 500)))
	}
	first := j.Stats().First
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	disk.Put(name, old)
	j, got := open(t, there, o)
	if s := j.Stats(); s.First != first || len(got) != 121-int(first) {
		t.Errorf("%d records from %d on, want those from %d on", len(got), s.First, first)
	}
	if disk.Bytes(name) != nil {
		t.Errorf("%s is still there", name)
	}
}

// The last segment is there twice when the power goes at that moment.
func TestAnOpeningThatWasCutLeavesNoFileBehind(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small}
	j, _ := open(t, there, o)
	for range 50 {
		add(t, j, string(make([]byte, 500)))
	}
	want, cuts := j.Stats().Bytes, 0
	for at := 0; ; at++ {
		disk.Kill()
		disk.CutAt(at)
		if _, err := journal.Open(there, o, nil, nil); err == nil {
			break
		}
		cuts++
		disk.Restart(forgetful.AllPages, forgetful.AllNames, rand.New(rand.NewPCG(1, 1)))
		for again := 0; ; again++ { // the next one is cut, too
			other := disk.Clone()
			o.Files = other
			other.CutAt(again)
			_, err := journal.Open(there, o, nil, nil)
			other.Restart(forgetful.AllPages, forgetful.NoNames, rand.New(rand.NewPCG(1, 1)))
			j, got := open(t, there, o)
			if s := j.Stats(); s.Bytes != want || other.Used() > want+1000 || len(got) != 50 {
				t.Errorf("cut at %d and %d: %d bytes are allocated, %d used, want %d; %d records", at, again, s.Bytes, other.Used(), want, len(got))
			}
			if err == nil {
				break
			}
		}
		o.Files = disk
	}
	if cuts < 6 {
		t.Errorf("an opening has %d operations, want at least 6", cuts)
	}
}

// The reserve is used up: opening finds no file to which it could write the last segment again.
func TestOpeningWithoutRoomWritesTheLastSegmentInPlace(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small, MaxBytes: 3 * small, Policy: journal.SyncOS}
	j, _ := open(t, there, o)
	fill(t, j, false, make([]byte, 500))
	var notes []string
	note := func(text string) {
		t.Helper()
		p, err := j.Add(true, []byte(text), nil, nil, nil)
		if err == nil {
			err = j.Await(p)
		}
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, text)
	}
	check := func(what string) {
		t.Helper()
		if s := j.Stats(); s.Bytes != 3*small {
			t.Fatalf("%s: %d bytes are allocated, want %d", what, s.Bytes, 3*small)
		}
		if _, got := readAll(t, j, j.Stats().End-journal.Position(len(notes))); fmt.Sprint(got) != fmt.Sprint(notes) {
			t.Fatalf("%s: the notes are %q, want %q", what, got, notes)
		}
	}
	note(strings.Repeat("n", 600)) // the first one in the reserve
	note("note one")
	note("note two")
	note("note six")
	disk.Kill()
	j, _ = open(t, there, o)
	check("after a kill")
	disk.Restart(forgetful.NoPages, forgetful.NoNames, rand.New(rand.NewPCG(1, 1)))
	j, _ = open(t, there, o)
	check("after a power cut")

	// The system has lost a page in the middle: what comes after it must not come back.
	note("note 003")
	note("note 004")
	note("note 005")
	name := there + "/" + newestOf(disk)
	text := disk.Bytes(name)
	text[bytes.Index(text, []byte("note 004"))]++
	disk.Put(name, text)
	disk.Kill()
	notes = notes[:len(notes)-2]
	j, _ = open(t, there, o)
	check("after a torn note")
	note("note 04a")
	disk.Kill()
	j, _ = open(t, there, o)
	check("after another note")
}

func TestWithoutAnySegmentTheJournalIsNotANewOne(t *testing.T) {
	disk, o, _ := written(t, true)
	names, _ := disk.List(there)
	for _, name := range names {
		if strings.HasSuffix(name, ".seg") {
			disk.Put(there+"/"+name, nil)
		}
	}
	o.Files = disk
	_, err := journal.Open(there, o, nil, nil)
	if damage, ok := errors.AsType[*journal.DamagedError](err); !ok || damage.File != there {
		t.Errorf("got %v, want a DamagedError", err)
	}
	if report, err := journal.Repair(there, disk); err != nil || !report.EndUnknown {
		t.Errorf("repair: %+v, %v", report, err)
	}
	j, _ := open(t, there, o)
	if p := add(t, j, "new"); p != 1 {
		t.Errorf("position %d, want 1", p)
	}
}

// A file that has lost its end may have lost records. The newest one says so by its head.
func TestATruncatedSegmentIsRefusedAndRepaired(t *testing.T) {
	disk, o, records := written(t, true)
	names, _ := disk.List(there)
	for _, name := range names {
		if !strings.HasSuffix(name, ".seg") {
			continue
		}
		text := disk.Bytes(there + "/" + name)
		for _, size := range []int{0, 1, 60, 200, 201, 300, 1000, 2000} {
			changed := disk.Clone()
			changed.Put(there+"/"+name, text[:size])
			n, end, err := readable(changed.Clone(), o, records)
			what := fmt.Sprintf("%s has %d bytes", name, size)
			if _, damaged := errors.AsType[*journal.DamagedError](err); !damaged {
				t.Fatalf("%s: %d records up to %d were read, %v, want an error", what, n, end, err)
			}
			if found, err := journal.Inspect(there, changed, nil, nil); err != nil || len(found.Damage) == 0 {
				t.Fatalf("%s: Inspect found %+v, %v, want damage", what, found, err)
			}
			repaired(t, what, changed, o, records)
		}
	}
}

// The reader is far from the end, in the segment that is written to.
func TestAReaderOfTheLastSegmentReadsNoByteBeforeItIsWritten(t *testing.T) {
	j, _ := open(t, there, journal.Options{Files: forgetful.New(), SegmentBytes: 64 << 10})
	for range 70 {
		add(t, j, string(make([]byte, 500)))
	}
	r := j.Reader(1)
	defer r.Close()
	for want := journal.Position(1); want <= 75; want++ {
		p, _, ok, err := r.Next()
		if p != want || !ok || err != nil {
			t.Fatalf("position %d, %v, %v, want %d", p, ok, err, want)
		}
		if want == 1 {
			for range 80 {
				add(t, j, string(make([]byte, 500)))
			}
		}
	}
}

func TestAFullJournalWhoseFilesCannotBeRemovedSaysSo(t *testing.T) {
	disk := forgetful.New()
	j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: small, MaxBytes: 4 * small})
	record := make([]byte, 500)
	fill(t, j, false, record)
	disk.Fail(forgetful.Fault{Op: forgetful.Rename})
	disk.Fail(forgetful.Fault{Op: forgetful.Remove})
	j.Release(j.Stats().End)
	if _, err := j.Add(false, record, nil, nil, nil); !errors.Is(err, journal.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	disk.Mend()
	j.Release(j.Stats().End)
	if n := fill(t, j, false, record); n == 0 {
		t.Error("nothing fits after the disk was mended")
	}
}
