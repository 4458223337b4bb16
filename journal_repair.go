package eventhubs

import (
	"errors"
	"slices"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// A gap is positions whose records are lost. Only a repair makes one.
type gap = journal.Missing

// repairJournal sets aside what is damaged in a directory, and notes which records are lost. It
// also notes that each partition needs a new producer: the numbers of events after a lost one do
// not fit.
func repairJournal(directory string) (journal.RepairReport, error) {
	repaired, err := journal.Repair(directory, nil)
	if err != nil || len(repaired.Missing) == 0 && !repaired.SnapshotLost && !repaired.EndUnknown {
		return repaired, err
	}
	found, err := journal.Inspect(directory, nil, nil, nil)
	if err != nil {
		return repaired, err
	}
	l := newLedger()
	log, err := journal.Open(directory, journal.Options{Owner: found.Owner, AllowRemote: true, Snapshot: l.snapshot}, l.restore, l.replay)
	if err != nil {
		return repaired, err
	}
	return repaired, errors.Join(l.noteRepair(log, repaired.Missing), log.Close())
}

func (l *ledger) noteRepair(log *journal.Journal, missing []gap) error {
	for _, g := range missing {
		l.addGap(g)
		if err := l.keep(log, appendGap([]byte{recordGap}, g)); err != nil {
			return err
		}
	}
	for _, n := range l.lanes {
		n.producer, n.number = ProducerID{}, 0
		if err := l.keep(log, appendLane([]byte{recordLane}, n)); err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) keep(log *journal.Journal, record []byte) error {
	p, err := log.Add(true, record, nil, nil, l.noted)
	if err != nil {
		return err
	}
	return log.Await(p)
}

// addGap adds a gap, once.
func (l *ledger) addGap(g gap) {
	if !slices.Contains(l.gaps, g) {
		l.gaps = append(l.gaps, g)
	}
}
