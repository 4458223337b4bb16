package emulator

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetentionTakesWholeBatchesFromTheBeginning(t *testing.T) {
	for _, test := range []struct {
		name      string
		retention Retention
		first     int64 // after 10 batches of 3 events of 10 bytes, one a minute
	}{
		{"nothing", Retention{}, 0},
		{"time", Retention{Time: 5 * time.Minute}, 15},
		{"bytes", Retention{Bytes: 100}, 21},
		{"exactly these bytes", Retention{Bytes: 90}, 21},
		{"fewer bytes than the newest batch", Retention{Bytes: 1}, 27},
		{"events", Retention{Events: 10}, 21},
		{"fewer events than the newest batch", Retention{Events: 2}, 27},
		{"whatever comes first", Retention{Time: 5 * time.Minute, Bytes: 1000, Events: 6}, 24},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPartition(0, settings{retention: test.retention})
				for range 10 {
					p.append(testBatch(3, 10))
					time.Sleep(time.Minute)
				}
				got := p.end()
				if got.first != test.first || got.last != 29 || got.offset != 290 || got.empty() {
					t.Errorf("end() = %+v; want the first %d, the last 29 at offset 290", got, test.first)
				}
				b, index, _, _ := p.read(0)
				if b == nil || b.first != test.first || index != 0 {
					t.Errorf("reading from the beginning finds %+v at %d, want sequence number %d", b, index, test.first)
				}
				if got := p.counts(); got.Events != 30 || got.Batches != 10 || got.Bytes != 300 {
					t.Errorf("counts() = %+v; want all that was ever stored", got)
				}
			})
		})
	}
}

func TestPartitionWhoseEventsAreAllGoneKeepsItsNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPartition(0, settings{retention: Retention{Time: time.Hour}})
		if !p.end().empty() {
			t.Error("a new partition is not empty")
		}
		p.append(testBatch(3, 10))
		stored := time.Now().UTC()
		time.Sleep(time.Hour)
		if p.end().empty() {
			t.Error("an event is gone at the end of its time, not behind it")
		}
		time.Sleep(time.Millisecond)
		if got := p.end(); !got.empty() || got.first != 3 || got.last != 2 || got.offset != 20 || !got.enqueued.Equal(stored) {
			t.Errorf("end() = %+v; want it empty, behind sequence number 2", got)
		}
		b, _, changed, _ := p.read(0)
		if b != nil || changed == nil {
			t.Fatalf("read(0) = %v", b)
		}
		for name, f := range map[string]filter{
			"the start": {by: byOffset, value: -1}, "the last offset": {by: byOffset, value: 20}, "the end": {by: byLatest}, "a time": {by: byTime},
			"the last number": {by: bySequence, value: 2}, "a number that is gone": {by: bySequence, value: 0, inclusive: true},
		} {
			pos, refused := f.start(p)
			if refused != nil {
				t.Errorf("starting from %s: %v", name, refused)
			}
			if b, _, _, _ := p.read(pos); b != nil {
				t.Errorf("starting from %s finds an event", name)
			}
		}
		p.append(testBatch(1, 10))
		<-changed
		if b, _, _, _ := p.read(0); b == nil || b.first != 3 || b.offset != 30 {
			t.Errorf("the next event is %+v, want sequence number 3 at offset 30", b)
		}
	})
}

// An event's time may lie before the year 1.
func TestOnlyRetentionByTimeLooksAtTheTime(t *testing.T) {
	p := newPartition(0, settings{retention: Retention{Events: 10}})
	b := testBatch(3, 10)
	b.enqueued = time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)
	p.append(b)
	if got := p.end(); got.empty() || got.first != 0 {
		t.Errorf("end() = %+v, want the event kept", got)
	}
}

func TestDiscardKeepsNumbersOnly(t *testing.T) {
	p := newPartition(0, settings{discard: true})
	for range 3 {
		p.append(testBatch(2, 10))
	}
	if got := p.end(); !got.empty() || got.last != 5 || got.offset != 50 {
		t.Errorf("end() = %+v", got)
	}
	if got := p.counts(); got.Events != 6 || got.Batches != 3 || got.Bytes != 60 {
		t.Errorf("counts() = %+v", got)
	}
	if b, _, changed, _ := p.read(0); b != nil || changed == nil {
		t.Errorf("read(0) = %+v", b)
	}
}

// FuzzReadStored checks that every value of a store is either refused, or is what a batch or a
// producer was written as.
func FuzzReadStored(f *testing.F) {
	b := testBatch(1, 10)
	b.buffer = []byte{0, 0x53, 0x75, 0xa0, 1, 'x'}
	f.Add(append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{1, 0, 0, 0, 0}, 70), 1_700_000_000_000), b.buffer...))
	f.Add((&producer{epoch: 3, last: 9, recent: []numbers{{id: 7, epoch: 2, first: 8, last: 9, sum: 1 << 31}}}).appendTo(nil))
	f.Fuzz(func(t *testing.T, value []byte) {
		key := []byte("batch\x00events\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05")
		if c, err := ReadFormerBatch(key, value); err == nil {
			b, err := c.Entry.batch()
			if err != nil || c.Log != "events\x002" || b.first != 5 || !bytes.Equal(b.buffer, value[21:]) || !reflect.DeepEqual(*c.Entry, withMessage(b)) {
				t.Errorf("%x is read as %+v, %v", value, c, err)
			}
		}
		if p, err := readProducer(7, value); err == nil && !bytes.Equal(p.appendTo(nil), value) {
			t.Errorf("%x is read as %+v", value, p)
		}
	})
}

func withMessage(b *batch) Entry {
	e := b.entry()
	e.Message = b.buffer
	return e
}
