package eventhubs

import (
	"context"
	"iter"
	"maps"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Property yields the application property of that name of each event of the batch that has one which is a string, in their order; the same text in succession
// is the same string. It reads the events as they are on the wire, without decoding the rest of them. Call it while the function that was told of the batch
// runs, not later: the batch's memory is used again.
func (b TracedBatch) Property(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if b.batch == nil {
			return
		}
		last := ""
		for _, encoded := range b.batch.events {
			text, ok := applicationProperty(encoded, name)
			if !ok {
				continue
			}
			if string(text) != last {
				last = string(text)
			}
			if !yield(last) {
				return
			}
		}
	}
}

func applicationProperty(encoded []byte, name string) (text []byte, ok bool) {
	for section, err := range amqp.Sections(encoded) {
		switch {
		case err != nil || section.Code >= amqp.SectionData: // properties come before the body
			return nil, false
		case section.Code == amqp.SectionApplicationProperties:
			return section.Text(name)
		}
	}
	return nil, false
}

// A tracedEvent is the copy that Trace.Encoding may add to. It is used again.
type tracedEvent struct {
	event      azeventhubs.EventData
	properties map[string]any
}

// manyProperties is how many a copy's map may have had to be used again: a map never shrinks.
const manyProperties = 64

// traceEncoding lets the trace add properties to a copy of the event, if it wants to. The copy goes to traceEncoded afterwards.
func (p *BufferedProducer) traceEncoding(ctx context.Context, event *azeventhubs.EventData) (*azeventhubs.EventData, *tracedEvent) {
	t := p.options.Trace
	if t == nil || t.Encoding == nil {
		return event, nil
	}
	c, ok := p.tracedEvents.Get().(*tracedEvent)
	if !ok {
		c = &tracedEvent{properties: map[string]any{}}
	}
	maps.Copy(c.properties, event.Properties)
	c.event = *event
	c.event.Properties = c.properties
	t.Encoding(ctx, &c.event)
	return &c.event, c
}

// traceEncoded takes back a copy whose event is encoded.
func (p *BufferedProducer) traceEncoded(c *tracedEvent) {
	if c == nil {
		return
	}
	many := len(c.properties) > manyProperties
	clear(c.properties)
	c.event = azeventhubs.EventData{}
	if !many {
		p.tracedEvents.Put(c)
	}
}
