package eventhubs

import (
	"encoding/binary"
	"math"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// The annotations by which the service knows the events of an idempotent producer: who sent it, in which of its lives, and which it is of those.
const (
	producerIDAnnotation     = "com.microsoft:producer-id"              // long
	producerEpochAnnotation  = "com.microsoft:producer-epoch"           // short
	sequenceNumberAnnotation = "com.microsoft:producer-sequence-number" // int
)

// Where the three values are, from the first key on: each key is a symbol of two more bytes than its text, each value has a format code.
const (
	producerIDAt     = 2 + len(producerIDAnnotation) + 1
	producerEpochAt  = producerIDAt + 8 + 2 + len(producerEpochAnnotation) + 1
	sequenceNumberAt = producerEpochAt + 2 + 2 + len(sequenceNumberAnnotation) + 1
	numbersEnd       = sequenceNumberAt + 4
)

// Numbers are what a batch's events carry: the first one's sequence number, from which the others follow.
type numbers struct {
	id    int64
	epoch int16
	first int32
}

// follow is the sequence number that comes by events after n. After the largest comes 0.
func follow(n int32, by int) int32 { return int32((int64(n) + int64(by)) & math.MaxInt32) }

// appendNumbers appends three entries of an annotations map, at fixed width and with any values: write sets them.
func appendNumbers(dst []byte) []byte {
	dst = amqp.AppendSymbol(dst, producerIDAnnotation)
	dst = amqp.AppendLong(dst, math.MaxInt64)
	dst = amqp.AppendSymbol(dst, producerEpochAnnotation)
	dst = amqp.AppendShort(dst, math.MaxInt16)
	dst = amqp.AppendSymbol(dst, sequenceNumberAnnotation)
	return amqp.AppendInt(dst, math.MaxInt32)
}

// writeTo sets the numbers of the i-th event of a batch, of which at least the head is there.
func (n numbers) writeTo(encoded []byte, i int) {
	at := numbersOf(encoded)
	binary.BigEndian.PutUint64(at[producerIDAt:], uint64(n.id))
	binary.BigEndian.PutUint16(at[producerEpochAt:], uint16(n.epoch))
	binary.BigEndian.PutUint32(at[sequenceNumberAt:], uint32(follow(n.first, i)))
}

// numbersOf returns an event's bytes from where appendNumbers began.
func numbersOf(encoded []byte) []byte {
	section := encoded
	if section[2] != amqp.SectionMessageAnnotations { // a message may have sections before them
		for s := range amqp.Sections(encoded) {
			if s.Code == amqp.SectionMessageAnnotations {
				section = s.Raw
				break
			}
		}
	}
	// The descriptor has three bytes; format code, size and count of the map have three in its short form and nine in its long one.
	const shortMap = 0xc1
	if section[3] == shortMap {
		return section[6 : 6+numbersEnd]
	}
	return section[12 : 12+numbersEnd]
}
