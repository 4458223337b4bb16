package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
)

// A random journal lives several times, within bounds, on a disk that fails. Each life ends by
// Close, a kill or a power cut; opening may be cut, too.
func TestRandomLivesLoseNothingThatWasKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // what is due after a time comes when a step sleeps
		for seed := range uint64(max(150, *rounds)) {
			if err := lives(seed); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	})
}

func lives(seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 2))
	disk := forgetful.New()
	o := journal.Options{Policy: journal.Policy(random.IntN(3)), SegmentBytes: 4 << 10 << random.IntN(2)}
	if random.IntN(2) == 0 {
		o.MaxBytes = o.SegmentBytes * int64(3+random.IntN(3))
	}
	if random.IntN(3) == 0 {
		disk.SetSize(o.SegmentBytes*int64(4+random.IntN(3)) + 1000)
	}
	g := newJudge(disk, o, seed)
	least := journal.Position(1)
	for life := range 6 {
		if random.IntN(3) == 0 {
			disk.CutAt(random.IntN(60))
		}
		if least < g.released {
			least = 1
		}
		err := g.open(least)
		for err != nil && (disk.Off() || life == 0 && errors.Is(err, syscall.ENOSPC)) {
			disk.Restart(forgetful.Pages(random.IntN(4)), forgetful.Names(random.IntN(3)), random)
			disk.SetSize(0)
			err = g.open(min(least, g.least()))
		}
		if err != nil {
			return fmt.Errorf("open %d: %w", life, err)
		}
		bound := max(o.MaxBytes, g.j.Stats().Bytes)
		var fault forgetful.Fault
		if random.IntN(2) == 0 {
			fault = forgetful.Fault{
				Op: forgetful.Op(random.IntN(int(forgetful.List) + 1)), After: random.IntN(40), Times: random.IntN(3), Err: syscall.EIO, Short: random.IntN(2) == 0,
			}
			disk.Fail(fault)
		}
		for range 30 + random.IntN(200) {
			if err = g.step(); err != nil {
				break
			}
			if s := g.j.Stats(); o.MaxBytes > 0 && s.Bytes > bound {
				return fmt.Errorf("%d bytes are allocated, the bound is %d", s.Bytes, bound)
			}
		}
		if err != nil && !disk.Off() && !(fault.Err != nil && (failedError(err) || errors.Is(err, fault.Err))) {
			return fmt.Errorf("life %d: %w", life, err)
		}
		least = g.kept
		switch {
		case disk.Off() || random.IntN(3) == 0:
			disk.Restart(forgetful.Pages(random.IntN(4)), forgetful.Names(random.IntN(3)), random)
			least = g.least()
		case random.IntN(2) == 0:
			disk.Kill()
		default:
			disk.Mend()
			if g.j.Close() == nil {
				least = journal.Position(len(g.records) + 1)
			}
			disk.Kill()
		}
		disk.Mend()
	}
	return nil
}
