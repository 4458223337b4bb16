package emulatordata

import (
	"sort"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// An eventLog is a log of the store. Store.mu guards it.
//
// Its entries are in granules of tables, and after them in memory: those that only the journal has.
type eventLog struct {
	id       uint64 // of this log, not of its name: a log that is dropped may come again
	state    emulator.LogState
	granules []granule
	fresh    []*emulator.Entry // each with its message
	pieces   []byte            // of a message that is longer than a record
}

// A granule is a piece of a table: some entries of one log, one after the other. There is one for
// each 128 KiB of a store, so it is small.
type granule struct {
	table   uint64 // its number
	place   uint32 // in the file
	length  uint32
	sum     uint32 // crc32c of its bytes
	entries uint32 // how many it has
	after   int64  // sequence number after its last entry

	// Of its first entry.
	first, offset, enqueued  int64
	events, lastOffset, size uint32 // lastOffset counts from offset
}

// head is the first entry, without message and format.
func (g *granule) head() emulator.Entry {
	return emulator.Entry{
		First: g.first, Events: int(g.events), Offset: g.offset, LastOffset: g.offset + int64(g.lastOffset), Bytes: int64(g.size), Enqueued: timeOf(g.enqueued),
	}
}

// setHead sets the first entry. Its numbers fit: Store.check has refused others.
func (g *granule) setHead(e *emulator.Entry) {
	g.first, g.offset, g.enqueued = e.First, e.Offset, milliseconds(e.Enqueued)
	g.events, g.lastOffset, g.size = uint32(e.Events), uint32(e.LastOffset-e.Offset), uint32(e.Bytes)
}

// end is the sequence number after the log's last entry.
func (l *eventLog) end() int64 { return after(&l.state.Newest) }

func after(e *emulator.Entry) int64 { return e.First + int64(e.Events) }

// append adds an entry.
func (l *eventLog) append(e *emulator.Entry) {
	l.fresh = append(l.fresh, e)
	head := withoutMessage(e)
	if l.state.Entries == 0 {
		l.state.Oldest = head
	}
	l.state.Newest = head
	l.state.Entries++
}

// trim removes the oldest entries, so that oldest is the oldest one. It returns the granules that
// have none of the others, and what the entries in memory took.
func (l *eventLog) trim(removed int, oldest emulator.Entry) (granules []granule, cost int64) {
	l.state.Entries -= removed
	l.state.Oldest = oldest
	n := 0
	for n < len(l.granules) && l.granules[n].after <= oldest.First {
		n++
	}
	granules, l.granules = l.granules[:n:n], l.granules[n:]
	n = sort.Search(len(l.fresh), func(i int) bool { return l.fresh[i].First >= oldest.First })
	for _, e := range l.fresh[:n] {
		cost += costOf(e)
	}
	clear(l.fresh[:n])
	l.fresh = l.fresh[n:]
	return granules, cost
}

// entryOverhead is about what an entry in memory takes besides its message.
const entryOverhead = 128

func costOf(e *emulator.Entry) int64 { return int64(len(e.Message)) + entryOverhead }

// find returns the granule with the first entry for which before returns false, or the entries in
// memory from that one on. It may return the granule, or the entries, before those.
func (l *eventLog) find(before func(emulator.Entry) bool) (g *granule, fresh []*emulator.Entry) {
	if n := len(l.fresh); n > 0 && (len(l.granules) == 0 || before(withoutMessage(l.fresh[0]))) {
		i := sort.Search(n, func(i int) bool { return !before(withoutMessage(l.fresh[i])) })
		return nil, l.fresh[i:]
	}
	if len(l.granules) == 0 {
		return nil, nil
	}
	i := sort.Search(len(l.granules), func(i int) bool { return !before(l.granules[i].head()) })
	return &l.granules[max(i-1, 0)], nil
}

// from returns the granule with the event of that sequence number, or the entries in memory from it
// on.
func (l *eventLog) from(sequence int64) (g *granule, fresh []*emulator.Entry) {
	i := sort.Search(len(l.granules), func(i int) bool { return l.granules[i].after > sequence })
	if i < len(l.granules) {
		return &l.granules[i], nil
	}
	n := sort.Search(len(l.fresh), func(i int) bool { return after(l.fresh[i]) > sequence })
	return nil, l.fresh[n:]
}

func withoutMessage(e *emulator.Entry) emulator.Entry {
	head := *e
	head.Message = nil
	return head
}
