package eventhubs

import (
	"reflect"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// Every field of a record and of a snapshot is read back as it was written.
func TestRecordsOfTheJournalAreReadBack(t *testing.T) {
	now := time.UnixMilli(1_900_000_000_123)
	w := newWireEvent(true)
	if err := w.encode(&Event{Body: []byte("body")}, "key"); err != nil {
		t.Fatal(err)
	}
	encoded := append(w.head, w.body...)
	for name, a := range map[string]acceptance{
		"anywhere": {},
		"by id":    {to: route{id: "7"}},
		"by key":   {to: route{key: "key"}, x: extra{expires: now.Add(time.Nanosecond)}},
	} {
		for _, checkpoint := range [][]byte{nil, {}, []byte("line 3")} {
			got, err := parseEvent(append(appendEventHead(nil, &a, checkpoint, true, now), encoded...))
			want := journaledEvent{route: a.to, accepted: now, expires: a.x.expires, numbered: true, checkpoint: checkpoint, encoded: encoded}
			if !got.expires.Equal(want.expires) || !got.accepted.Equal(want.accepted) {
				t.Errorf("%s: the times are %v and %v, want %v and %v", name, got.accepted, got.expires, want.accepted, want.expires)
			}
			got.expires, got.accepted, want.expires, want.accepted = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, checkpoint %q: got %+v, %v, want %+v", name, checkpoint, got, err, want)
			}
		}
	}
	was := newLedger()
	was.lanes["0"] = &lane{id: "0", settled: 5, holes: []journal.Position{7, 9}, count: 8, producer: ProducerID{ID: 1 << 60, Epoch: 3}, number: 1<<31 - 1, unsure: 4}
	was.lanes[nowhere] = &lane{id: nowhere}
	was.tables = []*laneTable{{from: 1, ids: []string{"0"}}, {from: 4, sticky: true, mapping: 1 << 63, ids: []string{"0", "1"}}}
	was.gaps = []gap{{First: 2, Records: 3}}
	was.notes = []journal.Position{2, 3, 12}
	was.checkpoints = []checkpoint{{6, []byte("kept")}, {11, []byte("not kept yet")}}
	got := newLedger()
	if err := got.restore(was.snapshot(nil, 10)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.lanes, was.lanes) || !reflect.DeepEqual(got.tables, was.tables) || !reflect.DeepEqual(got.gaps, was.gaps) || got.notesBefore != 2 || got.settled != 8 {
		t.Errorf("the snapshot is read back as %+v, want %+v", got, was)
	}
	if c := got.checkpoint(100); string(c) != "kept" {
		t.Errorf("the checkpoint is %q, want the one before the snapshot", c)
	}
}

// FuzzJournalRecords reads any bytes as records and as a snapshot. They are refused, or written
// again they are the same state.
func FuzzJournalRecords(f *testing.F) {
	l := newLedger()
	l.lanes["0"] = &lane{id: "0", settled: 5, holes: []journal.Position{7}, count: 6}
	l.tables = []*laneTable{{from: 1, ids: []string{"0", "1"}}}
	l.checkpoints = []checkpoint{{1, []byte("c")}}
	f.Add(l.snapshot(nil, 10))
	f.Add(appendLane([]byte{recordLane}, l.lanes["0"]))
	f.Add(appendTable([]byte{recordTable}, l.tables[0]))
	f.Add(appendGap([]byte{recordGap}, gap{First: 1, Records: 2}))
	w := newWireEvent(false)
	if err := w.encode(&Event{Body: []byte("body")}, "key"); err != nil {
		f.Fatal(err)
	}
	f.Add(append(append(appendEventHead(nil, &acceptance{to: route{id: "1", key: "key"}}, []byte("c"), false, time.Unix(1, 0)), w.head...), w.body...))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if isEvent(bytes) {
			_, _ = parseEvent(bytes)
		}
		_ = newLedger().replay(1, bytes)
		first := newLedger()
		if first.restore(bytes) != nil || len(bytes) == 0 {
			return
		}
		second := newLedger()
		if err := second.restore(first.snapshot(nil, 1<<62)); err != nil {
			t.Fatalf("a snapshot of a restored ledger is refused: %v", err)
		}
		if !reflect.DeepEqual(first.lanes, second.lanes) || !reflect.DeepEqual(first.tables, second.tables) || !reflect.DeepEqual(first.gaps, second.gaps) || first.settled != second.settled {
			t.Errorf("written and read again: %+v, want %+v", second, first)
		}
	})
}
