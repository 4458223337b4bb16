package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
)

const recent = there + "/recent"

// texts are small records, of which several fit in the file of recent blocks.
var texts = []string{"record one", "record two", "record three", "record four", "record five"}

// addTexts adds and awaits texts[from:to].
func addTexts(t *testing.T, j *journal.Journal, from, to int) {
	t.Helper()
	for _, text := range texts[from:to] {
		add(t, j, text)
	}
}

func TestAKilledProcessLeavesTheRecentBlocks(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncOS}
	j, _ := open(t, there, o)
	addTexts(t, j, 0, 5)
	if segment := disk.Bytes(there + "/" + newestOf(disk)); bytes.Contains(segment, []byte(texts[0])) || !bytes.Contains(disk.Bytes(recent), []byte(texts[4])) {
		t.Fatal("The segment has the blocks already, or the file recent has not.")
	}
	disk.Kill()
	var inspected []string
	report, err := journal.Inspect(there, disk, nil, func(_ journal.Position, record []byte) { inspected = append(inspected, string(record)) })
	if err != nil || fmt.Sprint(inspected) != fmt.Sprint(texts) || report.End != 6 || len(report.Damage) > 0 || report.Torn > 0 {
		t.Errorf("inspected: %q, %+v, %v, want the five texts", inspected, report, err)
	}
	if _, got := open(t, there, o); fmt.Sprint(got) != fmt.Sprint(texts) {
		t.Errorf("opened: %q, want the five texts", got)
	}
	if left := bytes.Trim(disk.Bytes(recent), "\x00"); len(left) > 0 {
		t.Errorf("%d bytes are left in the file recent after opening, want zeros", len(left))
	}
}

func TestRecentBlocksGoToTheSegmentWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := forgetful.New()
		j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncOS})
		addTexts(t, j, 0, 1)
		time.Sleep(time.Second - time.Nanosecond)
		addTexts(t, j, 1, 2)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		segment := disk.Bytes(there + "/" + newestOf(disk))
		if !bytes.Contains(segment, []byte(texts[0])) || !bytes.Contains(segment, []byte(texts[1])) {
			t.Error("After a second the segment has not got both blocks.")
		}
	})
}

// The bound leaves no room for another segment, so Open writes the last one in place.
func TestRecentBlocksAreThereAfterOpeningInPlace(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small, MaxBytes: 3*small + small/4, Policy: journal.SyncOS}
	j, _ := open(t, there, o)
	n := fill(t, j, false, make([]byte, 500))
	for range 6 { // into the reserve
		if p, err := j.Add(true, make([]byte, 20), nil, nil, nil); err != nil || j.Await(p) != nil {
			t.Fatal(err)
		}
	}
	end := j.Stats().End
	disk.Kill()
	j, _ = open(t, there, o)
	if s := j.Stats(); s.End != end || s.Bytes > o.MaxBytes {
		t.Errorf("the end is %d in %d bytes, want %d after %d records and at most %d bytes", s.End, s.Bytes, end, n, o.MaxBytes)
	}
	disk.Kill()
	if j, _ = open(t, there, o); j.Stats().End != end {
		t.Errorf("the end is %d after another opening, want %d", j.Stats().End, end)
	}
}

// A recent block says that the one before it was synced.
func TestDamageBeforeARecentBlockIsRefusedAndRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := forgetful.New()
		o := journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncInterval}
		j, _ := open(t, there, o)
		addTexts(t, j, 0, 3)
		time.Sleep(time.Second)
		synctest.Wait()
		addTexts(t, j, 3, 5)
		disk.Kill()
		j.Die()
		name := there + "/" + newestOf(disk)
		segment := disk.Bytes(name)
		segment[bytes.Index(segment, []byte(texts[2]))]++
		disk.Put(name, segment)
		_, err := journal.Open(there, o, nil, nil)
		if damage, ok := errors.AsType[*journal.DamagedError](err); !ok || damage.File != name || damage.First != 3 || damage.Records != 1 {
			t.Errorf("got %v, want position 3 of %s, one record", err, name)
		}
		report := repaired(t, "position 3", disk, o, texts)
		if len(report.Missing) != 1 || report.Missing[0] != (journal.Missing{First: 3, Records: 1}) || report.EndUnknown {
			t.Errorf("repaired: %+v, want position 3 missing", report)
		}
	})
}

// Opening cuts recent blocks after a torn one, and removes their file. A power cut brings that back.
func TestRecentBlocksThatWereCutDoNotComeBack(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small, MaxBytes: 3*small + small/4, Policy: journal.SyncOS}
	j, _ := open(t, there, o)
	fill(t, j, false, make([]byte, 500))
	note := func(text string) {
		t.Helper()
		if p, err := j.Add(true, []byte(text), nil, nil, nil); err != nil || j.Await(p) != nil {
			t.Fatal(err)
		}
	}
	note(strings.Repeat("large", small/20)) // too large for the file, so it is in the segment
	note("cut one")
	note("cut two")
	end := j.Stats().End
	disk.Kill()
	name := there + "/" + newestOf(disk)
	segment := disk.Bytes(name)
	segment[bytes.Index(segment, []byte("large"))]++
	disk.Put(name, segment)
	o.Policy = journal.SyncEach
	if j, _ = open(t, there, o); j.Stats().End != end-3 || disk.Bytes(recent) != nil {
		t.Fatalf("the end is %d, want %d without the file recent", j.Stats().End, end-3)
	}
	note("new one") // as many blocks as were before "cut one"
	disk.Restart(forgetful.SomePages, forgetful.NoNames, rand.New(rand.NewPCG(1, 1)))
	if j, _ = open(t, there, o); j.Stats().End != end-2 {
		t.Errorf("the end is %d, want %d", j.Stats().End, end-2)
	}
}

func TestWithoutAMappedFileEachBlockIsWritten(t *testing.T) {
	disk := forgetful.New()
	j, _ := open(t, there, journal.Options{Files: unmapped{disk}, SegmentBytes: small, Policy: journal.SyncOS})
	addTexts(t, j, 0, 1)
	if segment := disk.Bytes(there + "/" + newestOf(disk)); !bytes.Contains(segment, []byte(texts[0])) {
		t.Error("The segment has not got the block.")
	}
}

// unmapped is a system without mapped files.
type unmapped struct{ *forgetful.Disk }

func (unmapped) Map(string) (journal.File, error) { return nil, errors.ErrUnsupported }

func TestTheFileOfRecentBlocksIsRemovedWithSyncEach(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncOS}
	j, _ := open(t, there, o)
	addTexts(t, j, 0, 2)
	disk.Kill()
	o.Policy = journal.SyncEach
	j, got := open(t, there, o)
	if s := j.Stats(); len(got) != 2 || disk.Bytes(recent) != nil || s.Bytes != 3*small {
		t.Errorf("%d records, %d bytes, want 2 records in three segments and no file recent", len(got), s.Bytes)
	}
}
