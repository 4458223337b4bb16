package journal_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
)

var rounds = flag.Int("journal.rounds", 0, "random runs with crashes, faults and full disks, beyond the usual ones")

const there = "/data/journal"

// A judge knows what was added, awaited and released, in all lives. It compares every byte.
type judge struct {
	disk     *forgetful.Disk
	o        journal.Options
	j        *journal.Journal
	records  []string         // of position 1 and later
	hashes   []uint64         // of all records before a position: hashes[0] is of none
	kept     journal.Position // the first position that may be lost at a kill
	synced   journal.Position // the first that was not there at the last opening
	released journal.Position
	random   *rand.Rand
	life     int
}

func newJudge(disk *forgetful.Disk, o journal.Options, seed uint64) *judge {
	g := &judge{disk: disk, o: o, kept: 1, synced: 1, released: 1, hashes: []uint64{0}, random: rand.New(rand.NewPCG(seed, 1))}
	g.o.Files, g.o.Owner = disk, "namespace/hub"
	g.o.Snapshot = func(dst []byte, before journal.Position) []byte {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(before))
		dst = binary.LittleEndian.AppendUint64(dst, g.hashes[before-1])
		return binary.LittleEndian.AppendUint64(dst, uint64(g.released))
	}
	return g
}

// added notes a record that the journal took.
func (g *judge) added(p journal.Position, record string) {
	if int(p) != len(g.records)+1 {
		panic(fmt.Sprintf("position %d was given, want %d", p, len(g.records)+1))
	}
	h := fnv.New64a()
	fmt.Fprint(h, g.hashes[len(g.hashes)-1], record)
	g.records, g.hashes = append(g.records, record), append(g.hashes, h.Sum64())
}

// open opens the journal and judges what it restores and replays. Least says how far the records
// must be there.
func (g *judge) open(least journal.Position) error {
	g.life++
	if g.j != nil {
		g.j.Die()
	}
	next, restored := journal.Position(1), journal.Position(1)
	j, err := journal.Open(there, g.o, func(snapshot []byte) error {
		if snapshot == nil {
			return nil
		}
		if len(snapshot) != 24 {
			return fmt.Errorf("judge: a snapshot of %d bytes", len(snapshot))
		}
		next = journal.Position(binary.LittleEndian.Uint64(snapshot))
		if got := binary.LittleEndian.Uint64(snapshot[8:]); got != g.hashes[next-1] {
			return fmt.Errorf("judge: the snapshot before %d has another state", next)
		}
		restored = journal.Position(binary.LittleEndian.Uint64(snapshot[16:]))
		return nil
	}, func(p journal.Position, record []byte) error {
		if p != next {
			return fmt.Errorf("judge: position %d was replayed, want %d", p, next)
		}
		next++
		if text, is := strings.CutPrefix(string(record), releaseNote); is {
			n, _ := strconv.ParseUint(text, 10, 64)
			restored = max(restored, journal.Position(n))
		}
		return g.check(p, record)
	})
	if err != nil {
		return err
	}
	g.j = j
	end, _ := j.Committed()
	if end < least || next != end {
		return fmt.Errorf("judge: the end is %d after replaying up to %d, want at least %d", end, next, least)
	}
	if int(end) > len(g.records)+1 {
		return fmt.Errorf("judge: the end is %d, %d were added", end, len(g.records))
	}
	g.records, g.hashes = g.records[:end-1], g.hashes[:end]
	g.kept, g.synced = end, end
	if first := j.Stats().First; first > restored {
		return fmt.Errorf("judge: the first record is %d, the journal knows only that those before %d were released", first, restored)
	}
	g.released = max(1, restored)
	return g.readAll(j.Stats().First, end)
}

func (g *judge) check(p journal.Position, record []byte) error {
	if int(p) > len(g.records) || g.records[p-1] != string(record) {
		return fmt.Errorf("judge: position %d has %.40q, which was not added there", p, record)
	}
	return nil
}

func (g *judge) readAll(from, end journal.Position) error {
	r := g.j.Reader(from)
	defer r.Close()
	for next := from; ; next++ {
		p, record, ok, err := r.Next()
		if err != nil {
			return err
		}
		if !ok && next != end || ok && p != next {
			return fmt.Errorf("judge: read position %d (%v), want %d of %d", p, ok, next, end)
		}
		if !ok {
			return nil
		}
		if err := g.check(p, record); err != nil {
			return err
		}
	}
}

// step does one thing of a random program.
func (g *judge) step() error {
	switch dice := g.random.IntN(20); {
	case dice < 10:
		size := g.random.IntN(60)
		if dice == 0 {
			size = g.random.IntN(1800)
		}
		note := dice < 3
		record := fmt.Sprintf("%d.%d %0*d", g.life, len(g.records)+1, size, 0)
		placed := false
		p, err := g.j.Add(note, []byte(record[:2]), nil, []byte(record[2:]), func(p journal.Position) {
			placed = true
			g.added(p, record)
		})
		if placed != (err == nil) || err == nil && int(p) != len(g.records) {
			return fmt.Errorf("judge: Add returned %d, %v; placed: %v", p, err, placed)
		}
		if errors.Is(err, journal.ErrFull) {
			return g.release(journal.Position(len(g.records) + 1))
		}
		return err
	case dice < 16:
		p := journal.Position(len(g.records))
		if err := g.j.Await(p); err != nil {
			return err
		}
		g.kept = max(g.kept, p+1)
		if end, _ := g.j.Committed(); end < g.kept {
			return fmt.Errorf("judge: readers see up to %d, %d was awaited", end, p)
		}
		return nil
	case dice == 16 && g.random.IntN(4) == 0:
		time.Sleep(2 * time.Second) // what is due comes
		return nil
	case dice < 18:
		if n := journal.Position(len(g.records)) - g.released; len(g.records) > 0 && n > 0 {
			return g.release(g.released + journal.Position(g.random.Uint64N(uint64(n))))
		}
		return nil
	default:
		s := g.j.Stats()
		return g.readAll(s.First, s.End)
	}
}

// releaseNote begins the note of a release. As a producer does, the judge adds it, awaits it, and
// releases then: the next life must know why earlier records are gone.
const releaseNote = "released "

func (g *judge) release(before journal.Position) error {
	record := releaseNote + strconv.FormatUint(uint64(before), 10)
	p, err := g.j.Add(true, []byte(record), nil, nil, func(p journal.Position) { g.added(p, record) })
	if errors.Is(err, journal.ErrFull) {
		return nil
	}
	if err == nil {
		err = g.j.Await(p)
	}
	if err != nil {
		return err
	}
	g.kept = max(g.kept, p+1)
	g.released = max(g.released, before)
	g.j.Release(before)
	return nil
}

// run does steps until the power goes. Any other error is the journal's fault.
func (g *judge) run(steps int) error {
	for range steps {
		if err := g.step(); err != nil {
			if g.disk.Off() {
				return nil
			}
			return err
		}
	}
	return nil
}

// least returns how far records must be there after the power went.
func (g *judge) least() journal.Position {
	if g.o.Policy == journal.SyncEach {
		return g.kept
	}
	return g.synced
}

func (g *judge) recover() error {
	least := g.least()
	if least < g.released {
		least = 1 // what was released may be gone
	}
	return g.open(least)
}

const (
	crashSteps = 420
	killed     = forgetful.SomeNames + 1 // the process ends first, the power only at the second cut
)

// crash runs a fixed program, cuts the power at an operation, opens again with a second cut during
// the recovery, and goes on.
func crash(policy journal.Policy, at, again int, pages forgetful.Pages, names forgetful.Names) (done bool, err error) {
	disk := forgetful.New()
	g := newJudge(disk, journal.Options{Policy: policy, SegmentBytes: 4 << 10}, 7)
	cuts := rand.New(rand.NewPCG(uint64(at), uint64(again)))
	disk.CutAt(at)
	if err := g.open(1); err != nil && !disk.Off() {
		return false, err
	} else if err == nil {
		if err := g.run(crashSteps); err != nil {
			return false, err
		}
	}
	if !disk.Off() {
		return true, nil
	}
	if names == killed {
		disk.Kill()
		names = forgetful.NoNames
	} else {
		disk.Restart(pages, names, cuts)
	}
	if again >= 0 {
		disk.CutAt(again)
	}
	err = g.recover()
	if err != nil && disk.Off() {
		disk.Restart(pages, names, cuts)
		err = g.recover()
	}
	if err != nil {
		return false, fmt.Errorf("open: %w", err)
	}
	if err := g.run(20); err != nil {
		return false, fmt.Errorf("after opening: %w", err)
	}
	if err := g.j.Close(); err != nil && !disk.Off() {
		return false, err
	}
	least := journal.Position(len(g.records) + 1)
	if disk.Off() {
		least = g.least()
	}
	disk.Restart(forgetful.NoPages, forgetful.NoNames, cuts)
	if err := g.open(least); err != nil {
		return false, fmt.Errorf("the last open: %w", err)
	}
	return false, nil
}

// Every operation of the program that changes the disk is the last one before a power cut.
func TestAPowerCutAtAnyOperationLosesNothingThatWasKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // what is due after a time comes when a step sleeps
		for _, policy := range []journal.Policy{journal.SyncEach, journal.SyncOS} {
			operations := 0
			for at, done := 0, false; !done; at += stride {
				for pages := forgetful.NoPages; pages <= forgetful.TornPages; pages++ {
					for names := forgetful.NoNames; names <= killed; names++ {
						again := (at*7+int(pages)*3+int(names))%18 - 2 // of all operations of the recovery, by turns
						var err error
						if done, err = crash(policy, at, again, pages, names); err != nil {
							t.Fatalf("policy %d, cut at %d and %d, pages %d, names %d: %v", policy, at, again, pages, names, err)
						}
					}
				}
				operations = at
			}
			if operations < 150 {
				t.Errorf("The program has %d operations, want at least 150.", operations)
			}
			t.Logf("policy %d: %d operations", policy, operations)
		}
	})
}
