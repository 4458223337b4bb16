package record

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

func entries() []*Entry {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	id := ID{Producer: 3, Flags: Idempotent | Ordered, Life: 77}
	return []*Entry{
		{Kind: Begin, ID: id, Time: at, Partition: -1},
		{Kind: Intent, First: 5, Count: 64, Partition: -1},
		{Kind: Accepted, First: 5, Count: 64, Partition: -1},
		{Kind: Refused, First: 69, Count: 1, Code: "closed", Partition: -1},
		{Kind: Reported, Time: at, Storage: Stored, Partition: 0, Numbers: []uint64{9, 3, 1 << 40}},
		{Kind: Reported, Time: at, Storage: PossiblyStored, Partition: -1, Code: "timeout", Numbers: []uint64{7}},
		{Kind: Reported, Time: at, Storage: Stored, Partition: 2, Life: 1<<32 - 1, Recovered: true, Numbers: []uint64{3, 4}},
		{Kind: Delivered, First: 9, Storage: NotStored, Partition: -1},
		{Kind: Tried, Time: at, Partition: 7, Code: "connection-lost"},
		{Kind: Sample, Time: at, Heap: 1 << 33, Goroutines: 40, Partition: -1},
		{Kind: End, Time: at, Code: "undelivered", Count: 12, Partition: -1},
		{Kind: Resumed, First: 1 << 40, Partition: -1},
		{Kind: Full, Time: at, Partition: -1},
	}
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.record")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	want := entries()
	if err := errors.Join(w.Write(want[:4]...), w.Write(want[4:]...), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path); err == nil {
		t.Error("a second life writes to the record of the first")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(bytes.NewReader(data))
	var e Entry
	for i, want := range want {
		if err := r.Next(&e); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		if len(e.Numbers) == 0 {
			e.Numbers = nil
		}
		if !reflect.DeepEqual(&e, want) {
			t.Errorf("entry %d is %+v, want %+v", i, e, *want)
		}
	}
	if err := r.Next(&e); err != io.EOF {
		t.Errorf("after the last entry: %v, want io.EOF", err)
	}
}

func TestAKillLosesTheLastEntryOnly(t *testing.T) {
	var data []byte
	ends := []int{0}
	for _, e := range entries() {
		data = e.Append(data)
		ends = append(ends, len(data))
	}
	for cut := range data {
		whole, torn := slices.BinarySearch(ends, cut)
		want := ErrTorn
		if torn {
			want = io.EOF
		} else {
			whole--
		}
		r, n := NewReader(bytes.NewReader(data[:cut])), 0
		var e Entry
		err := r.Next(&e)
		for ; err == nil; err = r.Next(&e) {
			n++
		}
		if n != whole || err != want {
			t.Fatalf("cut after %d bytes: %d entries and %v, want %d and %v", cut, n, err, whole, want)
		}
	}
}

func TestEachChangedByteIsNoticed(t *testing.T) {
	var reader BodyReader
	for _, number := range []uint64{0, 1, largeEvery - 1} {
		id := ID{Producer: 2, Flags: Targeted, Life: 9, Number: number}
		body := AppendBody(nil, id)
		if got, err := reader.Read(body); got != id || err != nil {
			t.Fatalf("%+v, %v, want %+v", got, err, id)
		}
		for i := range body {
			body[i] ^= 4
			if _, err := reader.Read(body); !errors.Is(err, ErrBody) {
				t.Fatalf("byte %d of event %d is another: %v, want ErrBody", i, number, err)
			}
			body[i] ^= 4
		}
		if _, err := reader.Read(body[:len(body)-1]); !errors.Is(err, ErrBody) {
			t.Errorf("event %d without its last byte: %v, want ErrBody", number, err)
		}
	}
}

func TestRoutesCoverKeysPartitionsAndNeither(t *testing.T) {
	const partitions = 8
	keys, ids, free := map[string]int{}, map[int]int{}, 0
	for n := range uint64(10_000) {
		switch r := (ID{Life: 4, Number: n, Flags: Targeted}).Route(partitions); {
		case r.Key != "":
			keys[r.Key]++
		case r.Partition >= 0:
			ids[r.Partition]++
		default:
			free++
		}
		if r := (ID{Life: 4, Number: n}).Route(partitions); r != Anywhere {
			t.Fatalf("event %d of a producer without targets goes to %+v", n, r)
		}
	}
	if len(keys) != Keys || len(ids) != partitions || free < 2000 || free > 3000 {
		t.Errorf("%d keys, %d partitions and %d events with neither, want %d, %d and about 2500", len(keys), len(ids), free, Keys, partitions)
	}
}

// FuzzReader reads any bytes: it ends without a panic, and what it read it would write in the same
// way.
func FuzzReader(f *testing.F) {
	var all []byte
	for _, e := range entries() {
		all = e.Append(all)
		f.Add(e.Append(nil))
	}
	f.Add(all)
	f.Add(all[:len(all)-3])
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		var e Entry
		for {
			if err := r.Next(&e); err != nil {
				return
			}
			var again Entry
			if err := NewReader(bytes.NewReader(e.Append(nil))).Next(&again); err != nil {
				t.Fatalf("%+v: %v", e, err)
			}
			if len(e.Numbers) == 0 && len(again.Numbers) == 0 {
				e.Numbers, again.Numbers = nil, nil
			}
			if !reflect.DeepEqual(e, again) {
				t.Fatalf("%+v became %+v", e, again)
			}
		}
	})
}

// FuzzBody reads any bytes as a body: a body that is taken is the only one with its ID.
func FuzzBody(f *testing.F) {
	for _, n := range []uint64{0, 5, largeEvery - 1} {
		f.Add(AppendBody(nil, ID{Producer: 1, Flags: Ordered, Life: 2, Number: n}))
	}
	f.Add([]byte("TE"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r BodyReader
		if id, err := r.Read(body); err == nil && !bytes.Equal(AppendBody(nil, id), body) {
			t.Fatalf("%d bytes were taken for event %+v", len(body), id)
		}
	})
}

// The checksum of such an entry is right, but no writer has made it.
func TestAnEntryWithAValueOutOfItsRangeIsDamaged(t *testing.T) {
	reported := &Entry{Kind: Reported, Time: time.UnixMicro(5), Storage: Stored, Partition: 2, Life: 1<<32 - 1, Numbers: []uint64{3}}
	payload := reported.appendPayload(nil)
	life := bytes.Index(payload, []byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	if err := new(Entry).parse(payload); err != nil || life < 1 {
		t.Fatalf("%x: %v", payload, err)
	}
	for name, at := range map[string]int{"a flag of 2": life - 1, "a life above 32 bits": life + 4} {
		edited := slices.Clone(payload)
		if edited[at] = 0x1f; at < life {
			edited[at] = 2
		}
		if err := new(Entry).parse(edited); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %v, want ErrDamaged", name, err)
		}
	}
}

func TestAnEntryWithAnotherByteIsDamaged(t *testing.T) {
	data := (&Entry{Kind: Accepted, First: 5, Count: 64}).Append(nil)
	data[2] ^= 1 // First, so only the checksum shows it
	if err := NewReader(bytes.NewReader(data)).Next(new(Entry)); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
}
