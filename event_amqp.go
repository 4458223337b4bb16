package eventhubs

import (
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// The annotations that the service puts on an event that somebody receives. They belong to that
// event in that hub.
const (
	receivedSequenceNumber = "x-opt-sequence-number"
	receivedOffset         = "x-opt-offset"
	receivedEnqueuedTime   = "x-opt-enqueued-time"
)

// nameOf returns an annotation's key as text, of any string type; not ok for any other key.
func nameOf(key any) (name string, ok bool) {
	if name, ok = key.(string); ok {
		return name, true
	}
	v := reflect.ValueOf(key)
	if v.Kind() != reflect.String {
		return "", false
	}
	return v.String(), true
}

// stale reports whether an annotation is left out: one of the service's own, or a number of the
// producer that sent the event before.
func stale(name string) bool {
	switch name {
	case receivedSequenceNumber, receivedOffset, receivedEnqueuedTime, producerIDAnnotation, producerEpochAnnotation, sequenceNumberAnnotation:
		return true
	}
	return false
}

// key returns the key that chooses the event's partition. With a PartitionID, a key in the message
// annotations chooses nothing and only travels.
func (e *Event) key() (string, error) {
	if e.AMQP == nil {
		return e.PartitionKey, nil
	}
	key, err := e.AMQP.key(e.PartitionKey)
	if err != nil || e.PartitionID == "" || e.PartitionKey != "" {
		return key, err
	}
	if err := partitionkey.Check(key); err != nil {
		return "", invalid("Event.AMQP.MessageAnnotations[%q] %v", partitionKeyAnnotation, err)
	}
	return "", nil
}

// key returns the partition key of the event. Own is the event's field; the message annotations may
// carry the key as well.
func (m *AMQPMessage) key(own string) (string, error) {
	key := own
	for annotation, carried := range m.MessageAnnotations {
		if name, _ := nameOf(annotation); name != partitionKeyAnnotation {
			continue
		}
		text, ok := carried.(string)
		switch {
		case !ok:
			return "", invalid("Event.AMQP.MessageAnnotations[%q] is a %T: a partition key is a string", partitionKeyAnnotation, carried)
		case own != "" && own != text:
			return "", invalid("Event.PartitionKey is %q and Event.AMQP.MessageAnnotations[%q] is %q: give one of them, or the same", own, partitionKeyAnnotation, text)
		}
		key = text
	}
	return key, nil
}

// encodeMessage is encode for an event with AMQP parts beyond its own fields.
func (w *wireEvent) encodeMessage(e *Event, key string) error {
	m := e.AMQP
	w.head, w.body = w.head[:0], nil
	if err := w.appendHeader(m.Header); err != nil {
		return err
	}
	if err := w.appendOwn(amqp.SectionDeliveryAnnotations, "DeliveryAnnotations", m.DeliveryAnnotations); err != nil {
		return err
	}
	if err := w.appendMessageAnnotations(m.MessageAnnotations, key); err != nil {
		return err
	}
	if err := w.appendMessageProperties(e); err != nil {
		return err
	}
	if err := w.appendApplicationProperties(e.Properties); err != nil {
		return err
	}
	if err := w.appendBody(e); err != nil {
		return err
	}
	return w.appendOwn(amqp.SectionFooter, "Footer", m.Footer)
}

func (w *wireEvent) appendHeader(h *AMQPHeader) (err error) {
	if h == nil {
		return nil
	}
	if w.head, err = (*amqp.Header)(h).AppendTo(w.head); err != nil {
		return invalid("Event.AMQP.Header: %v", err)
	}
	return nil
}

// appendOwn appends a section of the caller's annotations; nothing for nil.
func (w *wireEvent) appendOwn(section byte, field string, own map[any]any) (err error) {
	if own == nil {
		return nil
	}
	dst, mark := amqp.BeginMap(amqp.AppendSectionHeader(w.head, section))
	for key, value := range own {
		if dst, err = appendAnnotation(dst, field, own, key, value); err != nil {
			return err
		}
	}
	w.head = amqp.EndMap(dst, mark, len(own))
	return nil
}

// appendMessageAnnotations appends the message annotations, if there are any: numbers, the
// caller's, the key.
func (w *wireEvent) appendMessageAnnotations(own map[any]any, key string) (err error) {
	dst, mark := amqp.BeginMap(amqp.AppendSectionHeader(w.head, amqp.SectionMessageAnnotations))
	pairs := 0
	if w.numbered {
		dst = appendNumbers(dst)
		pairs += 3
	}
	carried := false
	for annotation, value := range own {
		name, _ := nameOf(annotation)
		if stale(name) {
			continue
		}
		if dst, err = appendAnnotation(dst, "MessageAnnotations", own, annotation, value); err != nil {
			return err
		}
		carried = carried || name == partitionKeyAnnotation
		pairs++
	}
	if key != "" && !carried {
		dst = amqp.AppendString(amqp.AppendSymbol(dst, partitionKeyAnnotation), key)
		pairs++
	}
	if pairs > 0 {
		w.head = amqp.EndMap(dst, mark, pairs)
	}
	return nil
}

// appendAnnotation appends one of the annotations in own. "The annotations type is a map where the
// keys are restricted to be of type symbol or of type ulong" (messaging 3.2.10). A string stands
// for a symbol, as in azeventhubs.
func appendAnnotation(dst []byte, field string, own map[any]any, key, value any) (_ []byte, err error) {
	name, isText := nameOf(key)
	number, isNumber := key.(uint64)
	switch {
	case isNumber:
		dst = amqp.AppendUlong(dst, number)
	case !isText:
		return dst, invalid("Event.AMQP.%s has the key %v, which is a %T: a key is a string, or a uint64", field, key, key)
	case !isASCII(name):
		return dst, invalid("Event.AMQP.%s has the key %q: a key is ASCII", field, name)
	default:
		if twice := sameName(own, key, name); twice != nil {
			return dst, invalid("Event.AMQP.%s has the key %q twice, as a %T and as a %T", field, name, key, twice)
		}
		dst = amqp.AppendSymbol(dst, amqp.Symbol(name))
	}
	switch dst, err = amqp.AppendValue(dst, value); {
	case err == nil:
		return dst, nil
	case isText:
		return dst, invalid("Event.AMQP.%s[%q]: %v", field, name, err)
	default:
		return dst, invalid("Event.AMQP.%s[%v]: %v", field, key, err)
	}
}

// sameName returns another key with the same name. There is none if all keys are strings.
func sameName(own map[any]any, key any, name string) any {
	if _, plain := key.(string); plain {
		return nil // the check of the other key finds it
	}
	for other := range own {
		if text, ok := nameOf(other); ok && text == name && other != key {
			return other
		}
	}
	return nil
}

// appendMessageProperties appends the properties section, if the event has one.
func (w *wireEvent) appendMessageProperties(e *Event) (err error) {
	p := e.AMQP.Properties
	if p == nil {
		return w.appendPropertiesSection(e)
	}
	properties := amqp.Properties{
		MessageID: p.MessageID, UserID: p.UserID, To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, CorrelationID: p.CorrelationID,
		ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
		GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
	}
	for _, id := range [...]struct {
		field string
		plain string
		any   *any
	}{{"MessageID", e.MessageID, &properties.MessageID}, {"CorrelationID", e.CorrelationID, &properties.CorrelationID}} {
		switch {
		case id.plain == "":
			err = w.checkID(id.field, *id.any)
		case *id.any != nil:
			err = invalid("Event.%s and Event.AMQP.Properties.%s are both set: give one of them", id.field, id.field)
		case !utf8.ValidString(id.plain):
			err = invalid("Event.%s %q is not valid UTF-8", id.field, id.plain)
		default:
			*id.any = id.plain
		}
		if err != nil {
			return err
		}
	}
	if e.ContentType != "" {
		if p.ContentType != nil {
			return invalid("Event.ContentType and Event.AMQP.Properties.ContentType are both set: give one of them")
		}
		if err := checkSymbol("Event.ContentType", e.ContentType); err != nil {
			return err
		}
		properties.ContentType = new(e.ContentType) // a copy, or every event would escape to the heap
	}
	if err := w.checkProperties(p); err != nil {
		return err
	}
	if w.head, err = properties.AppendTo(w.head); err != nil {
		return invalid("Event.AMQP.Properties: %v", err)
	}
	return nil
}

// checkID refuses an id whose type AMQP does not have for ids: ulong, uuid, binary and string.
func (w *wireEvent) checkID(field string, id any) error {
	encoded, err := amqp.AppendValue(w.head, id) // after the head, to be overwritten later
	if err != nil {
		return invalid("Event.AMQP.Properties.%s: %v", field, err)
	}
	switch amqp.KindOf(encoded[len(w.head):]) {
	case amqp.KindNull, amqp.KindUlong, amqp.KindUUID, amqp.KindBinary, amqp.KindString:
		return nil
	}
	return invalid("Event.AMQP.Properties.%s is a %T: it may be a uint64, a UUID, a []byte or a string", field, id)
}

// checkProperties refuses the properties, ids apart, that AMQP forbids. The error names the field.
func (w *wireEvent) checkProperties(p *AMQPProperties) error {
	const in = "Event.AMQP.Properties."
	for _, text := range [...]struct {
		field string
		text  *string
	}{{"To", p.To}, {"Subject", p.Subject}, {"ReplyTo", p.ReplyTo}, {"GroupID", p.GroupID}, {"ReplyToGroupID", p.ReplyToGroupID}} {
		if text.text != nil && !utf8.ValidString(*text.text) {
			return invalid(in+"%s %q is not valid UTF-8", text.field, *text.text)
		}
	}
	for _, at := range [...]struct {
		field string
		time  *time.Time
	}{{"AbsoluteExpiryTime", p.AbsoluteExpiryTime}, {"CreationTime", p.CreationTime}} {
		if _, err := amqp.AppendValue(w.head, at.time); err != nil {
			return invalid(in+"%s: %v", at.field, err)
		}
	}
	for _, symbol := range [...]struct {
		field string
		text  *string
	}{{"ContentType", p.ContentType}, {"ContentEncoding", p.ContentEncoding}} {
		if symbol.text == nil {
			continue
		}
		if err := checkSymbol(in+symbol.field, *symbol.text); err != nil {
			return err
		}
	}
	return nil
}

// appendBody appends the body: sections of data, sequences, a value, or nothing, since an empty
// section would make another event. The last section of data stays with the caller if it ends the
// message.
func (w *wireEvent) appendBody(e *Event) (err error) {
	b, last := e.AMQP.Body, e.AMQP.Footer == nil
	switch {
	case b == nil:
		w.appendData(e.Body, last)
		return nil
	case e.Body != nil:
		return invalid("Event.Body and Event.AMQP.Body are both set: give one of them")
	case count(len(b.Data) > 0)+count(len(b.Sequences) > 0)+count(b.Value != nil) > 1:
		return invalid("Event.AMQP.Body has more than one of Data, Sequences and Value: a body is of one kind")
	}
	for i, data := range b.Data {
		if data == nil {
			w.head = amqp.AppendNull(amqp.AppendSectionHeader(w.head, amqp.SectionData)) // as the JavaScript client publishes null
			continue
		}
		w.appendData(data, last && i == len(b.Data)-1)
	}
	for i, sequence := range b.Sequences {
		if w.head, err = amqp.AppendValue(amqp.AppendSectionHeader(w.head, amqp.SectionSequence), sequence); err != nil {
			return invalid("Event.AMQP.Body.Sequences[%d]: %v", i, err)
		}
	}
	if b.Value != nil {
		if w.head, err = amqp.AppendValue(amqp.AppendSectionHeader(w.head, amqp.SectionValue), b.Value); err != nil {
			return invalid("Event.AMQP.Body.Value: %v", err)
		}
	}
	return nil
}

func (w *wireEvent) appendData(data []byte, last bool) {
	w.head = amqp.AppendSectionHeader(w.head, amqp.SectionData)
	if last {
		w.head = amqp.AppendBinaryHeader(w.head, len(data))
		w.body = data
		return
	}
	w.head = amqp.AppendBinary(w.head, data)
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}
