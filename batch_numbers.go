package eventhubs

import (
	"encoding/binary"
	"math"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// The annotations by which the service recognises the events of an idempotent producer: its id, its
// epoch, and the event's sequence number in that epoch.
const (
	producerIDAnnotation     = "com.microsoft:producer-id"              // long
	producerEpochAnnotation  = "com.microsoft:producer-epoch"           // short
	sequenceNumberAnnotation = "com.microsoft:producer-sequence-number" // int
)

// The places of the three values, from the first key on. Each key is a symbol with two bytes before
// its text; each value has a format code.
const (
	producerIDAt     = 2 + len(producerIDAnnotation) + 1
	producerEpochAt  = producerIDAt + 8 + 2 + len(producerEpochAnnotation) + 1
	sequenceNumberAt = producerEpochAt + 2 + 2 + len(sequenceNumberAnnotation) + 1
	numbersEnd       = sequenceNumberAt + 4
)

// Numbers identify a batch's events: the sequence number of the first, from which the others
// follow.
type numbers struct {
	id    int64
	epoch int16
	first int32
}

// follow returns the sequence number that comes by events after n. After the largest comes 0.
func follow(n int32, by int) int32 { return int32((int64(n) + int64(by)) & math.MaxInt32) }

// appendNumbers appends three entries of an annotations map, at fixed width and with placeholder
// values: writeTo sets the real ones.
func appendNumbers(dst []byte) []byte {
	dst = amqp.AppendSymbol(dst, producerIDAnnotation)
	dst = amqp.AppendLong(dst, math.MaxInt64)
	dst = amqp.AppendSymbol(dst, producerEpochAnnotation)
	dst = amqp.AppendShort(dst, math.MaxInt16)
	dst = amqp.AppendSymbol(dst, sequenceNumberAnnotation)
	return amqp.AppendInt(dst, math.MaxInt32)
}

// writeTo sets the numbers of a batch's i-th event. Encoded has at least the event's head.
func (n numbers) writeTo(encoded []byte, i int) {
	at := numbersOf(encoded)
	binary.BigEndian.PutUint64(at[producerIDAt:], uint64(n.id))
	binary.BigEndian.PutUint16(at[producerEpochAt:], uint16(n.epoch))
	binary.BigEndian.PutUint32(at[sequenceNumberAt:], uint32(follow(n.first, i)))
}

// numbersOf returns an event's bytes from where appendNumbers began.
func numbersOf(encoded []byte) []byte {
	section := encoded
	if section[2] != amqp.SectionMessageAnnotations { // other sections may come first
		for s := range amqp.Sections(encoded) {
			if s.Code == amqp.SectionMessageAnnotations {
				section = s.Raw
				break
			}
		}
	}
	// The descriptor has three bytes. The map's format code, size and count have three bytes in its
	// short form and nine in its long one.
	const shortMap = 0xc1
	if section[3] == shortMap {
		return section[6 : 6+numbersEnd]
	}
	return section[12 : 12+numbersEnd]
}
