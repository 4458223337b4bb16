package emulator

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// testBatch makes a batch of events of a size, with messages of zeroes.
func testBatch(events, size int) *batch {
	b := &batch{buffer: make([]byte, events*size), bytes: int64(events * size)}
	for i := range events {
		at := uint32(i * size)
		b.events = append(b.events, span{at, at, at, at, at + uint32(size), at})
	}
	return b
}

func TestPartitionNumbersEventsWithoutGaps(t *testing.T) {
	p := newPartition(3, settings{})
	for _, n := range []int{1, 4, 2} {
		p.append(testBatch(n, 7))
	}
	lastOffset := int64(-1)
	for pos := range position(7) {
		b, i, changed, _ := p.read(pos)
		if b == nil || changed != nil {
			t.Fatalf("read(%d) = %v, _, %v; want a batch", pos, b, changed)
		}
		if got := b.first + int64(i); got != int64(pos) {
			t.Errorf("read(%d) found sequence number %d", pos, got)
		}
		if got := b.offsetOf(i); got != lastOffset+7 && pos > 0 {
			t.Errorf("offset %d behind %d; events have 7 bytes", got, lastOffset)
		}
		lastOffset = b.offsetOf(i)
	}
	want := end{first: 0, last: 6, offset: 42}
	got := p.end()
	if got.first != want.first || got.last != want.last || got.offset != want.offset || got.enqueued.IsZero() {
		t.Errorf("end() = %+v, want %+v and a time", got, want)
	}
	if got, want := p.counts(), (Counts{Events: 7, Batches: 3, Bytes: 49}); got != want {
		t.Errorf("counts() = %+v, want %+v", got, want)
	}
}

// The overhead of a batch counts neither within it nor for the next batch.
func TestOffsetsRiseFromBatchToBatch(t *testing.T) {
	p := newPartition(0, settings{})
	for range 3 {
		b, _, refused := splitMessage(encodeBatch(nil, encode(text("a")), encode(text("bc")), encode(text("def"))), formatBatch)
		if refused != nil {
			t.Fatal(refused)
		}
		p.append(b)
	}
	var last, bytes int64 = -1, 0
	for pos := range position(9) {
		b, i, _, _ := p.read(pos)
		offset := b.offsetOf(i)
		if offset <= last || offset != bytes {
			t.Errorf("event %d has offset %d behind %d, want the %d bytes of the events before it", pos, offset, last, bytes)
		}
		if got, _ := p.afterOffset(offset, false); got != pos+1 {
			t.Errorf("who resumes behind event %d, by its offset, is given event %d", pos, got)
		}
		if got, _ := p.afterOffset(offset, true); got != pos {
			t.Errorf("who starts with event %d, by its offset, is given event %d", pos, got)
		}
		last, bytes = offset, bytes+int64(len(b.message(i)))
	}
}

func TestPartitionReadersWaitForTheNextAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPartition(0, settings{})
		var readers sync.WaitGroup
		for range 3 {
			// Each ends with the append below; Wait waits for it.
			readers.Go(func() {
				b, _, changed, _ := p.read(0)
				if b != nil {
					t.Error("an empty partition has a batch")
					return
				}
				<-changed
				if b, _, _, _ := p.read(0); b == nil {
					t.Error("a reader was woken for nothing")
				}
			})
		}
		synctest.Wait()
		p.append(testBatch(1, 1))
		readers.Wait()
	})
}

func TestPartitionTimesAreWholeMillisecondsInOrder(t *testing.T) {
	p := newPartition(0, settings{})
	last := time.Time{}
	for i := range 100 {
		p.append(testBatch(1, 1))
		b, _, _, _ := p.read(position(i))
		if b.enqueued.Before(last) || b.enqueued.Nanosecond()%int(time.Millisecond) != 0 || b.enqueued.Location() != time.UTC {
			t.Fatalf("event %d was enqueued at %v, the one before at %v", i, b.enqueued, last)
		}
		last = b.enqueued
	}
}

func TestHubSpreadsBatchesInTurnAndByKey(t *testing.T) {
	h := newHub(Hub{Name: "h", Partitions: 4}, settings{}, nil)
	for i := range 8 {
		if got, want := h.choose("", false).id, strconv.Itoa(i%4); got != want {
			t.Errorf("batch %d went to partition %s, want %s", i, got, want)
		}
	}
	// Vectors of the service's hash.
	for key, want := range map[string]string{"": "0", "a": "0", "7": "3", "131": "2", "FWfAT": "1", "ключ": "2"} {
		if got := h.choose(key, true).id; got != want {
			t.Errorf("key %q went to partition %s, want %s", key, got, want)
		}
	}
}

func TestHubLooksPartitionsUpByTheirExactID(t *testing.T) {
	h := newHub(Hub{Name: "h", Partitions: 4}, settings{}, nil)
	for id, want := range map[string]bool{"0": true, "3": true, "4": false, "-1": false, "03": false, "+1": false, "": false, "x": false} {
		if got := h.partition(id) != nil; got != want {
			t.Errorf("partition(%q) exists: %v, want %v", id, got, want)
		}
	}
}

func BenchmarkReadAtTheEndOfALongLog(b *testing.B) {
	p := newPartition(0, settings{})
	for range 100_000 {
		p.append(testBatch(1, 1))
	}
	for b.Loop() {
		_, _, _, _ = p.read(99_999)
	}
}
