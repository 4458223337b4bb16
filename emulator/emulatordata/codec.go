package emulatordata

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A decoder reads what the append functions of binary have written. After an error it reads zeros.
type decoder struct {
	rest []byte
	err  error
}

var errShort = errors.New("its contents end too early")

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// number reads a number that is not negative.
func (d *decoder) number() int64 {
	v := d.uvarint()
	if int64(v) < 0 {
		d.fail()
		return 0
	}
	return int64(v)
}

// count reads how many things follow, each of at least one byte.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// bytes reads bytes with their number before them. They are a part of the input.
func (d *decoder) bytes() []byte {
	n := d.count()
	p := d.rest[:n:n]
	d.rest = d.rest[n:]
	return p
}

func (d *decoder) fail() {
	d.rest = nil
	if d.err == nil {
		d.err = errShort
	}
}

func appendBytes(dst, p []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(p))), p...)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendEntry appends an entry without its message.
func appendEntry(dst []byte, e *emulator.Entry) []byte {
	dst = binary.AppendUvarint(dst, uint64(e.First))
	dst = binary.AppendUvarint(dst, uint64(e.Offset))
	dst = binary.AppendVarint(dst, milliseconds(e.Enqueued))
	return appendBody(dst, e)
}

func (d *decoder) entry() emulator.Entry {
	e := emulator.Entry{First: d.number(), Offset: d.number(), Enqueued: timeOf(d.varint())}
	d.body(&e)
	return e
}

// appendBody appends the part of an entry that does not follow from the one before it.
func appendBody(dst []byte, e *emulator.Entry) []byte {
	dst = binary.AppendUvarint(dst, uint64(e.Events))
	dst = binary.AppendUvarint(dst, uint64(max(e.LastOffset-e.Offset, 0))) // 0: the end of a log, which is no entry
	dst = binary.AppendUvarint(dst, uint64(e.Bytes))
	return binary.AppendUvarint(dst, uint64(e.Format))
}

func (d *decoder) body(e *emulator.Entry) {
	e.Events = int(d.number())
	e.LastOffset = e.Offset + d.number()
	e.Bytes = d.number()
	e.Format = uint32(d.uvarint())
	if e.Events < 0 || e.First+int64(e.Events) < e.First || e.LastOffset < e.Offset || e.Offset+e.Bytes < e.Offset {
		d.fail()
	}
}

func milliseconds(t time.Time) int64 { return t.UnixMilli() }

func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
