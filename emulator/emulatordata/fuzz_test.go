package emulatordata

import (
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// FuzzDecoders gives any bytes to the decoders of records, indexes, states and granules. They
// refuse them, or read what is written as something that is read the same.
func FuzzDecoders(f *testing.F) {
	entry := &emulator.Entry{First: 7, Events: 2, Offset: 90, LastOffset: 95, Bytes: 11, Enqueued: begin, Format: 0x80013700, Message: []byte("message")}
	changes := []emulator.Change{
		{Key: []byte("k"), Value: []byte("v")}, {Key: []byte("k")}, {Log: "dropped", Drop: true},
		{Log: "l", Entry: entry, Removed: 1, Oldest: emulator.Entry{First: 7, Offset: 90, Enqueued: begin}},
	}
	f.Add(append(appendUpdate(nil, changes, true)[1:], entry.Message...))
	// What no store writes is refused.
	f.Add(append(appendUpdate(nil, []emulator.Change{{Log: "l", Entry: entry}, {Log: "m", Entry: entry}}, false)[1:], entry.Message...))
	f.Add([]byte{1, changeLog, 1, 'l', flagRemoved, 0, 7, 90, 0, 1, 5, 11, 0}) // it removes none
	f.Add([]byte{1, changeLog, 0, flagEntry, 7, 90, 0, 1, 5, 11, 0})           // of no log
	f.Add([]byte{1, changeLog, 1, 'l', 8})                                     // a flag that is not known
	f.Add(append(appendStoredHead(nil, entry, entry), entry.Message...))
	g := granule{table: 3, place: 1, length: 2, sum: 3, entries: 1, after: 9}
	g.setHead(entry)
	f.Add(index{5: {g}}.append(nil))
	s := &Store{position: 9, lastLog: 5, keys: map[string][]byte{"k": []byte("v")}, logs: map[string]*eventLog{"l": {id: 5, pieces: []byte("p")}}}
	s.logs["l"].append(entry)
	f.Add(s.appendState(nil, []uint64{3, 4}))
	f.Fuzz(func(t *testing.T, p []byte) {
		if changes, pieces, err := readUpdate(p); err == nil {
			again, also, err := readUpdate(withMessageOf(changes, appendUpdate(nil, changes, pieces)[1:]))
			if err != nil || also != pieces || textOf(again) != textOf(changes) {
				t.Errorf("%x is read as %s, and that as %s, %v", p, textOf(changes), textOf(again), err)
			}
		}
		if x, err := readIndex(1, p); err == nil {
			again, err := readIndex(1, x.append(nil))
			if err != nil || fmt.Sprint(again) != fmt.Sprint(x) {
				t.Errorf("%x is read as %v, and that as %v, %v", p, x, again, err)
			}
		}
		s := &Store{keys: make(map[string][]byte), logs: make(map[string]*eventLog)}
		_, _ = s.readState(p)
		g := granule{sum: crc32.Checksum(p, castagnoli), entries: 1, after: 9}
		g.setHead(entry)
		if entries, err := g.read(p); err == nil && (len(entries) != 1 || after(&entries[0]) != 9) {
			t.Errorf("%x is read as %+v", p, entries)
		}
	})
}

func withMessageOf(changes []emulator.Change, head []byte) []byte {
	for _, c := range changes {
		if c.Entry != nil {
			return append(head, c.Entry.Message...)
		}
	}
	return head
}

func textOf(changes []emulator.Change) (text string) {
	for _, c := range changes {
		text += fmt.Sprintf("%q %q %q %v %d %v", c.Key, c.Value, c.Log, c.Drop, c.Removed, c.Oldest)
		if c.Entry != nil {
			text += fmt.Sprintf(" %+v", *c.Entry)
		}
		text += "\n"
	}
	return text
}
