package eventhubs

import (
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Null is a value that is null, such as the Body.Value of a message: nil is no value. A struct type of that name in another AMQP package, such as go-amqp's, is taken for
// the same.
type Null struct{}

// The annotations that the service puts on an event when somebody receives it. They are of that event in that hub.
const (
	receivedSequenceNumber = "x-opt-sequence-number"
	receivedOffset         = "x-opt-offset"
	receivedEnqueuedTime   = "x-opt-enqueued-time"
)

// nameOf returns an annotation's key as text, of whatever string type it is; not ok for any other key.
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

// stale reports whether an annotation is not to be sent: the service's own, or the numbers of the producer that had sent the event before.
func stale(name string) bool {
	switch name {
	case receivedSequenceNumber, receivedOffset, receivedEnqueuedTime, producerIDAnnotation, producerEpochAnnotation, sequenceNumberAnnotation:
		return true
	}
	return false
}

// keyOfMessage makes the partition key that a message carries already the option, which must not say otherwise.
func keyOfMessage(m *azeventhubs.AMQPAnnotatedMessage, o *EnqueueOptions) error {
	for annotation, carried := range m.MessageAnnotations {
		if name, _ := nameOf(annotation); name != partitionKeyAnnotation {
			continue
		}
		key, ok := carried.(string)
		switch {
		case !ok:
			return invalid("AMQPAnnotatedMessage.MessageAnnotations[%q] is a %T: a partition key is a string", partitionKeyAnnotation, carried)
		case o.PartitionKey != "" && o.PartitionKey != key:
			return invalid("the message carries the partition key %q and EnqueueOptions.PartitionKey is %q: give one of them, or the same", key, o.PartitionKey)
		}
		o.PartitionKey = key
	}
	return nil
}

// encodeMessage sets w to the wire form of an AMQP message with that partition key, or says what about the message has no wire form.
func (w *wireEvent) encodeMessage(m *azeventhubs.AMQPAnnotatedMessage, key string) error {
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
	if err := w.appendMessageProperties(m.Properties); err != nil {
		return err
	}
	// Nil is no section, as everywhere in a message; an empty one was received as such.
	if m.ApplicationProperties != nil || len(w.added.added) > 0 {
		if err := w.appendApplicationProperties("AMQPAnnotatedMessage.ApplicationProperties", m.ApplicationProperties); err != nil {
			return err
		}
	}
	if err := w.appendBody(&m.Body, m.Footer == nil); err != nil {
		return err
	}
	return w.appendOwn(amqp.SectionFooter, "Footer", m.Footer)
}

// defaultPriority is a message's unless its header says another (messaging 3.2.1).
const defaultPriority = 4

func (w *wireEvent) appendHeader(h *azeventhubs.AMQPAnnotatedMessageHeader) (err error) {
	if h == nil {
		return nil
	}
	header := amqp.Header{Durable: h.Durable, TTL: h.TTL, FirstAcquirer: h.FirstAcquirer, DeliveryCount: h.DeliveryCount}
	if h.Priority != defaultPriority { // null reads as the default, so that most headers say nothing
		header.Priority = &h.Priority
	}
	if w.head, err = header.AppendTo(w.head); err != nil {
		return invalid("AMQPAnnotatedMessage.Header: %v", err)
	}
	return nil
}

// appendOwn appends a section of annotations as the caller has them; nothing for nil.
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

// appendMessageAnnotations appends the message annotations, if the message is to have any: numbers, the caller's, the key.
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

// appendAnnotation appends one of the annotations in own. "The annotations type is a map where the keys are restricted to be of type symbol or of type ulong"
// (messaging 3.2.10); azeventhubs has strings for symbols.
func appendAnnotation(dst []byte, field string, own map[any]any, key, value any) (_ []byte, err error) {
	name, isText := nameOf(key)
	number, isNumber := key.(uint64)
	switch {
	case isNumber:
		dst = amqp.AppendUlong(dst, number)
	case !isText:
		return dst, invalid("AMQPAnnotatedMessage.%s has the key %v, which is a %T: a key is a string, or a uint64", field, key, key)
	case !isASCII(name):
		return dst, invalid("AMQPAnnotatedMessage.%s has the key %q: a key is ASCII", field, name)
	default:
		if twice := sameName(own, key, name); twice != nil {
			return dst, invalid("AMQPAnnotatedMessage.%s has the key %q twice, as a %T and as a %T", field, name, key, twice)
		}
		dst = amqp.AppendSymbol(dst, amqp.Symbol(name))
	}
	switch dst, err = amqp.AppendValue(dst, value); {
	case err == nil:
		return dst, nil
	case isText:
		return dst, invalid("AMQPAnnotatedMessage.%s[%q]: %v", field, name, err)
	default:
		return dst, invalid("AMQPAnnotatedMessage.%s[%v]: %v", field, key, err)
	}
}

// sameName returns another key of the same name, of which there is none if all are strings.
func sameName(own map[any]any, key any, name string) any {
	if _, plain := key.(string); plain {
		return nil // the other one will see it
	}
	for other := range own {
		if text, ok := nameOf(other); ok && text == name && other != key {
			return other
		}
	}
	return nil
}

// appendMessageProperties appends the properties section.
func (w *wireEvent) appendMessageProperties(p *azeventhubs.AMQPAnnotatedMessageProperties) (err error) {
	if p == nil {
		return nil
	}
	const in = "AMQPAnnotatedMessage.Properties."
	for _, id := range [...]struct {
		field string
		value any
	}{{"MessageID", p.MessageID}, {"CorrelationID", p.CorrelationID}} {
		if _, err := appendID(w.head, in+id.field, id.value); err != nil { // behind the head, where it will be written over
			return err
		}
	}
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
		if symbol.text != nil && !isASCII(*symbol.text) {
			return invalid(in+"%s %q is not ASCII", symbol.field, *symbol.text)
		}
	}
	properties := amqp.Properties{
		MessageID: p.MessageID, UserID: p.UserID, To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, CorrelationID: p.CorrelationID,
		ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
		GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
	}
	if w.head, err = properties.AppendTo(w.head); err != nil {
		return invalid("AMQPAnnotatedMessage.Properties: %v", err)
	}
	return nil
}

// appendBody appends the body: sections of data, sequences, a value, or nothing, since an empty section would be another event. The last section of data, if it
// ends the message, stays with the caller.
func (w *wireEvent) appendBody(b *azeventhubs.AMQPAnnotatedMessageBody, last bool) (err error) {
	if forms := count(len(b.Data) > 0) + count(len(b.Sequence) > 0) + count(b.Value != nil); forms > 1 {
		return invalid("AMQPAnnotatedMessage.Body has more than one of Data, Sequence and Value: a message has one")
	}
	for i, data := range b.Data {
		w.head = amqp.AppendSectionHeader(w.head, amqp.SectionData)
		switch {
		case data == nil:
			w.head = amqp.AppendNull(w.head) // as the JavaScript client publishes null, and azeventhubs receives it
		case last && i == len(b.Data)-1:
			w.head = amqp.AppendBinaryHeader(w.head, len(data))
			w.body = data
		default:
			w.head = amqp.AppendBinary(w.head, data)
		}
	}
	for i, sequence := range b.Sequence {
		if w.head, err = amqp.AppendValue(amqp.AppendSectionHeader(w.head, amqp.SectionSequence), sequence); err != nil {
			return invalid("AMQPAnnotatedMessage.Body.Sequence[%d]: %v", i, err)
		}
	}
	if b.Value != nil {
		if w.head, err = amqp.AppendValue(amqp.AppendSectionHeader(w.head, amqp.SectionValue), b.Value); err != nil {
			return invalid("AMQPAnnotatedMessage.Body.Value: %v", err)
		}
	}
	return nil
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}
