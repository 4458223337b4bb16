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

	knownFlags = flagRemoved | flagEntry | flagPieces
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
			c.Log, c.Drop = d.logName(), true
		case changeLog:
			c, pieces = d.logChange(pieces)
			if c.Entry != nil && entry != nil {
				d.refuse("two changes have an entry: of the log %q, too", c.Log)
			} else if c.Entry != nil {
				entry = c.Entry
			}
		default:
			d.refuse("a change of the kind %d is not known", kind)
		}
		changes = append(changes, c)
	}
	if entry != nil {
		entry.Message = d.rest
	} else if len(d.rest) > 0 {
		d.refuse("%d bytes follow the changes", len(d.rest))
	}
	return changes, pieces, d.err
}

// logChange reads what appendLogChange has written. Pieces stays as it was, if no entry is in it.
func (d *decoder) logChange(pieces bool) (emulator.Change, bool) {
	c := emulator.Change{Log: d.logName()}
	flags := d.byte()
	if flags&^knownFlags != 0 {
		d.refuse("a change of the log %q has the flags %#x, which are not known", c.Log, flags)
	}
	if flags&flagRemoved != 0 {
		c.Removed, c.Oldest = int(d.number()), d.entry()
		if c.Removed <= 0 {
			d.refuse("a change removes %d entries of the log %q", c.Removed, c.Log)
		}
	}
	if flags&flagEntry != 0 {
		c.Entry = new(d.entry())
		pieces = flags&flagPieces != 0
	}
	return c, pieces
}

func (d *decoder) logName() string {
	name := string(d.bytes())
	if name == "" {
		d.refuse("a log has no name")
	}
	return name
}

// refuse ends the reading, unless an error has ended it before.
func (d *decoder) refuse(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
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
