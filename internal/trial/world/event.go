package world

import (
	"cmp"
	"testing"

	"github.com/go-eventhubs/eventhubs"
)

// With returns an event with the route, ExpiresAt, Delivery and Tag of another event. A nil event
// has none of them.
func With(e, o *eventhubs.Event) *eventhubs.Event {
	if o == nil {
		return e
	}
	out := *e
	out.PartitionID, out.PartitionKey = cmp.Or(o.PartitionID, e.PartitionID), cmp.Or(o.PartitionKey, e.PartitionKey)
	out.ExpiresAt, out.Delivery, out.Tag = o.ExpiresAt, o.Delivery, o.Tag
	return &out
}

// Enqueue fails the test if the producer refuses an event.
func Enqueue(t *testing.T, p *eventhubs.BufferedProducer, partition string, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: partition}); err != nil {
			t.Errorf("Enqueue(%q): %v", body, err)
		}
	}
}

func Event(body string) *eventhubs.Event { return &eventhubs.Event{Body: []byte(body)} }
