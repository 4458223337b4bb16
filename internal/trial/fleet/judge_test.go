package fleet

import (
	"encoding/binary"

	"github.com/go-eventhubs/eventhubs"
)

// kept is how many events a partition keeps: four times what the namespace takes in a second. The
// judge reads a partition when half of them are new, and looks every second. So no event is dropped
// unread.
func (s *shape) kept() int { return 4 * s.units * 1000 }

// A judge reads the hub while the fleet runs, and keeps a bit for each event.
type judge struct {
	fleet  *fleet
	next   map[string]int64 // sequence number, by partition
	stored [][]uint64       // bits, by member
	twice  int64
}

func newJudge(f *fleet) *judge {
	return &judge{fleet: f, next: map[string]int64{}, stored: make([][]uint64, f.producers)}
}

// readIfDue reads each partition that has enough new events. Call it every second.
func (j *judge) readIfDue() { j.readAfter(j.fleet.kept() / 2) }

// readAfter reads each partition that has at least so many new events.
func (j *judge) readAfter(least int) {
	for _, id := range j.fleet.server.PartitionIDs("hub") {
		if j.fleet.server.Counts("hub", id).Events-int(j.next[id]) < least {
			continue
		}
		for e := range j.fleet.server.Events("hub", id) {
			switch next := j.next[id]; {
			case e.SequenceNumber < next:
				continue
			case e.SequenceNumber > next:
				j.fleet.Errorf("partition %s has dropped events before the judge read them: it is at %d, want %d", id, e.SequenceNumber, next)
			}
			j.next[id] = e.SequenceNumber + 1
			member, n := binary.LittleEndian.Uint32(e.Body), binary.LittleEndian.Uint32(e.Body[4:])
			if !j.mark(member, n) {
				j.twice++
			}
		}
	}
}

// mark notes a stored event, and reports whether it is the first of its number.
func (j *judge) mark(member, n uint32) bool {
	bits := j.stored[member]
	for len(bits) <= int(n/64) {
		bits = append(bits, 0)
	}
	j.stored[member] = bits
	was := bits[n/64]
	bits[n/64] |= 1 << (n % 64)
	return was&(1<<(n%64)) == 0
}

func (j *judge) has(member, n uint32) bool {
	bits := j.stored[member]
	return int(n/64) < len(bits) && bits[n/64]&(1<<(n%64)) != 0
}

// finish ends the fleet and compares what was accepted, reported and stored.
func (j *judge) finish() {
	f := j.fleet
	close(f.stop)
	f.streams.Wait()
	j.readAfter(1)
	var accepted, failed, ambiguous int64
	for _, m := range f.members {
		if m.accepted.Load() != m.told.Load() {
			f.Errorf("producer %d: %d events accepted, %d outcomes", m.number, m.accepted.Load(), m.told.Load())
		}
		accepted += m.accepted.Load()
		failed += m.failed.Load()
		ambiguous += m.ambiguous.Load()
		for n := range uint32(m.accepted.Load()) {
			switch storage, failed := m.unstored[n]; {
			case !failed && !j.has(m.number, n):
				f.Errorf("producer %d: event %d was reported as stored, and is not", m.number, n)
			case failed && storage == eventhubs.NotStored && j.has(m.number, n):
				f.Errorf("producer %d: event %d was reported as not stored, and is", m.number, n)
			}
		}
		for text, n := range m.errs {
			f.Logf("producer %d: %d events failed: %s", m.number, n, text)
			break
		}
	}
	f.Logf("%d events accepted, %d failed, %d stored twice of %d in batches of more than one try", accepted, failed, j.twice, ambiguous)
	if j.twice > ambiguous {
		f.Errorf("%d events are stored twice, and only %d were sent more than once", j.twice, ambiguous)
	}
}
