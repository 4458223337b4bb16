package main

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// This file's part of AMQP 1.0 (part 1: types; part 2: transport) is written by hand. So the null
// server and the ready-made frames share no code with the measured peers. It skips values by their
// sizes, and builds frames of encoded fields.

// The descriptors of the frames.
const (
	codeOpen, codeBegin, codeAttach, codeFlow, codeTransfer          = 0x10, 0x11, 0x12, 0x13, 0x14
	codeDisposition, codeDetach, codeEnd, codeClose                  = 0x15, 0x16, 0x17, 0x18
	codeMechanisms, codeInit, codeOutcome                            = 0x40, 0x41, 0x44
	codeSource, codeTarget                                           = 0x28, 0x29
	sectionProperties, sectionApplication, sectionData, sectionValue = 0x73, 0x74, 0x75, 0x77
)

const (
	frameAMQP, frameSASL = 0, 1
	frameLimit           = 65_536
	frameHead            = 8 // size, data offset, type, channel
	openWindow           = 1<<31 - 1
)

// The protocol headers.
const (
	headerAMQP = "AMQP\x00\x01\x00\x00"
	headerSASL = "AMQP\x03\x01\x00\x00"
)

var errAMQP = errors.New("this is not AMQP")

// valueSize returns the size of the encoded value at the start of b, with its constructor. b need
// only have the constructor and the length. The size is 0 if b is too short for these, and negative
// if there is no valid value.
func valueSize(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] >> 4 {
	case 0x4:
		return 1
	case 0x5:
		return 2
	case 0x6:
		return 3
	case 0x7:
		return 5
	case 0x8:
		return 9
	case 0x9:
		return 17
	case 0xa, 0xc, 0xe:
		if len(b) < 2 {
			return 0
		}
		return 2 + int(b[1])
	case 0xb, 0xd, 0xf:
		if len(b) < 5 {
			return 0
		}
		return 5 + int(binary.BigEndian.Uint32(b[1:])&(1<<31-1)) // fits an int of 32 bits
	default:
		return -1
	}
}

// descriptor reads the descriptor of a described value. The size is 0 if b is too short, and
// negative if no frame or section has that descriptor.
func descriptor(b []byte) (code byte, size int) {
	switch {
	case len(b) > 0 && b[0] != 0 || len(b) > 1 && b[1] != 0x53 && b[1] != 0x80:
		return 0, -1
	case len(b) >= 3 && b[1] == 0x53: // a small ulong
		return b[2], 3
	case len(b) >= 10 && b[1] == 0x80: // a ulong
		return b[9], 10
	default:
		return 0, 0
	}
}

// next splits a value, described or not, from the start of b.
func next(b []byte) (value, rest []byte, err error) {
	size := 0
	if len(b) > 0 && b[0] == 0 {
		n := valueSize(b[1:])
		if n <= 0 || 1+n > len(b) {
			return nil, nil, errAMQP
		}
		size = 1 + n
	}
	n := valueSize(b[size:])
	if n <= 0 || n > len(b)-size {
		return nil, nil, errAMQP
	}
	return b[:size+n], b[size+n:], nil
}

// maxFields is more than any list here has.
const maxFields = 16

// A list has the encoded fields of an AMQP list; absent ones are nil.
type list [maxFields][]byte

// read reads the list at the start of b and returns the rest of b.
func (l *list) read(b []byte) (rest []byte, err error) {
	*l = list{}
	n := valueSize(b)
	if n <= 0 || n > len(b) {
		return nil, errAMQP
	}
	content, rest := b[:n], b[n:]
	count := 0
	switch content[0] {
	case 0x45: // the empty list
		return rest, nil
	case 0xc0:
		if n < 3 {
			return nil, errAMQP
		}
		count, content = int(content[2]), content[3:]
	case 0xd0:
		if n < 9 {
			return nil, errAMQP
		}
		count, content = int(binary.BigEndian.Uint32(content[5:])&(1<<31-1)), content[9:]
	default:
		return nil, errAMQP
	}
	for i := range min(count, maxFields) {
		var field []byte
		if field, content, err = next(content); err != nil {
			return nil, err
		}
		if field[0] != 0x40 { // null
			l[i] = field
		}
	}
	return rest, nil
}

// described reads a described list, such as a frame's performative.
func (l *list) described(b []byte) (code byte, rest []byte, err error) {
	code, n := descriptor(b)
	if n <= 0 {
		return 0, nil, errAMQP
	}
	rest, err = l.read(b[n:])
	return code, rest, err
}

// number returns an unsigned integer of up to 32 bits; 0 without a field.
func number(field []byte) uint32 {
	switch {
	case len(field) == 2:
		return uint32(field[1])
	case len(field) == 3:
		return uint32(binary.BigEndian.Uint16(field[1:]))
	case len(field) == 5:
		return binary.BigEndian.Uint32(field[1:])
	default:
		return 0
	}
}

// truth returns a boolean; false without a field.
func truth(field []byte) bool {
	return len(field) == 1 && field[0] == 0x41 || len(field) == 2 && field[0] == 0x56 && field[1] == 1
}

// text returns the content of a string, a symbol or binary; empty without a field.
func text(field []byte) string {
	switch {
	case len(field) >= 2 && field[0]>>4 == 0xa:
		return string(field[2:])
	case len(field) >= 5 && field[0]>>4 == 0xb:
		return string(field[5:])
	default:
		return ""
	}
}

// Encoded values.
var (
	encodedNull  = []byte{0x40}
	encodedTrue  = []byte{0x41}
	encodedFalse = []byte{0x42}
)

func encodedUint(v uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0x70}, v) }

func encodedInt(v int32) []byte { return binary.BigEndian.AppendUint32([]byte{0x71}, uint32(v)) }

func encodedString(s string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0xb1}, uint32(len(s))), s...)
}

// compound appends a list or a map of encoded items. A map's items are keys and values in turn.
func compound(dst []byte, constructor byte, items ...[]byte) []byte {
	size := 4
	for _, item := range items {
		size += max(1, len(item))
	}
	dst = binary.BigEndian.AppendUint32(append(dst, constructor), uint32(size))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(items)))
	for _, item := range items {
		if item == nil {
			item = encodedNull
		}
		dst = append(dst, item...)
	}
	return dst
}

// describedList appends a list with its descriptor.
func describedList(dst []byte, code byte, fields ...[]byte) []byte {
	return compound(append(dst, 0x00, 0x53, code), 0xd0, fields...)
}

// encodedStrings returns an array of strings (0xb1) or symbols (0xb3).
func encodedStrings(constructor byte, items ...string) []byte {
	content := append(binary.BigEndian.AppendUint32(nil, uint32(len(items))), constructor)
	for _, item := range items {
		content = append(binary.BigEndian.AppendUint32(content, uint32(len(item))), item...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0xf0}, uint32(len(content))), content...)
}

// encodedMap returns a map with strings as keys.
func encodedMap(pairs ...any) []byte {
	var items [][]byte
	for i := 0; i < len(pairs); i += 2 {
		items = append(items, encodedString(pairs[i].(string)), pairs[i+1].([]byte))
	}
	return compound(nil, 0xd1, items...)
}

// appendFrame appends a frame with one performative, then the payload.
func appendFrame(dst []byte, kind byte, channel uint16, code byte, payload []byte, fields ...[]byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 2, kind, byte(channel>>8), byte(channel))
	dst = append(describedList(dst, code, fields...), payload...)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// A frame is the parsed head of a frame.
type frame struct {
	kind    byte
	channel uint16
	size    int
	head    int // start of its body
}

// frameAt reads the head of the frame at the start of b, which has at least frameHead bytes.
func frameAt(b []byte) (frame, error) {
	f := frame{kind: b[5], channel: binary.BigEndian.Uint16(b[6:]), head: 4 * int(b[4])}
	size := binary.BigEndian.Uint32(b)
	if size < frameHead || size > frameLimit || f.head < frameHead || f.head > int(size) {
		return frame{}, fmt.Errorf("%w: a frame of %d bytes with its body at %d", errAMQP, size, f.head)
	}
	f.size = int(size)
	return f, nil
}
