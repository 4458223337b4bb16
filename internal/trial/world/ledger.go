package world

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// A Ledger records the events that handlers get, by partition and in order.
type Ledger struct {
	mu   sync.Mutex // guards the field below
	told map[string][]string
}

func (l *Ledger) Handle(_ context.Context, b *eventhubs.Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == nil {
		l.told = map[string][]string{}
	}
	for e := range b.Events() {
		l.told[b.PartitionID] = append(l.told[b.PartitionID], fmt.Sprintf("%s|%s|%v", e.Body, e.PartitionKey, e.Properties["n"]))
	}
}

// WantStored checks that each partition holds the events that the handlers got, in that order.
func (l *Ledger) WantStored(t *testing.T, server *emulator.Server, total int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range server.PartitionIDs("hub") {
		var stored []string
		for e := range server.Events("hub", id) {
			stored = append(stored, fmt.Sprintf("%s|%s|%v", e.Body, e.PartitionKey, e.Properties["n"]))
		}
		if !slices.Equal(stored, l.told[id]) {
			t.Errorf("partition %s holds %d events, the handlers got %d, or another order", id, len(stored), len(l.told[id]))
		}
		total -= len(stored)
	}
	if total != 0 {
		t.Errorf("%d events are missing", total)
	}
}

// PublishEveryWay enqueues events with a key, with an id, with neither, and as a set.
func PublishEveryWay(t *testing.T, p *eventhubs.BufferedProducer, round int) (events int) {
	t.Helper()
	next := func() *eventhubs.Event {
		events++
		return &eventhubs.Event{Body: fmt.Appendf(nil, "%d-%d", round, events), Properties: map[string]any{"n": int64(events)}}
	}
	for i := range 50 {
		for _, o := range []*eventhubs.Event{nil, {PartitionKey: fmt.Sprint("key", i%5)}, {PartitionID: fmt.Sprint(i % 3)}} {
			if err := p.Enqueue(t.Context(), With(next(), o)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := p.EnqueueAll(t.Context(), eventhubs.Events(next(), next(), next())); err != nil {
		t.Fatal(err)
	}
	return events
}
