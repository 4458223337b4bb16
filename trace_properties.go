package eventhubs

import (
	"iter"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Property yields the application property of that name of each event in the batch, in order. It
// skips events without one, and values that are not strings. Equal texts in succession are one
// string. It reads the encoded events without decoding the rest of them. Call it only while the
// Trace function that got the batch runs: the producer uses the batch's memory again.
func (b TracedBatch) Property(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if b.batch == nil {
			return
		}
		last := ""
		for _, encoded := range b.batch.all() {
			text, ok := amqp.ApplicationText(encoded, name)
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

// Properties are the application properties of an event that is about to be encoded. They are valid
// until [Trace.Encoding] returns.
type Properties struct {
	own   map[string]any // the caller's, never written
	added []property
}

type property struct{ name, text string }

// Get returns the property of that name, and whether there is one.
func (p *Properties) Get(name string) (value any, ok bool) {
	if value, ok = p.own[name]; ok {
		return value, true
	}
	for _, a := range p.added {
		if a.name == name {
			return a.text, true
		}
	}
	return nil, false
}

// Add adds a property, unless there is one of that name already. Enqueue refuses the event if the
// name or the text is not valid UTF-8.
func (p *Properties) Add(name, text string) {
	if _, ok := p.Get(name); !ok {
		p.added = append(p.added, property{name, text})
	}
}

// reset replaces them by the properties of another event.
func (p *Properties) reset(own map[string]any) {
	clear(p.added)
	p.own, p.added = own, p.added[:0]
}
