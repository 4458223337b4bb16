package eventhubs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// The kinds of records in the journal. The first byte of a record is its kind; an event's also has
// flags. Fields are varints and texts with their length before them.
const (
	recordEvent = 1 // what Enqueue was given
	recordLane  = 2 // how far a partition has come
	recordTable = 3 // the partitions that a run of events is mapped to
	recordGap   = 4 // positions that a repair has found without records
	recordKinds = 0x07

	eventKeyed      = 0x08 // the key is in the encoded event
	eventNamed      = 0x10 // the partition id follows
	eventExpires    = 0x20 // ExpiresAt follows
	eventNumbered   = 0x40 // the encoded event has room for numbers
	eventCheckpoint = 0x80 // Event.Checkpoint follows
)

// A journaledEvent is an event as the journal has it.
type journaledEvent struct {
	route      route
	accepted   time.Time
	expires    time.Time
	numbered   bool
	checkpoint []byte
	encoded    []byte
}

// appendEventHead appends an event's record except for its encoded bytes, which follow.
func appendEventHead(dst []byte, a *acceptance, checkpoint []byte, numbered bool, now time.Time) []byte {
	kind := byte(recordEvent)
	if a.to.key != "" {
		kind |= eventKeyed
	}
	if a.to.id != "" {
		kind |= eventNamed
	}
	if !a.x.expires.IsZero() {
		kind |= eventExpires
	}
	if numbered {
		kind |= eventNumbered
	}
	if checkpoint != nil {
		kind |= eventCheckpoint
	}
	dst = append(dst, kind)
	dst = binary.AppendVarint(dst, now.UnixMilli())
	if a.to.id != "" {
		dst = appendText(dst, a.to.id)
	}
	if !a.x.expires.IsZero() {
		dst = binary.AppendVarint(dst, a.x.expires.UnixNano())
	}
	if checkpoint != nil {
		dst = appendText(dst, string(checkpoint))
	}
	return dst
}

var errRecord = errors.New("a record that this version does not understand")

// parseEvent reads an event's record. Its slices are in the record.
func parseEvent(record []byte) (e journaledEvent, err error) {
	r := recordReader{rest: record[1:]}
	kind := record[0]
	e.numbered = kind&eventNumbered != 0
	e.accepted = time.UnixMilli(r.varint())
	if kind&eventNamed != 0 {
		e.route.id = string(r.text())
	}
	if kind&eventExpires != 0 {
		e.expires = time.Unix(0, r.varint())
	}
	if kind&eventCheckpoint != 0 {
		e.checkpoint = r.text()
	}
	e.encoded = r.rest
	if r.bad || len(e.encoded) == 0 {
		return e, errRecord
	}
	if kind&eventKeyed != 0 {
		e.route.key = keyOf(e.encoded)
	}
	return e, nil
}

// A recordReader reads the fields of a record. After the first that is not there, bad is set.
type recordReader struct {
	rest []byte
	bad  bool
}

func (r *recordReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *recordReader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *recordReader) text() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	text := r.rest[:n:n]
	r.rest = r.rest[n:]
	return text
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// appendLane appends a lane's state.
func appendLane(dst []byte, l *lane) []byte {
	dst = appendText(dst, l.id)
	dst = binary.AppendUvarint(dst, uint64(l.settled))
	dst = binary.AppendUvarint(dst, l.count)
	dst = binary.AppendVarint(dst, l.producer.ID)
	dst = binary.AppendVarint(dst, int64(l.producer.Epoch))
	dst = binary.AppendVarint(dst, int64(l.number))
	dst = binary.AppendUvarint(dst, uint64(l.unsure))
	dst = binary.AppendUvarint(dst, uint64(len(l.holes)))
	for _, hole := range l.holes {
		dst = binary.AppendUvarint(dst, uint64(hole-l.settled))
	}
	return dst
}

func (r *recordReader) lane() *lane {
	l := &lane{id: string(r.text()), settled: journal.Position(r.uvarint()), count: r.uvarint()}
	l.producer = ProducerID{ID: r.varint(), Epoch: int16(r.varint())}
	l.number = int32(r.varint())
	l.unsure = journal.Position(r.uvarint())
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		l.holes = append(l.holes, l.settled+journal.Position(r.uvarint()))
	}
	return l
}

func appendTable(dst []byte, t *laneTable) []byte {
	dst = binary.AppendUvarint(dst, uint64(t.from))
	sticky := byte(0)
	if t.sticky {
		sticky = 1
	}
	dst = append(dst, sticky)
	dst = binary.AppendUvarint(dst, t.mapping)
	dst = binary.AppendUvarint(dst, uint64(len(t.ids)))
	for _, id := range t.ids {
		dst = appendText(dst, id)
	}
	return dst
}

func (r *recordReader) table() *laneTable {
	t := &laneTable{from: journal.Position(r.uvarint()), sticky: r.uvarint() != 0, mapping: r.uvarint()}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		t.ids = append(t.ids, string(r.text()))
	}
	return t
}

func appendGap(dst []byte, g gap) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(g.First)), g.Records)
}

func (r *recordReader) gap() gap {
	return gap{First: journal.Position(r.uvarint()), Records: r.uvarint()}
}

// recordError says which record the journal has and this version cannot read.
func recordError(p journal.Position, err error) error {
	return fmt.Errorf("eventhubs: record %d of the journal: %w", p, err)
}
