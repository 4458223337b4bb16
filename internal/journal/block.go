package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A block is a header and its records, each with its length before it as a uvarint. All integers of
// the header are little-endian:
//
//	crc32c of all that follows, length of the records, salt, blocks not known to be synced (4 bytes
//	each), sequence, first position (8 bytes each), count of records, kind (4 bytes each)
type block struct {
	length   uint32 // bytes after the header
	salt     uint32 // of its segment: what an earlier use of the file left has another one
	unsynced uint32 // blocks up to this one that were not known to be synced when it was written
	sequence uint64 // blocks of a segment count without gaps
	first    Position
	count    uint32
	kind     uint32
}

const (
	headerBytes = 40

	kindRecords = 0
	kindMissing = 1 // Repair wrote it in place of damage: its records are missing, its bytes mean nothing
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errNoBlock = errors.New("no whole block")
)

// synced returns the newest sequence that was known to be synced when the block was written.
func (b *block) synced() uint64 { return b.sequence - uint64(b.unsynced) }

// after returns the position after the block's last record.
func (b *block) after() Position { return b.first + Position(b.count) }

// seal writes the header at the beginning of whole, over the records that follow it there.
func (b *block) seal(whole []byte) {
	b.length = uint32(len(whole) - headerBytes)
	le := binary.LittleEndian
	le.PutUint32(whole[4:], b.length)
	le.PutUint32(whole[8:], b.salt)
	le.PutUint32(whole[12:], b.unsynced)
	le.PutUint64(whole[16:], b.sequence)
	le.PutUint64(whole[24:], uint64(b.first))
	le.PutUint32(whole[32:], b.count)
	le.PutUint32(whole[36:], b.kind)
	le.PutUint32(whole, crc32.Checksum(whole[4:], castagnoli))
}

// header reads a header without checking it. It needs headerBytes.
func header(p []byte) block {
	le := binary.LittleEndian
	return block{
		length: le.Uint32(p[4:]), salt: le.Uint32(p[8:]), unsynced: le.Uint32(p[12:]),
		sequence: le.Uint64(p[16:]), first: Position(le.Uint64(p[24:])), count: le.Uint32(p[32:]), kind: le.Uint32(p[36:]),
	}
}

// decode returns the block at the beginning of p if all of it is there as it was sealed.
func decode(p []byte, salt uint32) (b block, records []byte, err error) {
	if len(p) < headerBytes {
		return b, nil, errNoBlock
	}
	b = header(p)
	if b.salt != salt || uint64(b.length) > uint64(len(p)-headerBytes) {
		return b, nil, errNoBlock
	}
	whole := p[:headerBytes+int(b.length)]
	if binary.LittleEndian.Uint32(whole) != crc32.Checksum(whole[4:], castagnoli) {
		return b, nil, errNoBlock
	}
	return b, whole[headerBytes:], nil
}

// cut returns the first record of a block, and the others.
func cut(records []byte) (record, rest []byte, err error) {
	n, used := binary.Uvarint(records)
	if used <= 0 || n > uint64(len(records)-used) {
		return nil, nil, errors.New("a record's length leads out of its block")
	}
	end := used + int(n)
	return records[used:end:end], records[end:], nil
}

// uvarintBytes returns the bytes of n as a uvarint.
func uvarintBytes(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// A window reads the blocks of one segment through a buffer.
type window struct {
	file File
	salt uint32
	held []byte // what is at the offset at
	at   int64
	skip bool // find passes over what cannot be read
}

const (
	windowBytes = 256 << 10
	unreadable  = 4 << 10 // bytes that a disk fails to read together
)

// fill makes at least n bytes from that offset on available, or as many as there are below limit.
func (w *window) fill(offset, limit int64, n int) ([]byte, error) {
	if n64 := limit - offset; int64(n) > n64 {
		n = int(max(n64, 0))
	}
	if skip := offset - w.at; skip >= 0 && skip+int64(n) <= int64(len(w.held)) {
		return w.held[skip:], nil
	}
	size := int(min(limit-offset, int64(max(n, windowBytes))))
	if cap(w.held) < size {
		w.held = make([]byte, size)
	}
	w.held, w.at = w.held[:size], offset
	if got, err := w.file.ReadAt(w.held, offset); got < size {
		w.held = w.held[:got]
		if got < n && !endOfFile(err) {
			return nil, err
		}
	}
	return w.held, nil
}

// block returns the block at an offset. errNoBlock means that no good one ends before limit.
func (w *window) block(offset, limit int64) (block, []byte, error) {
	p, err := w.fill(offset, limit, headerBytes)
	if err != nil {
		return block{}, nil, err
	}
	if len(p) >= headerBytes {
		if b := header(p); b.salt == w.salt && int64(b.length) <= limit-offset-headerBytes && int(b.length) > len(p)-headerBytes {
			if p, err = w.fill(offset, limit, headerBytes+int(b.length)); err != nil {
				return block{}, nil, err
			}
		}
	}
	return decode(p, w.salt)
}

// find returns the first good block at an offset or after it, and where that is.
func (w *window) find(offset, limit int64) (block, int64, error) {
	salt := binary.LittleEndian.AppendUint32(nil, w.salt)
	for offset+headerBytes <= limit {
		p, err := w.fill(offset, limit, headerBytes)
		if err != nil && w.skip {
			offset = offset/unreadable*unreadable + unreadable
			continue
		}
		if err != nil || len(p) < headerBytes {
			return block{}, 0, errors.Join(errNoBlock, err)
		}
		i := bytes.Index(p[8:], salt)
		if i < 0 {
			offset += int64(len(p) - 8 - len(salt) + 1)
			continue
		}
		if b, _, err := w.block(offset+int64(i), limit); err == nil {
			return b, offset + int64(i), nil
		}
		offset += int64(i) + 1
	}
	return block{}, 0, errNoBlock
}
