package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
)

// unsyncedSegments returns a disk with a killed journal whose last segments are not synced, and its
// records, of which three fill a segment.
func unsyncedSegments(t *testing.T) (*forgetful.Disk, journal.Options, []string) {
	t.Helper()
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncOS}
	j, _ := open(t, there, o)
	var records []string
	for i := range 10 {
		records = append(records, fmt.Sprintf("record %d %0*d", i+1, 900, i))
		add(t, j, records[i])
	}
	disk.Kill()
	j.Die()
	return disk, o, records
}

// segmentWith returns the name and the bytes of the segment that has a text.
func segmentWith(t *testing.T, disk *forgetful.Disk, text string) (name string, content []byte) {
	t.Helper()
	names, _ := disk.List(there)
	for _, name := range names {
		if content := disk.Bytes(there + "/" + name); strings.HasSuffix(name, ".seg") && bytes.Contains(content, []byte(text)) {
			return there + "/" + name, content
		}
	}
	t.Fatalf("no segment has %.20q", text)
	return "", nil
}

func TestSyncOSSyncsNoSegmentOnTheWay(t *testing.T) {
	disk := forgetful.New()
	syncs := 0
	disk.Watch = func(op forgetful.Op, name string) {
		if op == forgetful.Sync && strings.HasSuffix(name, ".seg") {
			syncs++
		}
	}
	o := journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncOS}
	j, _ := open(t, there, o)
	for i := range 10 {
		add(t, j, fmt.Sprintf("record %d %0*d", i+1, 900, i))
	}
	if syncs != 0 {
		t.Errorf("%d segments were synced, want none", syncs)
	}
	if err := j.Close(); err != nil || syncs < 3 {
		t.Errorf("Close: %v, %d syncs, want all of them", err, syncs)
	}
}

// Two segments begin between the calls of Release, as with tables that others write.
func TestReleasedSegmentsGoWithoutSnapshots(t *testing.T) {
	for _, snapshot := range []func([]byte, journal.Position) []byte{nil, func(dst []byte, _ journal.Position) []byte { return dst }} {
		j, _ := open(t, there, journal.Options{Files: forgetful.New(), SegmentBytes: small, Policy: journal.SyncOS, Snapshot: snapshot})
		for i := range 300 {
			if p := add(t, j, strings.Repeat("r", 900)); i%18 == 17 {
				j.Release(p)
			}
		}
		if bytes := j.Stats().Bytes; bytes > 10*small {
			t.Errorf("snapshots: %v: the files have %d bytes, want at most %d", snapshot != nil, bytes, 10*small)
		}
	}
}

// A block of an unsynced segment is lost, and later segments are there. All later blocks are cut:
// others may be lost, too.
func TestSegmentsAfterATornOneAreCutOff(t *testing.T) {
	disk, o, records := unsyncedSegments(t)
	name, content := segmentWith(t, disk, records[4])
	content[bytes.Index(content, []byte(records[4]))]++
	disk.Put(name, content)
	report, err := journal.Inspect(there, disk, nil, nil)
	if err != nil || len(report.Damage) > 0 || report.End != 5 || report.Torn < 5*900 {
		t.Errorf("inspected: %+v, %v, want the end 5 and the rest torn", report, err)
	}
	j, got := open(t, there, o)
	if fmt.Sprint(got) != fmt.Sprint(records[:4]) {
		t.Errorf("%d records, want the first four", len(got))
	}
	if p := add(t, j, "another"); p != 5 {
		t.Errorf("position %d, want 5", p)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if _, got := open(t, there, o); len(got) != 5 || got[4] != "another" {
		t.Errorf("%d records, want the first four and another one", len(got))
	}
}

// A later segment says that the block was synced, so it is damage.
func TestDamageBeforeASegmentThatBeganLaterIsRefused(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncEach}
	j, _ := open(t, there, o)
	first := fmt.Sprintf("record 1 %0*d", 900, 1)
	add(t, j, first)
	disk.Kill()
	o.Policy = journal.SyncOS
	j, _ = open(t, there, o)
	for i := range 8 {
		add(t, j, fmt.Sprintf("record %d %0*d", i+2, 900, i))
	}
	disk.Kill()
	j.Die()
	name, content := segmentWith(t, disk, first)
	clear(content[bytes.Index(content, []byte(first)):]) // no block there is left
	disk.Put(name, content)
	_, err := journal.Open(there, o, nil, nil)
	if damage, ok := errors.AsType[*journal.DamagedError](err); !ok || damage.File != name || damage.First != 1 {
		t.Errorf("got %v, want position 1 of %s", err, name)
	}
}
