package eventhubs

import (
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// partitionKeyAnnotation is where an event carries its key, for the service and for whoever reads it.
const partitionKeyAnnotation = "x-opt-partition-key"

// A wireEvent is an event as it goes over the wire, in two pieces: all that is ours, up to and including the header of the body, and
// the caller's body, which is thus copied only once, into its batch. A wireEvent is reused; nothing in it outlives the call
// that encoded it.
type wireEvent struct {
	head     []byte
	body     []byte
	numbered bool       // leave room for an idempotent producer's numbers
	added    Properties // by a Trace, to what the caller's event has
}

// size is the event's encoded size in bytes.
func (w *wireEvent) size() int { return len(w.head) + len(w.body) }

// release lets go of the caller's body, and of a head that one large event has swollen.
func (w *wireEvent) release() {
	w.body = nil
	w.added.reset(nil)
	if cap(w.head) > 64<<10 {
		w.head = nil
	}
}

// encode sets w to the wire form of an event with that partition key, or says what about the event has no wire form.
func (w *wireEvent) encode(e *azeventhubs.EventData, key string) error {
	w.head = w.head[:0]
	w.appendAnnotations(key)
	if err := w.appendProperties(e); err != nil {
		return err
	}
	if len(e.Properties)+len(w.added.added) > 0 {
		if err := w.appendApplicationProperties("EventData.Properties", e.Properties); err != nil {
			return err
		}
	}
	w.head = amqp.AppendSectionHeader(w.head, amqp.SectionData)
	w.head = amqp.AppendBinaryHeader(w.head, len(e.Body))
	w.body = e.Body
	return nil
}

// appendAnnotations appends the message annotations, if the event is to have any.
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

// appendProperties appends the properties section: message-id, five more that events do not have, correlation-id, content-type.
func (w *wireEvent) appendProperties(e *azeventhubs.EventData) (err error) {
	if e.MessageID == nil && e.CorrelationID == nil && e.ContentType == nil {
		return nil
	}
	dst := amqp.AppendSectionHeader(w.head, amqp.SectionProperties)
	dst, mark := amqp.BeginList(dst)
	if dst, err = appendText(dst, "MessageID", e.MessageID); err != nil {
		return err
	}
	for range 4 { // user-id, to, subject, reply-to
		dst = amqp.AppendNull(dst)
	}
	if dst, err = appendID(dst, "EventData.CorrelationID", e.CorrelationID); err != nil {
		return err
	}
	if dst, err = appendContentType(dst, e.ContentType); err != nil {
		return err
	}
	w.head = amqp.EndList(dst, mark, 7)
	return nil
}

func appendText(dst []byte, field string, text *string) ([]byte, error) {
	switch {
	case text == nil:
		return amqp.AppendNull(dst), nil
	case !utf8.ValidString(*text):
		return dst, invalid("EventData.%s is not valid UTF-8", field)
	default:
		return amqp.AppendString(dst, *text), nil
	}
}

// appendID takes the types that AMQP has for ids: ulong, uuid, binary and string.
func appendID(dst []byte, field string, id any) ([]byte, error) {
	switch id := id.(type) { // what most are
	case nil:
		return amqp.AppendNull(dst), nil
	case string:
		if utf8.ValidString(id) {
			return amqp.AppendString(dst, id), nil
		}
	}
	start := len(dst)
	dst, err := amqp.AppendValue(dst, id)
	if err != nil {
		return dst, invalid("%s: %v", field, err)
	}
	switch amqp.KindOf(dst[start:]) {
	case amqp.KindNull, amqp.KindUlong, amqp.KindUUID, amqp.KindBinary, amqp.KindString:
		return dst, nil
	}
	return dst, invalid("%s is a %T: it may be a uint64, a UUID, a []byte or a string", field, id)
}

func appendContentType(dst []byte, contentType *string) ([]byte, error) {
	if contentType == nil {
		return amqp.AppendNull(dst), nil
	}
	if !isASCII(*contentType) {
		return dst, invalid("EventData.ContentType %q is not ASCII", *contentType)
	}
	return amqp.AppendSymbol(dst, amqp.Symbol(*contentType)), nil
}

// appendApplicationProperties appends the caller's properties, which field holds, and those that a Trace has added. AMQP "restricts [their values] to be of
// simple types only, that is, excluding map, list, and array types" (messaging 3.2.5). Azure's clients send and receive those all the same, and what was received
// is sent on.
func (w *wireEvent) appendApplicationProperties(field string, properties map[string]any) (err error) {
	dst := amqp.AppendSectionHeader(w.head, amqp.SectionApplicationProperties)
	dst, mark := amqp.BeginMap(dst)
	for key, value := range properties {
		if !utf8.ValidString(key) {
			return invalid("the key %q in %s is not valid UTF-8", key, field)
		}
		dst = amqp.AppendString(dst, key)
		if dst, err = amqp.AppendValue(dst, value); err != nil {
			return invalid("%s[%q]: %v", field, key, err)
		}
	}
	for _, p := range w.added.added {
		if !utf8.ValidString(p.name) || !utf8.ValidString(p.text) {
			return invalid("the property %q that Trace.Encoding has added is not valid UTF-8", p.name)
		}
		dst = amqp.AppendString(amqp.AppendString(dst, p.name), p.text)
	}
	w.head = amqp.EndMap(dst, mark, len(properties)+len(w.added.added))
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
