package judge

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-eventhubs/eventhubs/torture/record"
)

const idempotent = record.Idempotent

// A Verdict is what a judge has to say about a run.
type Verdict struct {
	Totals     Totals
	Wrong      map[string]uint64
	Examples   []string
	Late       []string // examples of Totals.Late
	Duplicates Duplicates
	Kills      Kills
	Recoveries map[string]Recovery // by kind of fault
	Codes      map[string]uint64   // events that were not reported stored, by the producer's word for the reason
	Growths    []Growth            // of the producers and emulators that lived for a minute
}

// RecordSuffix ends the name of a life's record; before it is the number of the life.
const RecordSuffix = ".record"

// EmulatorProducer is the number by which an emulator records what it uses.
const EmulatorProducer = 255

// Decide reads all records of a directory, and compares them with the ledger. Nothing may be added
// to the ledger any more.
func (l *Ledger) Decide(directory string, faults []Fault) (*Verdict, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	paths, err := filepath.Glob(filepath.Join(directory, "*"+RecordSuffix))
	if err != nil {
		return nil, err
	}
	producers := make(map[string]int, len(paths))
	for _, path := range paths {
		producers[path] = producerOf(path)
	}
	slices.SortFunc(paths, func(a, b string) int {
		if c := producers[a] - producers[b]; c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	v := &Verdict{Codes: make(map[string]uint64)}
	s := newSweep(faults)
	accounts := make(map[*life]*account)
	of, g := -1, newGroup()
	for _, path := range paths {
		if producers[path] != of {
			g.close()
			of, g = producers[path], newGroup()
		}
		a, err := l.settleFile(path, v, s, g)
		if err != nil {
			l.findings.add(WrongRecord, "%s: %v", filepath.Base(path), err)
		}
		if a == nil {
			continue
		}
		name := fmt.Sprintf("producer %d, life %d", a.life.id.Producer, a.life.id.Life)
		if a.life.id.Producer == EmulatorProducer {
			name = fmt.Sprintf("emulator, life %d", a.life.id.Life)
		}
		if g, ok := fit(name, a.samples); ok {
			v.Growths = append(v.Growths, g)
			if g.grows() {
				l.findings.add(WrongGrowth, "%v", &g)
			}
		}
		accounts[a.life] = a
		a.samples = nil
		if a.group == nil {
			a.forget()
		}
		v.Totals.Lives++
	}
	g.close()
	for id, life := range l.lives {
		if accounts[life] == nil && life.stored.end() > 0 {
			l.findings.add(WrongInvented, "life %d has no record", id)
		}
	}
	v.Duplicates = l.attribute(faults, accounts)
	v.Totals.Read, v.Totals.Again = l.read, l.again
	v.Recoveries = s.recoveries()
	v.Late = l.findings.late
	v.Wrong, v.Examples = maps.Clone(l.findings.Counts), l.findings.Examples
	return v, nil
}

func (l *Ledger) settleFile(path string, v *Verdict, s *sweep, g *group) (*account, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return l.settle(file, v, s, g)
}

// producerOf is the producer of a record; -1 if it does not say.
func producerOf(path string) int {
	file, err := os.Open(path)
	if err != nil {
		return -1
	}
	defer func() { _ = file.Close() }()
	var e record.Entry
	if err := record.NewReader(io.LimitReader(file, 1<<10)).Next(&e); err != nil {
		return -1
	}
	return int(e.ID.Producer)
}
