package emulator

import (
	"bytes"
	"encoding/binary"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// Keys of message annotations.
const (
	annotationKey      = "x-opt-partition-key"
	annotationSequence = "x-opt-sequence-number"
	annotationOffset   = "x-opt-offset"
	annotationEnqueued = "x-opt-enqueued-time"
)

// readRoute finds the partition key among message annotations.
func readRoute(annotations []byte) (r route, refused *refusal) {
	if !bytes.Contains(annotations, []byte(annotationKey)) {
		return route{}, nil
	}
	v, _, err := amqp.ReadValue(annotations)
	if err != nil {
		return r, refuse(conditionDecode, "The message annotations could not be read: %v.", err)
	}
	m, _ := v.(amqp.Map)
	v, ok := m.Get(annotationKey)
	if !ok || v == nil {
		return r, nil
	}
	if r.key, r.hasKey = v.(string); !r.hasKey {
		return r, refuse(conditionArgument, "The annotation '%s' has the type %s; it must be a string.", annotationKey, amqp.TypeName(v))
	}
	if err := partitionkey.Check(r.key); err != nil {
		return r, refuse(conditionArgument, "The partition key %v.", err)
	}
	return r, nil
}

// readNumbers finds an idempotent producer's numbers on an event, among annotations that splitMap
// has checked. It decodes nothing else, since it runs for every event.
func readNumbers(annotations []byte) (id int64, epoch int16, sequence int32, refused *refusal) {
	entries, _, _ := mapEntries(annotations)
	var found [3]bool
	for len(entries) > 0 {
		key, value := symbolAt(entries)
		rest, err := amqp.SkipValue(value)
		if err != nil {
			break // splitMap would have reported it
		}
		encoded := value[:len(value)-len(rest)]
		switch string(key) {
		case producerID:
			id, found[0] = integerAt(encoded, 0x81, 0x55)
		case producerEpoch:
			var n int64
			n, found[1] = integerAt(encoded, 0x61, 0x61)
			epoch = int16(n)
		case producerSequence:
			var n int64
			n, found[2] = integerAt(encoded, 0x71, 0x54)
			sequence = int32(n)
		}
		entries = rest
	}
	for i, key := range []string{producerID, producerEpoch, producerSequence} {
		if !found[i] {
			return 0, 0, 0, refuse(conditionArgument, "An event of an idempotent producer lacks the annotation '%s', or it is not the integer that it must be.", key)
		}
	}
	return id, epoch, sequence, nil
}

// symbolAt returns the symbol at the start of b, nil for another value, and the bytes after it.
func symbolAt(b []byte) (symbol, rest []byte) {
	rest, err := amqp.SkipValue(b)
	if err != nil {
		return nil, nil
	}
	const sym8, sym32 = 0xa3, 0xb3
	switch b[0] {
	case sym8:
		return b[2 : len(b)-len(rest)], rest
	case sym32:
		return b[5 : len(b)-len(rest)], rest
	default:
		return nil, rest
	}
}

// integerAt decodes a signed integer that has one of two format codes: full width, or one byte for
// small values.
func integerAt(b []byte, full, small byte) (n int64, ok bool) {
	if len(b) < 2 || b[0] != full && b[0] != small {
		return 0, false
	}
	n = int64(int8(b[1]))
	for _, octet := range b[2:] {
		n = n<<8 | int64(octet)
	}
	return n, true
}

// splitMap returns the encoded entries of an encoded map, and the number of keys and values
// together. Null has none. ok is false unless the entries are as many as the map states, since
// others will be appended to them.
func splitMap(value []byte) (entries []byte, count int, ok bool) {
	entries, count, ok = mapEntries(value)
	if !ok || count < 0 || count > len(entries) { // each takes at least one byte; the count is negative if int has 32 bits
		return nil, 0, false
	}
	rest := entries
	for range count {
		var err error
		if rest, err = amqp.SkipValue(rest); err != nil {
			return nil, 0, false
		}
	}
	return entries, count, count%2 == 0 && len(rest) == 0
}

// mapEntries is splitMap for a map that splitMap has checked already.
func mapEntries(value []byte) (entries []byte, count int, ok bool) {
	const null, map8, map32 = 0x40, 0xc1, 0xd1
	switch {
	case len(value) == 1 && value[0] == null:
		return nil, 0, true
	case len(value) >= 3 && value[0] == map8:
		return value[3:], int(value[2]), true
	case len(value) >= 9 && value[0] == map32:
		return value[9:], int(binary.BigEndian.Uint32(value[5:])), true
	default:
		return nil, 0, false
	}
}

// appendOwnAnnotations appends the client's entries, except those that only the service may set.
func appendOwnAnnotations(dst, value []byte) (_ []byte, pairs int) {
	if len(value) == 0 {
		return dst, 0
	}
	entries, count, _ := mapEntries(value)
	if !bytes.Contains(entries, []byte(annotationSequence)) &&
		!bytes.Contains(entries, []byte(annotationOffset)) &&
		!bytes.Contains(entries, []byte(annotationEnqueued)) {
		return append(dst, entries...), count / 2
	}
	// The client sent on an event that it had received, with its old annotations. That is rare, so
	// it may be slow.
	for len(entries) > 0 {
		key, value := symbolAt(entries)
		rest, err := amqp.SkipValue(value)
		if err != nil {
			break // splitMap would have reported it
		}
		switch string(key) {
		case annotationSequence, annotationOffset, annotationEnqueued:
		default:
			dst = append(dst, entries[:len(entries)-len(rest)]...)
			pairs++
		}
		entries = rest
	}
	return dst, pairs
}
