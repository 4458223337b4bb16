package world

import (
	"cmp"
	"testing"

	"github.com/go-eventhubs/eventhubs"
)

// With is an event with the route of another one, and its ExpiresAt, Delivery and Tag; nil has none.
func With(e, o *eventhubs.Event) *eventhubs.Event {
	if o == nil {
		return e
	}
	out := *e
	out.PartitionID, out.PartitionKey = cmp.Or(o.PartitionID, e.PartitionID), cmp.Or(o.PartitionKey, e.PartitionKey)
	out.ExpiresAt, out.Delivery, out.Tag = o.ExpiresAt, o.Delivery, o.Tag
	return &out
}

// Enqueue fails the test if an event is not accepted.
func Enqueue(t *testing.T, p *eventhubs.BufferedProducer, partition string, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: partition}); err != nil {
			t.Errorf("Enqueue(%q): %v", body, err)
		}
	}
}

func Event(body string) *eventhubs.Event { return &eventhubs.Event{Body: []byte(body)} }
