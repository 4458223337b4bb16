package emulatordata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// A table is a file that never changes: granules, an index of them, the state of the whole store at
// that time, and a footer. All integers of the footer are little-endian:
//
//	place, length and crc32c of the index, and of the state (8, 8 and 4 bytes each),
//	version (4 bytes), magic (8 bytes), crc32c of all before it (4 bytes)
//
// The newest table's state counts, and lists the tables that belong to the store.
const (
	tableMagic     = "EvHubTbl"
	tableVersion   = 1
	footerBytes    = 2*(8+8+4) + 4 + 8 + 4
	tableExtension = ".table"

	// granuleBytes is the usual size of a granule, which is read whole. An entry that is larger has
	// one of its own.
	granuleBytes = 128 << 10
)

var (
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	errChecksum = errors.New("its checksum is wrong")
)

func tableName(number uint64) string { return fmt.Sprintf("%016x%s", number, tableExtension) }

// tableNumber is the number in a table's name.
func tableNumber(name string) (uint64, bool) {
	text, ok := strings.CutSuffix(name, tableExtension)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 16, 64)
	return n, err == nil && tableName(n) == name
}

// appendStoredHead appends an entry of a granule, up to its message. Its First and Offset follow
// from the entry before.
func appendStoredHead(dst []byte, e, before *emulator.Entry) []byte {
	dst = binary.AppendUvarint(dst, uint64(milliseconds(e.Enqueued)-milliseconds(before.Enqueued)))
	dst = appendBody(dst, e)
	return binary.AppendUvarint(dst, uint64(len(e.Message)))
}

// read reads the entries of a granule. Their messages are parts of p.
func (g *granule) read(p []byte) ([]emulator.Entry, error) {
	if crc32.Checksum(p, castagnoli) != g.sum {
		return nil, errChecksum
	}
	d := decoder{rest: p}
	entries := make([]emulator.Entry, 0, g.entries)
	next := g.head()
	for range g.entries {
		e := emulator.Entry{First: next.First, Offset: next.Offset, Enqueued: timeOf(milliseconds(next.Enqueued) + d.number())}
		d.body(&e)
		e.Message = d.bytes()
		if d.err != nil {
			return nil, d.err
		}
		entries = append(entries, e)
		next = emulator.Entry{First: after(&e), Offset: e.Offset + e.Bytes, Enqueued: e.Enqueued}
	}
	if len(d.rest) > 0 || next.First != g.after {
		return nil, fmt.Errorf("%d bytes follow its %d entries, which end with %d instead of %d", len(d.rest), len(entries), next.First, g.after)
	}
	return entries, nil
}

// An index is the granules of a table by the id of their log, in the log's order.
type index map[uint64][]granule

func (x index) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(x)))
	for id, granules := range x {
		dst = binary.AppendUvarint(dst, id)
		dst = binary.AppendUvarint(dst, uint64(len(granules)))
		for i := range granules {
			g := &granules[i]
			head := g.head()
			dst = appendEntry(dst, &head)
			dst = binary.AppendUvarint(dst, uint64(g.after-g.first))
			for _, v := range [...]uint32{g.place, g.length, g.sum, g.entries} {
				dst = binary.AppendUvarint(dst, uint64(v))
			}
		}
	}
	return dst
}

func readIndex(table uint64, p []byte) (index, error) {
	d := decoder{rest: p}
	x := make(index)
	for range d.count() {
		id := d.uvarint()
		granules := make([]granule, 0, d.count())
		for range cap(granules) {
			g := granule{table: table}
			head := d.entry()
			g.setHead(&head)
			g.after = g.first + d.number()
			g.place, g.length, g.sum, g.entries = uint32(d.uvarint()), uint32(d.uvarint()), uint32(d.uvarint()), uint32(d.uvarint())
			granules = append(granules, g)
		}
		x[id] = granules
	}
	if d.err == nil && len(d.rest) > 0 {
		d.err = errShort
	}
	return x, d.err
}

// A footer says where the parts of a table are.
type footer struct{ index, state part }

type part struct {
	place, length int64
	sum           uint32
}

func (f *footer) append(dst []byte) []byte {
	le, from := binary.LittleEndian, len(dst)
	for _, p := range [...]part{f.index, f.state} {
		dst = le.AppendUint64(dst, uint64(p.place))
		dst = le.AppendUint64(dst, uint64(p.length))
		dst = le.AppendUint32(dst, p.sum)
	}
	dst = le.AppendUint32(dst, tableVersion)
	dst = append(dst, tableMagic...)
	return le.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

// An openTable is a table that is read.
type openTable struct {
	file journal.File
	footer
}

// openTable opens a table and reads its footer. The caller closes the file.
func (s *Store) openTable(number uint64) (t openTable, err error) {
	path := filepath.Join(s.directory, tableName(number))
	if t.file, err = s.files.Open(path, false); err != nil {
		return t, err
	}
	if err = t.readFooter(path); err != nil {
		_ = t.file.Close() // it was only read
	}
	return t, err
}

func (t *openTable) readFooter(path string) error {
	size, err := t.file.Size()
	if err != nil {
		return err
	}
	if size == 0 {
		return &damagedError{path, errors.New("it is empty")}
	}
	var p [footerBytes]byte
	if size < footerBytes {
		return &damagedError{path, fmt.Errorf("it has only %d bytes", size)}
	}
	if err := readFull(t.file, p[:], size-footerBytes); err != nil {
		return err
	}
	le := binary.LittleEndian
	if le.Uint32(p[footerBytes-4:]) != crc32.Checksum(p[:footerBytes-4], castagnoli) || string(p[footerBytes-12:footerBytes-4]) != tableMagic {
		return &damagedError{path, errors.New("it does not end as it was written")}
	}
	if version := le.Uint32(p[footerBytes-16:]); version != tableVersion {
		return fmt.Errorf("%s has the format %d, and this version reads %d: use the version that wrote it", path, version, tableVersion)
	}
	for i, to := range [...]*part{&t.index, &t.state} {
		at := p[i*20:]
		*to = part{int64(le.Uint64(at)), int64(le.Uint64(at[8:])), le.Uint32(at[16:])}
		if to.place < 0 || to.length < 0 || to.length > size || to.place > size-to.length {
			return &damagedError{path, errors.New("its parts are outside of it")}
		}
	}
	return nil
}

// read reads a part.
func (t *openTable) read(p part) ([]byte, error) {
	b := make([]byte, p.length)
	if err := readFull(t.file, b, p.place); err != nil {
		return nil, err
	}
	if crc32.Checksum(b, castagnoli) != p.sum {
		return nil, errChecksum
	}
	return b, nil
}

// readFull reads exactly the bytes of p.
func readFull(file io.ReaderAt, p []byte, at int64) error {
	n, err := file.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
