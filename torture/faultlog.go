package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/judge"
)

// faultLogName is the file with a line for each fault, in JSON.
const faultLogName = "faults.jsonl"

// A fault is one that was asked for.
type fault struct {
	judge.Fault
	kind  *kind
	slot  *slot // nil for one that concerns all
	lasts time.Duration
}

// A faultLog has the faults of a run. The driver's loop alone uses it.
type faultLog struct {
	file    *os.File
	encoder *json.Encoder
	err     error
	asked   map[string]int
	acted   map[string]int
	open    map[int]*fault // asked, and not written
	last    int
}

func newFaultLog(directory string) (*faultLog, error) {
	file, err := os.OpenFile(filepath.Join(directory, faultLogName), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &faultLog{file: file, encoder: json.NewEncoder(file), asked: map[string]int{}, acted: map[string]int{}, open: map[int]*fault{}}, nil
}

// ask enters a fault that is about to be made.
func (l *faultLog) ask(k *kind, s *slot, lasts time.Duration) *fault {
	l.last++
	f := &fault{kind: k, slot: s, lasts: lasts}
	f.Fault = judge.Fault{ID: l.last, Kind: k.name, Producer: -1, Partition: -1, Asked: time.Now(), Fails: k.fails, Duplicates: k.duplicates, Wide: k.wide, Forgets: k.name == forget}
	if s != nil {
		f.Producer = s.number
	}
	f.Began = f.Asked
	l.asked[k.name]++
	l.open[f.ID] = f
	return f
}

// act notes that an observer saw the fault act at a moment. It is written when it has ended.
func (l *faultLog) act(f *fault, when time.Time, observed string) {
	if f.Acted.IsZero() {
		f.Acted, f.Observed = when, observed
	}
}

// end writes a fault. One that did not act by now never does.
func (l *faultLog) end(f *fault, when time.Time) {
	if l.open[f.ID] == nil {
		return
	}
	delete(l.open, f.ID)
	f.Ended = when
	if !f.Acted.IsZero() {
		l.acted[f.Kind]++
	}
	l.err = errors.Join(l.err, l.encoder.Encode(&f.Fault))
}

// close writes what is still open, as not acted or as ended now.
func (l *faultLog) close() error {
	for _, f := range l.open {
		l.end(f, time.Now())
	}
	return errors.Join(l.err, l.file.Close())
}
