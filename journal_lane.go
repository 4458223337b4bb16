package eventhubs

import (
	"context"
	"fmt"
	"hash/crc64"
	"math"
	"slices"
	"strconv"

	"github.com/go-eventhubs/eventhubs/internal/callback"
	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// stickyRun is how many neighbours in the journal go to one partition with Sticky.
const stickyRun = 256

// turn returns the index of one of n partitions, for an event with neither id nor key.
func (t *laneTable) turn(p journal.Position, n int) int {
	if t.sticky {
		p /= stickyRun
	}
	return int(p % journal.Position(n))
}

// nowhere is the lane of events that no partition takes. No partition has that id.
const nowhere = "\x00"

// forKeyGuarded is forKey on a goroutine of the producer, which a KeyPartitioner must not end.
func (d *directory) forKeyGuarded(key string, partitions int) (index int, err error) {
	if d.options.KeyPartitioner == nil {
		return d.forKey(key, partitions)
	}
	return callback.Result("Options.KeyPartitioner", func() (int, error) { return d.forKey(key, partitions) })
}

// mapping identifies Options.KeyPartitioner by its answers to a few keys. It is zero without one.
func (d *directory) mapping(partitions int) uint64 {
	if d.options.KeyPartitioner == nil {
		return 0
	}
	var answers []byte
	for k := range 16 {
		i, err := d.forKeyGuarded("key "+strconv.Itoa(k), partitions)
		answers = fmt.Appendf(answers, "%d %v;", i, err != nil)
	}
	return crc64.Checksum(answers, crc64.MakeTable(crc64.ECMA)) | 1
}

// checkMapping refuses a KeyPartitioner that is not the one of the former life. Events that are in
// flight twice would go to different partitions.
func (j *journaled) checkMapping() error {
	t := j.ledger.table(j.end())
	if t == nil || j.directory.mapping(len(t.ids)) == t.mapping {
		return nil
	}
	return invalid("Options.KeyPartitioner maps keys to other partitions than when %s was written: use the former one, or another directory when the journal is empty", j.options.Journal.Directory)
}

// table returns the table for a position; nil if there is none yet.
func (l *ledger) table(p journal.Position) *laneTable {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tableLocked(p)
}

// tableAndEnd is table, with the position from which another one holds.
func (l *ledger) tableAndEnd(p journal.Position) (t *laneTable, until journal.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until = math.MaxUint64
	for _, later := range slices.Backward(l.tables) {
		if later.from <= p {
			return later, until
		}
		until = later.from
	}
	return nil, until
}

// addTable keeps a table.
func (j *journaled) addTable(t *laneTable) error {
	if err := j.keep(appendTable([]byte{recordTable}, t)); err != nil {
		return err
	}
	j.ledger.mu.Lock()
	defer j.ledger.mu.Unlock()
	j.ledger.addTable(t)
	return nil
}

// fit returns the event's encoded form with or without room for numbers, as the options want it
// now. The journal may be from a life with others.
func (j *journaled) fit(e *journaledEvent) ([]byte, error) {
	if e.numbered == j.options.EnableIdempotentRetries {
		return e.encoded, nil
	}
	w := wireEvent{numbered: j.options.EnableIdempotentRetries}
	if err := w.encode(decodeEvent(e.encoded, e.route.id != ""), e.route.key); err != nil {
		return nil, err
	}
	return append(w.head, w.body...), nil
}

// An identityRecord is the ProducerStore of a lane: the journal keeps who the producer is.
type identityRecord struct {
	journal *journaled
	lane    *lane
}

func (s identityRecord) Load(context.Context, ProducerKey) (ProducerID, error) {
	s.journal.ledger.mu.Lock()
	defer s.journal.ledger.mu.Unlock()
	return s.lane.producer, nil
}

func (s identityRecord) Save(_ context.Context, _ ProducerKey, old, id ProducerID) error {
	l, end := s.journal.ledger, s.journal.end()
	l.mu.Lock()
	present := s.lane.producer
	if present == old {
		if s.lane.producer = id; old != (ProducerID{}) && old.ID != id.ID {
			s.lane.unsure = end
		}
	}
	l.mu.Unlock()
	if present != old {
		return fmt.Errorf("eventhubs: %w", ErrProducerStateChanged) // cannot happen: one identity writes
	}
	err := s.journal.keepLane(s.lane)
	if err != nil { // the next try begins with the old one again
		l.mu.Lock()
		s.lane.producer = old
		l.mu.Unlock()
	}
	return err
}

// agree compares the service's last number with the lane's, at an attach. Same says that the
// service knows the producer. Last is the identity's last number in this life, or -1 before its
// first attach. It returns how many of the lane's next events the service has stored already. If
// the service begins with another number, the lane does too, and keeps that before anything is
// sent.
func (s identityRecord) agree(same bool, last int64, service int32) (stored int, counted bool, err error) {
	l, end := s.journal.ledger, s.journal.end()
	l.mu.Lock()
	known := s.lane.number
	if last >= 0 {
		known = int32(last)
	}
	d := ahead(service, known)
	if same && d >= 0 {
		l.mu.Unlock()
		return int(d), true, nil
	}
	changed := s.lane.number != service
	s.lane.number = service
	if same {
		s.lane.unsure = end
	}
	l.mu.Unlock()
	if !changed {
		return 0, false, nil
	}
	return 0, false, s.journal.keepLane(s.lane)
}
