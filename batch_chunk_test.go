package eventhubs

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

func TestBatchHoldsItsEvents(t *testing.T) {
	sizes := []int{0, 1, 100, 254, 255, 256, 257, 1000, smallChunk - 1, smallChunk, smallChunk + 1, largeChunk - 1, largeChunk, largeChunk + 1, 1 << 20}
	for first := range sizes { // each size begins a batch once, and follows every other size
		b := new(batch)
		var events [][]byte
		wire := 0
		for i := range sizes {
			event := bytes.Repeat([]byte{byte(i + 1)}, sizes[(first+i)%len(sizes)])
			events = append(events, event)
			b.append(event[:len(event)/3], event[len(event)/3:], new(extra), time.Time{})
			wire += len(amqp.AppendBinary(amqp.AppendSectionHeader(nil, amqp.SectionData), event))
		}
		for i, got := range b.all() {
			if !bytes.Equal(got, events[i]) {
				t.Fatalf("sizes from %d on: event %d has %d bytes that differ from the %d that were put in", sizes[first], i, len(got), len(events[i]))
			}
			if cap(got) != len(got) {
				t.Errorf("event %d could be appended to, into the next", i)
			}
		}
		if b.bytes != wire || b.count != len(events) {
			t.Errorf("sizes from %d on: %d events in %d bytes, want %d in %d as the codec writes them", sizes[first], b.count, b.bytes, len(events), wire)
		}
		for i, got := range scripted.EventsIn(t, b.frames()) {
			if !bytes.Equal(got, events[i]) {
				t.Fatalf("sizes from %d on: event %d goes over the wire as %d bytes that differ from its %d", sizes[first], i, len(got), len(events[i]))
			}
		}
		b.reset()
	}
}

func TestCutBatchKeepsItsFirstEvents(t *testing.T) {
	b := new(batch)
	for i := range 100 {
		b.append(nil, bytes.Repeat([]byte{byte(i)}, 1000), new(extra), time.Time{})
	}
	s := b.split(func(i int) bool { return i >= 30 }, 50*sectionSize(1000))
	s.leaveLocked()
	var got []byte
	counts := []int{}
	for _, piece := range append([]*batch{b}, s.pieces...) {
		counts = append(counts, piece.count)
		for _, event := range piece.all() {
			got = append(got, event[0])
		}
		if want := piece.count * sectionSize(1000); piece.bytes != want {
			t.Errorf("a piece of %d events has %d bytes, want %d", piece.count, piece.bytes, want)
		}
	}
	for i := range 100 {
		if len(got) != 100 || got[i] != byte(i) {
			t.Fatalf("pieces of %v events have %v, want 0 to 99", counts, got)
		}
	}
	if len(counts) != 3 || counts[0] != 30 || counts[1] != 50 {
		t.Errorf("pieces of %v events, want 30, 50, 20", counts)
	}
}

func TestChunksGrowWithTheirBatch(t *testing.T) {
	b := new(batch)
	var sizes []int
	for len(sizes) < 7 {
		b.append(nil, make([]byte, 1000), new(extra), time.Time{})
		if n := len(b.chunks); n > len(sizes) {
			sizes = append(sizes, cap(b.chunks[n-1].memory)>>10)
		}
	}
	if want := []int{4, 4, 8, 16, 32, 64, 64}; !slices.Equal(sizes, want) {
		t.Errorf("the chunks of a batch have %v KiB, want %v", sizes, want)
	}
	for _, c := range []struct{ size, others, want int }{
		{1, 0, smallChunk}, {smallChunk - chunkRoom, 0, smallChunk}, {smallChunk - chunkRoom + 1, 0, 2 * smallChunk}, {1, smallChunk + 1, 2 * smallChunk},
		{largeChunk - chunkRoom, 0, largeChunk}, {1, 1 << 20, largeChunk}, {largeChunk, 1 << 20, largeChunk + chunkRoom},
	} {
		if got := newChunk(c.size, c.others); cap(got.memory) != c.want || len(got.memory) != chunkRoom {
			t.Errorf("for %d bytes after %d others: a chunk of %d, %d used, want %d and %d", c.size, c.others, cap(got.memory), len(got.memory), c.want, chunkRoom)
		}
	}
}
