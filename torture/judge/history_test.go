package judge

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/record"
)

// A history is a small run without a fault, for tests to edit. It has three lives: of a producer
// that keeps events in memory, of an idempotent producer, and of the latter's successor.
type history struct {
	log     [testPartitions][]Received
	records map[uint32][]*record.Entry
	faults  []Fault
}

const (
	testPartitions = 4
	eventsOfALife  = 600
	perBatch       = 25

	memoryLife     = 1
	idempotentLife = 2
	successorLife  = 3

	// Of producers with a journal; the next life of each has the next number.
	keptLife   = 4 // idempotent
	atLeast    = 6 // without idempotence
	sourceLife = 8 // idempotent, reads a source
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func idOf(life uint32, number uint64) record.ID {
	id := record.ID{Life: life, Number: number, Flags: record.Ordered | record.Targeted}
	switch {
	case life >= sourceLife:
		id.Producer, id.Flags = 4, id.Flags|record.Idempotent|record.Journaled|record.Source
	case life >= atLeast:
		id.Producer, id.Flags = 3, id.Flags|record.Journaled
	case life >= keptLife:
		id.Producer, id.Flags = 2, id.Flags|record.Idempotent|record.Journaled
	case life != memoryLife:
		id.Producer, id.Flags = 1, id.Flags|record.Idempotent
	}
	return id
}

// home is where the hub of the tests puts a key.
func home(key string) int { return int(key[len(key)-1]) % testPartitions }

// honest makes a run in which all is well.
func honest() *history {
	h := empty()
	for _, life := range []uint32{memoryLife, idempotentLife, successorLife} {
		h.live(life)
	}
	return h
}

// empty makes a run of no producers.
func empty() *history {
	h := &history{records: make(map[uint32][]*record.Entry)}
	for i := range record.Keys {
		key := record.Key(i)
		h.append(home(key), Received{Key: key, Body: []byte(HomePrefix + key)})
	}
	return h
}

// append stores events, as one batch.
func (h *history) append(partition int, events ...Received) {
	for _, e := range events {
		e.Partition, e.Sequence = partition, int64(len(h.log[partition]))
		e.Enqueued = start.Add(time.Duration(len(h.log[partition])) * time.Millisecond)
		if n := len(h.log[partition]); len(events) > 1 && n > 0 && e.Body != nil && &e != &events[0] {
			e.Enqueued = h.log[partition][n-1].Enqueued
		}
		h.log[partition] = append(h.log[partition], e)
	}
}

func eventOf(id record.ID) Received {
	return Received{Key: id.Route(testPartitions).Key, Body: record.AppendBody(nil, id)}
}

// live has a life enqueue events, and stores them all.
func (h *history) live(life uint32) {
	add := func(e record.Entry) { h.records[life] = append(h.records[life], &e) }
	add(record.Entry{Kind: record.Begin, ID: record.ID{Life: life, Producer: idOf(life, 0).Producer, Flags: idOf(life, 0).Flags}, Time: start})
	add(record.Entry{Kind: record.Intent, First: 0, Count: eventsOfALife})
	add(record.Entry{Kind: record.Accepted, First: 0, Count: eventsOfALife})
	var open [testPartitions][]uint64
	seal := func(partition int) {
		var events []Received
		for _, n := range open[partition] {
			events = append(events, eventOf(idOf(life, n)))
		}
		h.append(partition, events...)
		add(record.Entry{Kind: record.Reported, Time: start.Add(time.Duration(len(h.log[partition])) * time.Millisecond), Storage: record.Stored, Partition: partition, Numbers: open[partition]})
		open[partition] = nil
	}
	for n := range uint64(eventsOfALife) {
		partition := int(n) % testPartitions
		if r := idOf(life, n).Route(testPartitions); r.Key != "" {
			partition = home(r.Key)
		} else if r.Partition >= 0 {
			partition = r.Partition
		}
		if open[partition] = append(open[partition], n); len(open[partition]) == perBatch {
			seal(partition)
		}
	}
	for partition := range open {
		if len(open[partition]) > 0 {
			seal(partition)
		}
	}
	add(record.Entry{Kind: record.End, Time: start.Add(time.Hour)})
}

// reported is the first record of an outcome of a life in a partition.
func (h *history) reported(life uint32, partition int) *record.Entry {
	for _, e := range h.records[life] {
		if e.Kind == record.Reported && e.Partition == partition {
			return e
		}
	}
	panic("no outcome")
}

// renumber gives the log sequence numbers without a gap, after an edit.
func (h *history) renumber() {
	for p := range h.log {
		for i := range h.log[p] {
			h.log[p][i].Sequence = int64(i)
		}
	}
}

// at is the index of an event in the log of a partition.
func (h *history) at(partition int, id record.ID) int {
	body := record.AppendBody(nil, id)
	return slices.IndexFunc(h.log[partition], func(e Received) bool { return string(e.Body) == string(body) })
}

// judge has the judge decide.
func (h *history) judge(t *testing.T) *Verdict {
	t.Helper()
	l := NewLedger(testPartitions)
	for _, events := range h.log { // the homes of all keys are known before a producer begins
		n := slices.IndexFunc(events, func(e Received) bool { return !strings.HasPrefix(string(e.Body), HomePrefix) })
		l.Add(events[:n])
	}
	for _, events := range h.log {
		l.Add(events)
	}
	directory := t.TempDir()
	for life, entries := range h.records {
		var data []byte
		for _, e := range entries {
			data = e.Append(data)
		}
		if err := os.WriteFile(filepath.Join(directory, fmt.Sprintf("%06d%s", life, RecordSuffix)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v, err := l.Decide(directory, h.faults)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
