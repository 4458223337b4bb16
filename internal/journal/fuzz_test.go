package journal

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"
)

func sampleHead() *segment {
	return &segment{
		number: 7, previous: 5, oldest: 2, first: 1000, sequence: 90, salt: 0x01020304, created: time.Unix(1_700_000_000, 5), restores: true, snapshot: []byte("state"),
	}
}

func sampleBlock() []byte {
	b := block{salt: 0x01020304, unsynced: 1, sequence: 90, first: 1000, count: 2}
	whole := append(make([]byte, headerBytes), "\x03one\x05three"...)
	b.seal(whole)
	return whole
}

// Journals that exist are read for ever: these bytes never change.
func TestTheFormatIsTheReleasedOne(t *testing.T) {
	for got, want := range map[string]string{
		hex.EncodeToString(sampleHead().encode(nil, journalID{1, 2, 3})): "45764875624a6e6c0100000000000000010000006d00000001020300000000000000000000000000" +
			"070000000000000005000000000000000200000000000000e8030000000000005a0000000000000005002a36fe9c9717" +
			"04030201000000000500000073746174652ac56252",
		hex.EncodeToString(sampleBlock()): "0586791a0a00000004030201010000005a00000000000000e8030000000000000200000000000000036f6e65057468726565",
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add(sampleHead().encode(nil, journalID{1}))
	f.Add((&segment{number: 1, first: 1, sequence: 1}).encode(nil, journalID{}))
	f.Fuzz(func(t *testing.T, p []byte) {
		s, id, err := decodeHead(p)
		if err != nil {
			return
		}
		if s.head > int64(len(p)) {
			t.Fatalf("a head of %d bytes in %d", s.head, len(p))
		}
		again, other, err := decodeHead(s.encode(nil, id))
		if err != nil || other != id || again.number != s.number || again.first != s.first || again.salt != s.salt || !bytes.Equal(again.snapshot, s.snapshot) {
			t.Fatalf("got %+v, %v, want %+v", again, err, s)
		}
	})
}

// memoryFile is a file that is only read.
type memoryFile struct{ *bytes.Reader }

func (memoryFile) WriteAt([]byte, int64) (int, error) { panic("written") }
func (memoryFile) Sync() error                        { return nil }
func (memoryFile) Push()                              {}
func (memoryFile) Close() error                       { return nil }
func (m memoryFile) Size() (int64, error)             { return m.Reader.Size(), nil }

func FuzzBlocks(f *testing.F) {
	one := sampleBlock()
	f.Add(one, uint32(0x01020304))
	f.Add(append(append([]byte("torn"), one...), one[:30]...), uint32(0x01020304))
	f.Fuzz(func(t *testing.T, p []byte, salt uint32) {
		w := window{file: memoryFile{bytes.NewReader(p)}, salt: salt}
		size := int64(len(p))
		r := run{sequence: 90, first: 1000}
		for {
			b, records, err := w.block(r.at, size)
			if err != nil || r.take(b) != nil {
				break
			}
			for n := uint32(0); len(records) > 0 && n < b.count; n++ {
				if _, records, err = cut(records); err != nil {
					break
				}
			}
		}
		if r.at > size {
			t.Fatalf("the blocks end at %d of %d bytes", r.at, size)
		}
		if torn, _ := r.torn(&w, size, "file"); torn < 0 || torn > size-r.at {
			t.Fatalf("%d bytes are torn after byte %d of %d", torn, r.at, size)
		}
		if next, _ := r.damage(&w, size, 0); next.at < r.at || next.at > size {
			t.Fatalf("reading goes on at %d of %d bytes", next.at, size)
		}
		b, at, err := firstBlock(w.file, size, 1, 0)
		if _, _, again := decode(p[min(at, size):], b.salt); err == nil && again != nil {
			t.Fatalf("there is no block at %d: %v", at, again)
		}
	})
}

// Any two records come out of a block as they went in.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(""), []byte("one"), uint32(5))
	f.Fuzz(func(t *testing.T, a, b []byte, salt uint32) {
		whole := make([]byte, headerBytes)
		for _, record := range [][]byte{a, b} {
			whole = appendUvarint(whole, len(record))
			whole = append(whole, record...)
		}
		(&block{salt: salt, sequence: 3, first: 9, count: 2}).seal(whole)
		got, rest, err := decode(whole, salt)
		if err != nil || got.first != 9 || got.after() != 11 {
			t.Fatalf("%+v, %v", got, err)
		}
		for _, want := range [][]byte{a, b} {
			var record []byte
			if record, rest, err = cut(rest); err != nil || !bytes.Equal(record, want) {
				t.Fatalf("%q, %v, want %q", record, err, want)
			}
		}
	})
}

func appendUvarint(p []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		p = append(p, byte(n)|0x80)
	}
	return append(p, byte(n))
}
