package judge

import (
	"runtime"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/record"
)

// A hundred million events are to be judged in 1 GB, so none of them may take ten bytes. It takes bits.
func TestTheLedgerKeepsBitsForAnEvent(t *testing.T) {
	const events, perCall = 1_000_000, 1000
	l := NewLedger(1)
	id := record.ID{Life: 1, Flags: record.Ordered}
	batch := make([]Received, perCall)
	for i := range batch {
		batch[i].Body = make([]byte, 0, record.LargeBody)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, began := heap(), time.Now()
	for id.Number < events {
		for i := range batch {
			batch[i].Sequence = int64(id.Number)
			batch[i].Body = record.AppendBody(batch[i].Body[:0], id)
			id.Number++
		}
		l.Add(batch)
	}
	took := time.Since(began)
	bits := 8 * (float64(heap()) - float64(before)) / events
	runtime.KeepAlive(batch)
	t.Logf("%.2f bits and %v an event", bits, took/events)
	if bits < 1 || bits > 3 {
		t.Errorf("an event takes %.1f bits, want the one that says that it is stored, and what append adds", bits)
	}
	if l.Read() != events || len(l.findings.Counts) > 0 {
		t.Errorf("%d events, and wrong: %v", l.Read(), l.findings.Examples)
	}
}
