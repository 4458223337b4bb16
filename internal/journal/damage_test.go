package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
)

// written returns a disk with a closed journal of a few segments, and its records.
func written(t *testing.T, snapshots bool) (*forgetful.Disk, journal.Options, []string) {
	t.Helper()
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: 4 << 10, Owner: "o"}
	if snapshots {
		o.Snapshot = func(dst []byte, before journal.Position) []byte { return fmt.Appendf(dst, "state before %d", before) }
	}
	j, _ := open(t, there, o)
	var records []string
	for i := range 40 {
		records = append(records, fmt.Sprintf("record %d %0*d", i+1, 37*i%400, i))
		add(t, j, records[i])
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if n := j.Stats(); n.First != 1 {
		t.Fatalf("the first record is %d, want 1", n.First)
	}
	return disk, o, records
}

// readable opens a journal and reads it to its end, or to what it refuses.
func readable(disk *forgetful.Disk, o journal.Options, records []string) (read int, end journal.Position, err error) {
	o.Files = disk
	return readableIn(disk, o, records)
}

// readableIn is readable with files that may be more than the disk.
func readableIn(disk *forgetful.Disk, o journal.Options, records []string) (read int, end journal.Position, err error) {
	check := func(p journal.Position, record []byte) error {
		if int(p) > len(records) || records[p-1] != string(record) {
			return fmt.Errorf("judge: position %d has %.40q", p, record)
		}
		return nil
	}
	j, err := journal.Open(there, o, func(snapshot []byte) error {
		before := 1
		if _, err := fmt.Sscanf(string(snapshot), "state before %d", &before); snapshot != nil && err != nil {
			return fmt.Errorf("judge: the snapshot is %q", snapshot)
		}
		return nil
	}, check)
	if err != nil {
		return 0, 0, err
	}
	defer disk.Kill()
	r := j.Reader(1)
	defer r.Close()
	for last := journal.Position(0); ; read++ {
		p, record, ok, err := r.Next()
		if err != nil || !ok {
			end, _ = j.Committed()
			return read, end, err
		}
		if p <= last {
			return read, 0, fmt.Errorf("judge: position %d came after %d", p, last)
		}
		if last = p; check(p, record) != nil {
			return read, 0, check(p, record)
		}
	}
}

// Every byte of a closed journal is changed, one at a time. The journal opens with all records, or
// is refused, or a reader names the damage. Repair then reports every record that is not read.
func TestAChangedByteIsFoundAndRepaired(t *testing.T) {
	for _, snapshots := range []bool{true, false} {
		disk, o, records := written(t, snapshots)
		names, _ := disk.List(there)
		right, refused, met := 0, 0, 0
		for _, name := range names {
			if name == "lock" || strings.HasSuffix(name, ".free") {
				continue
			}
			path := there + "/" + name
			bytes := disk.Bytes(path)
			for i := 0; i < len(bytes); i += stride {
				what := fmt.Sprintf("byte %d of %s, snapshots: %v", i, name, snapshots)
				changed := disk.Clone()
				other := disk.Bytes(path)
				other[i] ^= 1 << (i % 8)
				changed.Put(path, other)
				n, end, err := readable(changed.Clone(), o, records)
				if err == nil {
					if right++; n != len(records) || int(end) != len(records)+1 {
						t.Fatalf("%s: %d records of %d were read up to %d, and nothing was said", what, n, len(records), end)
					}
					continue
				}
				if strings.Contains(err.Error(), "judge") {
					t.Fatalf("%s: %v", what, err)
				}
				if refused++; n > 0 {
					met++
				}
				damage, damaged := errors.AsType[*journal.DamagedError](err)
				if !damaged {
					continue // of another owner, or a newer format
				}
				if damage.File == "" || damage.Records > uint64(len(records)) {
					t.Fatalf("%s: %v", what, err)
				}
				repaired(t, what, changed, o, records)
			}
		}
		if right < 1000/stride || refused < 1000/stride || snapshots && met < 1000/stride {
			t.Errorf("%d changes did not matter, %d were refused, %d of them by a reader: want more of each", right, refused, met)
		}
	}
}

// Two bytes are changed, in any segments. Repair reports every record that is not read.
func TestTwoChangedBytesAreRepaired(t *testing.T) {
	for _, snapshots := range []bool{true, false} {
		disk, o, records := written(t, snapshots)
		names, _ := disk.List(there)
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".seg") })
		for i, name := range names { // the head and the first record
			changed, path := disk.Clone(), there+"/"+name
			text := changed.Bytes(path)
			text[50] ^= 1
			text[bytes.Index(text, []byte("record "))] ^= 1
			changed.Put(path, text)
			if found, err := journal.Inspect(there, changed, nil, nil); err != nil || len(found.Damage) == 0 || found.Damage[0].File != path ||
				slices.ContainsFunc(found.Damage[1:], func(d *journal.DamagedError) bool { return d.File == path }) {
				t.Errorf("%s: Inspect found %v, %v, want the file once", name, found.Damage, err)
			}
			if i == 1 { // of the oldest one, whose first position nothing else says
				changed.Put(there+"/"+names[0], nil)
			}
			if report := repaired(t, name, changed, o, records); slices.Contains(report.Missing, journal.Missing{}) != (i == 1) {
				t.Errorf("%s: %+v, want an unknown number of records only before the oldest", name, report)
			}
		}
		random := rand.New(rand.NewPCG(1, 1))
		for range 500 {
			changed, what := disk.Clone(), fmt.Sprintf("snapshots: %v", snapshots)
			for range 2 {
				path := there + "/" + names[random.IntN(len(names))]
				text := changed.Bytes(path)
				at := random.IntN(len(text))
				if random.IntN(3) == 0 {
					at = 12 + random.IntN(88) // in the head, after the version
				} else if at >= 8 && at < 12 {
					at = 7 // another version is no damage
				}
				text[at] ^= 1 << random.IntN(8)
				changed.Put(path, text)
				what += fmt.Sprintf(", byte %d of %s", at, path)
			}
			_, _, err := readable(changed.Clone(), o, records)
			if _, damaged := errors.AsType[*journal.DamagedError](err); damaged {
				repaired(t, what, changed, o, records)
			}
		}
	}
}

// The first 2 MiB of a segment are gone: more than a head can have.
func TestALargeHoleAtTheBeginOfASegmentIsRepaired(t *testing.T) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: 8 << 20}
	j, _ := open(t, there, o)
	var records []string
	for i := range 40 {
		records = append(records, fmt.Sprintf("%0*d", 500<<10, i))
		add(t, j, records[i])
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := disk.List(there)
	for _, name := range names {
		if strings.HasSuffix(name, ".seg") {
			changed := disk.Clone()
			text := changed.Bytes(there + "/" + name)
			clear(text[:2<<20])
			changed.Put(there+"/"+name, text)
			t.Logf("%s %+v", name, repaired(t, name, changed, o, records))
		}
	}
}

// The journal writes more than Inspect has read ahead, while Inspect's user takes its time.
func TestInspectBesideAWriterTakesNoNewBlockForDamage(t *testing.T) {
	disk := forgetful.New()
	j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: 2 << 20})
	for range 10 {
		add(t, j, "record")
	}
	seen := 0
	found, err := journal.Inspect(there, disk, nil, func(p journal.Position, _ []byte) {
		if seen++; p == 5 {
			for range 20 {
				add(t, j, string(make([]byte, 50_000)))
			}
		}
	})
	if err != nil || len(found.Damage) > 0 || seen < 10 || int(found.Records) != seen {
		t.Errorf("%d records were seen, Inspect found %+v, %v, want at least 10 and no damage", seen, found, err)
	}
}

// The process uses a free file between the listing and a look at the file.
func TestInspectBesideAWriterMissesAFreeFile(t *testing.T) {
	disk, _, records := written(t, false)
	disk.Fail(forgetful.Fault{Op: forgetful.Open, Name: "*.free", Times: 1, Err: fs.ErrNotExist})
	if found, err := journal.Inspect(there, disk, nil, nil); err != nil || disk.Met() != 1 || int(found.Records) != len(records) {
		t.Errorf("Inspect found %+v, %v, want %d records", found, err, len(records))
	}
}

// The process uses the oldest segment again, while Inspect reads its head.
func TestInspectBesideAWriterTakesNoReleasedSegmentForDamage(t *testing.T) {
	disk := forgetful.New()
	j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: small})
	for range 100 {
		add(t, j, string(make([]byte, 500)))
	}
	oldest, done := "", false
	names, _ := disk.List(there)
	for _, name := range names {
		if oldest == "" && strings.HasSuffix(name, ".seg") {
			oldest = there + "/" + name
		}
	}
	found, err := journal.Inspect(there, reads{disk, func(name string, _, _ int64) error {
		if name == oldest && !done {
			done = true
			j.Release(101)
			for range 100 {
				add(t, j, string(make([]byte, 500)))
			}
		}
		return nil
	}}, nil, nil)
	if err != nil || !done || len(found.Damage) > 0 {
		t.Errorf("released: %v; Inspect found %+v, %v, want no damage", done, found, err)
	}
}

// The disk cannot read a page of a segment. Repair reports every record that is not read.
func TestAPageThatCannotBeReadIsRepaired(t *testing.T) {
	for _, policy := range []journal.Policy{journal.SyncEach, journal.SyncOS} {
		repairPages(t, policy)
	}
}

func repairPages(t *testing.T, policy journal.Policy) {
	disk := forgetful.New()
	o := journal.Options{Files: disk, SegmentBytes: 32 << 10, Owner: "o", Policy: policy}
	j, _ := open(t, there, o)
	var records []string
	for i := range 150 {
		records = append(records, fmt.Sprintf("%0*d", 37*i%1400, i))
		add(t, j, records[i])
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := disk.List(there)
	repairs, opened := 0, 0
	for _, name := range names {
		path := there + "/" + name
		for at := 0; strings.HasSuffix(name, ".seg") && at < int(o.SegmentBytes); at += page {
			what := fmt.Sprintf("policy %d, page at byte %d of %s", policy, at, name)
			changed := disk.Clone()
			text := changed.Bytes(path)
			text[at+page-1] |= 1 // not all zeros: a page that Repair writes has other bytes, and can be read
			changed.Put(path, text)
			o := o
			o.Files = reads{changed, func(file string, from, _ int64) error {
				if now := changed.Bytes(path); file == path && int(from)/page == at/page && bytes.Equal(now[at:at+page], text[at:at+page]) {
					return syscall.EIO
				}
				return nil
			}}
			if found, err := journal.Inspect(there, o.Files, nil, nil); err != nil {
				t.Fatalf("%s: Inspect found %+v, %v, want no error", what, found, err)
			}
			report, err := journal.Repair(there, o.Files)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			missing, unknown := 0, report.EndUnknown
			for _, m := range report.Missing {
				missing += int(m.Records)
				unknown = unknown || m.Records == 0
			}
			if len(report.SetAside) > 0 {
				repairs++
			}
			if missing > 20 {
				t.Errorf("%s: %+v, want no more records missing than the page had", what, report)
			}
			n, end, err := readableIn(changed, o, records)
			if opened++; err != nil || !unknown && (n+missing != len(records) || int(end) != len(records)+1) {
				t.Errorf("%s: %d records up to %d were read, %d reported missing, %v, want %d together", what, n, end, missing, err, len(records))
			}
		}
	}
	if opened < 40 || repairs < 25 || repairs == opened {
		t.Errorf("%d of %d pages were repaired, want 25 of 40 or more, and not all", repairs, opened)
	}
}

// repaired repairs a damaged journal and reads all that is left.
func repaired(t *testing.T, what string, disk *forgetful.Disk, o journal.Options, records []string) journal.RepairReport {
	t.Helper()
	report, err := journal.Repair(there, disk)
	if err != nil {
		t.Fatalf("%s: repair: %v", what, err)
	}
	missing, oldest := 0, false
	for _, m := range report.Missing {
		oldest = oldest || m.Records == 0
		missing += int(m.Records)
	}
	seen := 0
	inspected, err := journal.Inspect(there, disk, nil, func(journal.Position, []byte) { seen++ })
	if err != nil || len(inspected.Damage) > 0 {
		t.Fatalf("%s: after the repair: %+v, %v", what, inspected, err)
	}
	n, end, err := readable(disk, o, records)
	if err != nil {
		t.Fatalf("%s: after the repair: %v", what, err)
	}
	if n != seen || uint64(n) != inspected.Records || end != inspected.End {
		t.Fatalf("%s: %d records up to %d were read, Inspect has %d and says %d up to %d", what, n, end, seen, inspected.Records, inspected.End)
	}
	if !report.EndUnknown && !oldest && (n+missing != len(records) || int(end) != len(records)+1) {
		t.Fatalf("%s: %d records up to %d were read and %d reported missing, want %d together", what, n, end, missing, len(records))
	}
	if len(report.SetAside) == 0 && missing > 0 {
		t.Fatalf("%s: nothing was set aside: %+v", what, report)
	}
	for _, copied := range report.SetAside {
		if !strings.HasSuffix(copied, ".1") {
			t.Fatalf("%s: a file was set aside twice: %+v", what, report)
		}
	}
	return report
}

func TestAMissingSegmentIsRefusedAndRepaired(t *testing.T) {
	disk, o, records := written(t, true)
	names, _ := disk.List(there)
	segments := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".seg") {
			continue
		}
		changed := disk.Clone()
		changed.Put(there+"/"+name, nil)
		n, _, err := readable(changed.Clone(), o, records)
		if segments++; segments == 1 {
			if err != nil || n == len(records) {
				t.Errorf("without the oldest segment: %d records, %v", n, err) // it may have been released
			}
			continue
		}
		damage, ok := errors.AsType[*journal.DamagedError](err)
		if name == newest(names) {
			if n == len(records) { // the newest one: nothing says that it was there
				t.Errorf("without %s all was read", name)
			}
			continue
		}
		if !ok || !strings.HasSuffix(damage.File, name) {
			t.Fatalf("without %s: %v, want a DamagedError that names it", name, err)
		}
		report, err := journal.Repair(there, changed)
		if err != nil || len(report.Missing) != 1 {
			t.Fatalf("without %s: repair: %+v, %v", name, report, err)
		}
		n, end, err := readable(changed, o, records)
		if err != nil || n+int(report.Missing[0].Records) != len(records) || int(end) != len(records)+1 {
			t.Fatalf("without %s: %d records up to %d after %+v, %v", name, n, end, report, err)
		}
	}
	if segments < 4 {
		t.Errorf("%d segments, want at least 4", segments)
	}
}

func TestASegmentOfAnotherPlaceIsRefused(t *testing.T) {
	disk, o, records := written(t, true)
	another, _, _ := written(t, true)
	names, _ := disk.List(there)
	last := there + "/" + newest(names)
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".seg") })
	for want, text := range map[string][]byte{
		"belongs to the journal":      another.Bytes(last),
		"the head is that of segment": disk.Bytes(there + "/" + names[1]),
	} {
		changed := disk.Clone()
		changed.Put(last, text)
		_, _, err := readable(changed, o, records)
		if damage, ok := errors.AsType[*journal.DamagedError](err); !ok || damage.File != last || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a DamagedError of %s: %s", err, last, want)
		}
	}
}

func newest(names []string) (last string) {
	for _, name := range names {
		if strings.HasSuffix(name, ".seg") {
			last = name
		}
	}
	return last
}
