package eventhubs

import (
	"sync"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// partitionKeyAnnotation is where an event carries its key, for the service and for readers.
const partitionKeyAnnotation = "x-opt-partition-key"

// A wireEvent is an encoded event in two pieces. The head has all that this package adds, up to and
// including the header of the body. The body stays the caller's, so it is copied only once, into
// its batch. A wireEvent is reused; nothing in it outlives the call that encoded it.
type wireEvent struct {
	head       []byte
	body       []byte
	numbered   bool       // leave room for the numbers of an idempotent producer
	added      Properties // properties that a Trace added to the caller's
	journal    *placement // nil until the journal first needs it
	checkpoint []byte     // Event.Checkpoint
}

// size returns the event's encoded size in bytes.
func (w *wireEvent) size() int { return len(w.head) + len(w.body) }

// wireEvents are not in use.
var wireEvents = sync.Pool{New: func() any { return new(wireEvent) }}

func newWireEvent(numbered bool) *wireEvent {
	w := wireEvents.Get().(*wireEvent)
	w.numbered = numbered
	return w
}

// release ends the use of a wireEvent. It lets go of the caller's body, and of a head that a large
// event has grown.
func (w *wireEvent) release() {
	w.body, w.checkpoint = nil, nil
	w.added.reset(nil)
	if w.journal != nil {
		w.journal.reset()
	}
	if cap(w.head) > 64<<10 {
		w.head = nil
	}
	wireEvents.Put(w)
}

// encode sets w to the encoded form of an event with that partition key. The error names the part
// of the event that cannot be encoded.
func (w *wireEvent) encode(e *Event, key string) error {
	if e.AMQP != nil {
		return w.encodeMessage(e, key)
	}
	w.head = w.head[:0]
	w.appendAnnotations(key)
	// The two functions check this too. Most events have neither, so this saves two calls.
	if e.MessageID != "" || e.CorrelationID != "" || e.ContentType != "" {
		if err := w.appendPropertiesSection(e); err != nil {
			return err
		}
	}
	if e.Properties != nil || w.added.count() > 0 {
		if err := w.appendApplicationProperties(e.Properties); err != nil {
			return err
		}
	}
	w.head = amqp.AppendSectionHeader(w.head, amqp.SectionData)
	w.head = amqp.AppendBinaryHeader(w.head, len(e.Body))
	w.body = e.Body
	return nil
}

// appendAnnotations appends the message annotations, if the event has any.
func (w *wireEvent) appendAnnotations(key string) {
	if key == "" && !w.numbered {
		return
	}
	dst := amqp.AppendSectionHeader(w.head, amqp.SectionMessageAnnotations)
	dst, mark := amqp.BeginMap(dst)
	pairs := 0
	if w.numbered {
		dst = appendNumbers(dst)
		pairs += 3
	}
	if key != "" {
		dst = amqp.AppendSymbol(dst, partitionKeyAnnotation)
		dst = amqp.AppendString(dst, key)
		pairs++
	}
	w.head = amqp.EndMap(dst, mark, pairs)
}

// appendPropertiesSection appends the properties section, up to the last property that the event
// has. The section's order is message-id, four that only AMQPProperties has, correlation-id,
// content-type.
func (w *wireEvent) appendPropertiesSection(e *Event) error {
	fields := 0
	switch {
	case e.ContentType != "":
		fields = 7
	case e.CorrelationID != "":
		fields = 6
	case e.MessageID != "":
		fields = 1
	default:
		return nil
	}
	switch {
	case !utf8.ValidString(e.MessageID):
		return invalid("Event.MessageID %q is not valid UTF-8", e.MessageID)
	case !utf8.ValidString(e.CorrelationID):
		return invalid("Event.CorrelationID %q is not valid UTF-8", e.CorrelationID)
	}
	if err := checkSymbol("Event.ContentType", e.ContentType); err != nil {
		return err
	}
	dst, mark := amqp.BeginList(amqp.AppendSectionHeader(w.head, amqp.SectionProperties))
	dst = appendTextOrNull(dst, e.MessageID)
	if fields > 1 {
		for range 4 { // user-id, to, subject, reply-to
			dst = amqp.AppendNull(dst)
		}
		dst = appendTextOrNull(dst, e.CorrelationID)
	}
	if fields > 6 {
		dst = amqp.AppendSymbol(dst, amqp.Symbol(e.ContentType))
	}
	w.head = amqp.EndList(dst, mark, fields)
	return nil
}

func appendTextOrNull(dst []byte, text string) []byte {
	if text == "" {
		return amqp.AppendNull(dst)
	}
	return amqp.AppendString(dst, text)
}

// appendApplicationProperties appends the caller's properties and those that a Trace added. Nil
// makes no section; an empty map makes an empty one, since it was received that way. AMQP
// "restricts [their values] to be of simple types only, that is, excluding map, list, and array
// types" (messaging 3.2.5). Azure's clients send and receive those types all the same, and so does
// this package.
func (w *wireEvent) appendApplicationProperties(properties map[string]any) (err error) {
	if properties == nil && w.added.count() == 0 {
		return nil
	}
	dst := amqp.AppendSectionHeader(w.head, amqp.SectionApplicationProperties)
	dst, mark := amqp.BeginMap(dst)
	for key, value := range properties {
		if !utf8.ValidString(key) {
			return invalid("the key %q in Event.Properties is not valid UTF-8", key)
		}
		dst = amqp.AppendString(dst, key)
		if dst, err = amqp.AppendValue(dst, value); err != nil {
			return invalid("Event.Properties[%q]: %v", key, err)
		}
	}
	for i := range w.added.added {
		if p := &w.added.added[i]; p.invalid {
			return invalid("the property %q that Trace.Encoding has added is not valid UTF-8", p.name)
		}
	}
	dst = w.added.appendTo(dst)
	w.head = amqp.EndMap(dst, mark, len(properties)+w.added.count())
	return nil
}

// checkSymbol returns an error if the text of that field cannot be a symbol.
func checkSymbol(field, text string) error {
	if !isASCII(text) {
		return invalid("%s %q is not ASCII", field, text)
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
