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

// An end is how the process ends after a fault.
type end int

const (
	endClose end = iota
	endKill
	endCut  // and no page
	endSome // and some pages
)

// faulty runs a fixed program in which operations fail, ends it, opens again and goes on. Met says
// that the fault was met.
func faulty(policy journal.Policy, fault forgetful.Fault, how end) (met, failed bool, err error) {
	disk := forgetful.New()
	g := newJudge(disk, journal.Options{Policy: policy, SegmentBytes: 4 << 10}, 9)
	cuts := rand.New(rand.NewPCG(uint64(fault.After), uint64(how)))
	if err := g.open(1); err != nil {
		return false, false, err
	}
	disk.Fail(fault)
	for range crashSteps {
		if err = g.step(); err != nil {
			break
		}
	}
	met = disk.Met() > 0
	_, failed = errors.AsType[*journal.FailedError](err)
	if err != nil && !(met && (failed || errors.Is(err, fault.Err))) {
		return met, failed, err
	}
	if disk.Mend(); failed {
		if g.j.Stats().Failed == nil {
			return met, failed, errors.New("judge: Stats do not say that the journal failed")
		}
		if _, err := g.j.Add(true, nil, nil, nil, nil); !failedError(err) {
			return met, failed, fmt.Errorf("judge: Add of a failed journal: %w", err)
		}
		s := g.j.Stats()
		if err := g.readAll(s.First, s.End); err != nil {
			return met, failed, fmt.Errorf("judge: readers of a failed journal: %w", err)
		}
	}
	least := g.kept
	switch how {
	case endClose:
		if err := g.j.Close(); (err != nil) != failed {
			return met, failed, fmt.Errorf("judge: Close: %w", err)
		}
		if !failed {
			least = journal.Position(len(g.records) + 1)
		}
		disk.Kill()
	case endKill:
		disk.Kill()
	case endCut:
		disk.Restart(forgetful.NoPages, forgetful.NoNames, cuts)
		least = g.least()
	case endSome:
		disk.Restart(forgetful.SomePages, forgetful.SomeNames, cuts)
		least = g.least()
	}
	if least < g.released {
		least = 1
	}
	if err := g.open(least); err != nil {
		return met, failed, fmt.Errorf("open: %w", err)
	}
	if err := g.run(20); err != nil {
		return met, failed, fmt.Errorf("after opening: %w", err)
	}
	least = g.least()
	disk.Restart(forgetful.NoPages, forgetful.NoNames, cuts)
	if err := g.open(max(1, least)); err != nil {
		return met, failed, fmt.Errorf("the last open: %w", err)
	}
	return met, failed, nil
}

func failedError(err error) bool {
	_, ok := errors.AsType[*journal.FailedError](err)
	return ok
}

// Each operation of a program fails, once or from then on. Records that were kept are there
// afterwards, however the process ends.
func TestAFaultAtAnyOperationLosesNothingThatWasKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // what is due after a time comes when a step sleeps
		short := []forgetful.Fault{{Op: forgetful.Write, Err: syscall.ENOSPC, Short: true}, {Op: forgetful.Write, Err: syscall.EIO, Short: true}}
		for op := forgetful.Create; op <= forgetful.List; op++ {
			short = append(short, forgetful.Fault{Op: op, Err: syscall.EIO})
		}
		for _, policy := range []journal.Policy{journal.SyncEach, journal.SyncOS} {
			for _, fault := range short {
				for _, fault.Times = range []int{1, 0} {
					for after, met := 0, true; met; after += stride {
						fault.After, met = after, false
						for how := endClose; how <= endSome; how++ {
							m, failed, err := faulty(policy, fault, how)
							if err != nil {
								t.Fatalf("policy %d, fault %+v, end %d: %v", policy, fault, how, err)
							}
							met = met || m
							if rescued := fault.Op == forgetful.Write || fault.Op == forgetful.Sync; failed && rescued && fault.Times == 1 && policy == journal.SyncEach {
								t.Fatalf("fault %+v: the journal failed, though the spare segment can take the block", fault)
							}
						}
					}
				}
			}
		}
	})
}
