package eventhubs

import (
	"iter"
	"slices"
	"unicode/utf8"

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
	own     map[string]any // the caller's, never written
	added   []property     // without the one of AddTraceParent
	encoded []byte         // the same, as the event gets them

	// The event's TraceParent. It is known once sought is set: then has reports whether there is a
	// property for it, and ours whether AddTraceParent has added that.
	parent            TraceParent
	has, ours, sought bool
}

// An added property.
type property struct {
	name       string
	begin, end int  // of its text in Properties.encoded
	invalid    bool // it is not valid UTF-8
}

// Get returns the property of that name, and whether there is one.
func (p *Properties) Get(name string) (value any, ok bool) {
	if value, ok = p.own[name]; ok {
		return value, true
	}
	for i := range p.added {
		if p.added[i].name == name {
			return string(p.text(i)), true
		}
	}
	if p.ours && name == traceParentName {
		return p.parent.String(), true
	}
	return nil, false
}

// Add adds a property, unless there is one of that name already. Enqueue refuses the event if the
// name or the text is not valid UTF-8.
func (p *Properties) Add(name, text string) {
	if p.contains(name) {
		return
	}
	p.encoded = amqp.AppendString(amqp.AppendString(p.encoded, name), text)
	end := len(p.encoded)
	p.added = append(p.added, property{name: name, begin: end - len(text), end: end, invalid: !utf8.ValidString(name) || !utf8.ValidString(text)})
	if carries, _ := carriesParent(name); carries && !p.ours {
		p.sought = false
	}
}

// AddTraceParent adds the property traceparent, unless the event has it or Diagnostic-Id already, in
// any case. It reports whether it did. It is faster than Add. [TracedBatch.TraceParents] yields the
// same [TraceParent] later.
func (p *Properties) AddTraceParent(parent TraceParent) (added bool) {
	if !parent.IsValid() || p.seek() {
		return false
	}
	p.parent, p.has, p.ours, p.sought = parent, true, true, true
	return true
}

// seek looks for the event's TraceParent. It reports whether there is a property for it, malformed
// or not.
func (p *Properties) seek() (has bool) {
	if !p.sought && len(p.own)+len(p.added) > 0 {
		p.look()
	}
	return p.has
}

func (p *Properties) look() {
	p.sought = true
	if p.parent, p.has = parentOf(p.own); p.has {
		return
	}
	for i := range p.added { // by another Trace
		if carries, first := carriesParent(p.added[i].name); carries && (first || !p.has) {
			p.parent, p.has = parseTraceParent(p.text(i)), true
		}
	}
}

func (p *Properties) contains(name string) bool {
	if _, ok := p.own[name]; ok {
		return true
	}
	return p.ours && name == traceParentName || slices.ContainsFunc(p.added, func(a property) bool { return a.name == name })
}

// encodedParentName is traceparent's name as an event gets it, with the header of its text.
var encodedParentName = string(append(amqp.AppendString(nil, traceParentName), amqp.AppendString(nil, TraceParent{}.String())[:2]...))

// appendTo appends the added properties as the event gets them.
func (p *Properties) appendTo(dst []byte) []byte {
	if p.ours {
		dst = p.parent.appendTo(append(dst, encodedParentName...))
	}
	return append(dst, p.encoded...)
}

// count returns how many were added.
func (p *Properties) count() int {
	if p.ours {
		return len(p.added) + 1
	}
	return len(p.added)
}

// text returns the text of the i-th added property.
func (p *Properties) text(i int) []byte { return p.encoded[p.added[i].begin:p.added[i].end] }

// reset replaces them by the properties of another event.
func (p *Properties) reset(own map[string]any) {
	if len(p.added) > 0 {
		clear(p.added)
		p.added = p.added[:0]
	}
	p.own, p.encoded = own, p.encoded[:0]
	p.has, p.ours, p.sought = false, false, false
}
