package emulatordata

import (
	"encoding/binary"
	"fmt"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A record of the journal begins with its kind.
const (
	recordUpdate     = 0 // changes; the message of the entry is the rest
	recordFirstPiece = 1 // the log's name, and the beginning of a message that is longer than a record
	recordNextPiece  = 2 // the log's name, and more of it

	changePut    = 0 // key, value
	changeDelete = 1 // key
	changeLog    = 2 // name, flags, then what they name, in this order
	changeDrop   = 3 // name

	flagRemoved = 1 // removed, oldest
	flagEntry   = 2 // the entry without its message
	flagPieces  = 4 // the message begins with the pieces before
)

// appendUpdate appends a record of changes, without the message of their entry, if there is one.
func appendUpdate(dst []byte, changes []emulator.Change, pieces bool) []byte {
	dst = append(dst, recordUpdate)
	dst = binary.AppendUvarint(dst, uint64(len(changes)))
	for i := range changes {
		c := &changes[i]
		switch {
		case c.Log != "" && c.Drop:
			dst = appendString(append(dst, changeDrop), c.Log)
		case c.Log != "":
			dst = appendLogChange(dst, c, pieces)
		case c.Value == nil:
			dst = appendBytes(append(dst, changeDelete), c.Key)
		default:
			dst = appendBytes(appendBytes(append(dst, changePut), c.Key), c.Value)
		}
	}
	return dst
}

func appendLogChange(dst []byte, c *emulator.Change, pieces bool) []byte {
	flags := byte(0)
	if c.Removed > 0 {
		flags |= flagRemoved
	}
	if c.Entry != nil {
		flags |= flagEntry
		if pieces {
			flags |= flagPieces
		}
	}
	dst = append(appendString(append(dst, changeLog), c.Log), flags)
	if c.Removed > 0 {
		dst = appendEntry(binary.AppendUvarint(dst, uint64(c.Removed)), &c.Oldest)
	}
	if c.Entry != nil {
		dst = appendEntry(dst, c.Entry)
	}
	return dst
}

// readUpdate reads a record of changes after its kind. Keys, values and the message are parts of
// the record. Pieces says that the message begins with the pieces before.
func readUpdate(record []byte) (changes []emulator.Change, pieces bool, err error) {
	d := decoder{rest: record}
	n := d.count()
	var entry *emulator.Entry
	for range n {
		var c emulator.Change
		switch kind := d.byte(); kind {
		case changePut:
			c.Key, c.Value = d.bytes(), d.bytes()
		case changeDelete:
			c.Key = d.bytes()
		case changeDrop:
			c.Log, c.Drop = string(d.bytes()), true
		case changeLog:
			c.Log = string(d.bytes())
			flags := d.byte()
			if flags&flagRemoved != 0 {
				c.Removed, c.Oldest = int(d.number()), d.entry()
			}
			if flags&flagEntry != 0 {
				entry = new(d.entry())
				c.Entry = entry
				pieces = flags&flagPieces != 0
			}
		default:
			if d.err == nil {
				d.err = fmt.Errorf("a change of the kind %d is not known", kind)
			}
		}
		changes = append(changes, c)
	}
	if entry != nil {
		entry.Message = d.rest
	} else if len(d.rest) > 0 && d.err == nil {
		d.err = fmt.Errorf("%d bytes follow the changes", len(d.rest))
	}
	return changes, pieces, d.err
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}
