package emulator

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
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
		return r, refuse(conditionArgument, "The annotation '%s' is a %T instead of a string.", annotationKey, v)
	}
	if n := utf8.RuneCountInString(r.key); n > maxPartitionKeySize {
		return r, refuse(conditionArgument, "The partition key has %d characters; at most %d are allowed.", n, maxPartitionKeySize)
	}
	return r, nil
}

// splitMap returns the encoded entries of an encoded map, and the number of keys and values together. Null
// has none. It is not ok unless the entries are as many as the map says: others will be put behind them.
func splitMap(value []byte) (entries []byte, count int, ok bool) {
	const null, map8, map32 = 0x40, 0xc1, 0xd1
	switch {
	case len(value) == 1 && value[0] == null:
		return nil, 0, true
	case len(value) >= 3 && value[0] == map8:
		entries, count = value[3:], int(value[2])
	case len(value) >= 9 && value[0] == map32:
		entries, count = value[9:], int(binary.BigEndian.Uint32(value[5:]))
	default:
		return nil, 0, false
	}
	if count < 0 || count > len(entries) { // each takes a byte at least; negative where int has 32 bits
		return nil, 0, false
	}
	rest := entries
	for range count {
		if rest, ok = skipValue(rest); !ok {
			return nil, 0, false
		}
	}
	return entries, count, count%2 == 0 && len(rest) == 0
}

// skipValue returns what follows the encoded value at the start of b. The upper half of the format code tells
// the width (types part of the specification, 1.2.2), so nothing needs to be decoded.
func skipValue(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	code, b := b[0], b[1:]
	width := 0
	switch code >> 4 {
	case 0x0: // a described value: a descriptor, then a value, neither of them described again
		if code != 0 || len(b) == 0 || b[0] == 0 {
			return nil, false
		}
		if b, ok = skipValue(b); !ok || len(b) == 0 || b[0] == 0 {
			return nil, false
		}
		return skipValue(b)
	case 0x4:
	case 0x5, 0x6, 0x7, 0x8, 0x9:
		width = 1 << (code>>4 - 5)
	case 0xa, 0xc, 0xe:
		if len(b) < 1 {
			return nil, false
		}
		width = 1 + int(b[0])
	case 0xb, 0xd, 0xf:
		if len(b) < 4 {
			return nil, false
		}
		size := binary.BigEndian.Uint32(b)
		if uint64(size) > uint64(len(b)) {
			return nil, false
		}
		width = 4 + int(size)
	default:
		return nil, false
	}
	if width > len(b) {
		return nil, false
	}
	return b[width:], true
}

// appendOwnAnnotations appends the entries that the client sent, without those that only the service may set.
func appendOwnAnnotations(dst, value []byte) (_ []byte, pairs int) {
	if len(value) == 0 {
		return dst, 0
	}
	entries, count, _ := splitMap(value)
	if !bytes.Contains(entries, []byte(annotationSequence)) &&
		!bytes.Contains(entries, []byte(annotationOffset)) &&
		!bytes.Contains(entries, []byte(annotationEnqueued)) {
		return append(dst, entries...), count / 2
	}
	// An event that was received and sent on: rare, so decoding may cost something.
	v, _, err := amqp.ReadValue(value)
	m, ok := v.(amqp.Map)
	if err != nil || !ok {
		return dst, 0
	}
	for _, p := range m {
		if key, ok := p.Key.(amqp.Symbol); ok && (key == annotationSequence || key == annotationOffset || key == annotationEnqueued) {
			continue
		}
		before := len(dst)
		withKey, err := amqp.AppendValue(dst, p.Key)
		if err == nil {
			withKey, err = amqp.AppendValue(withKey, p.Value)
		}
		if err != nil {
			dst = dst[:before]
			continue
		}
		dst = withKey
		pairs++
	}
	return dst, pairs
}
