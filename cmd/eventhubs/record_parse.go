package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// A record is an event as publish reads it with --format events, as tail and --undelivered write
// it. Its fields are those of an eventjson.Message. The old partition is for --keep-partition. Other
// fields, such as the offset, are ignored.
type record struct {
	Partition       *string                    `json:"partition"`
	Key             *string                    `json:"key"`
	MessageID       json.RawMessage            `json:"messageId"`
	CorrelationID   json.RawMessage            `json:"correlationId"`
	Properties      map[string]json.RawMessage `json:"properties"`
	ContentType     *string                    `json:"contentType"`
	ContentEncoding *string                    `json:"contentEncoding"`
	Subject         *string                    `json:"subject"`
	To              *string                    `json:"to"`
	ReplyTo         *string                    `json:"replyTo"`
	UserID          []byte                     `json:"userId"`
	CreationTime    json.RawMessage            `json:"creationTime"`
	ExpiryTime      json.RawMessage            `json:"absoluteExpiryTime"`
	GroupID         *string                    `json:"groupId"`
	GroupSequence   *uint32                    `json:"groupSequence"`
	ReplyToGroupID  *string                    `json:"replyToGroupId"`
	Annotations     map[string]json.RawMessage `json:"annotations"`
	Header          json.RawMessage            `json:"header"`
	Delivery        json.RawMessage            `json:"deliveryAnnotations"` // left out
	Footer          map[string]json.RawMessage `json:"footer"`
	Body            *string                    `json:"body"`
	BodyBase64      []byte                     `json:"bodyBase64"`
	BodyLengths     []int                      `json:"bodyLengths"`
	BodyValue       json.RawMessage            `json:"bodyValue"`
	Types           eventjson.Types            `json:"types"`
}

// fromRecord replaces an entry's body, which is a record, by the record's event. The largest event
// has so many bytes.
func (e *entry) fromRecord(largest int) error {
	var r record
	if err := decodeOne(json.NewDecoder(bytes.NewReader(e.body)), &r); err != nil {
		if several := severalLines(e.body); several != nil {
			return several
		}
		return fmt.Errorf("not a record of an event: %w", err)
	}
	if half := loneSurrogate(e.body); half != "" {
		// The decoder has put U+FFFD in its place.
		return fmt.Errorf("not a record of an event: %s in it lacks its other half, and is no character", half)
	}
	if r.Key != nil {
		if err := partitionkey.Check(*r.Key); err != nil {
			return fmt.Errorf("its key %w", err)
		}
		e.key = *r.Key
	}
	event, err := r.event()
	if err != nil {
		return err
	}
	e.hadDelivery = len(r.Delivery) > 0 && string(r.Delivery) != "null"
	if r.Partition != nil {
		e.partition = *r.Partition
	}
	e.event, e.body = event, sentBody(event)
	if len(e.body) > largest {
		return formatLines.explain(errTooLong, largest)
	}
	return nil
}

// event makes the event.
func (r *record) event() (*eventhubs.Event, error) {
	e := &eventhubs.Event{}
	var err error
	if e.Properties, err = parseNamed("property", r.Properties, r.Types.Properties); err != nil {
		return nil, err
	}
	annotations, err := parseAnnotations("annotation", r.Annotations, r.Types.Annotations)
	if err != nil {
		return nil, err
	}
	own := map[any]any{}
	for name, value := range annotations {
		if !isOfOneHub(name) {
			own[annotationKey(name)] = value
		}
	}
	switch {
	case r.Key == nil:
	case *r.Key == "":
		own[eventjson.KeyAnnotation] = "" // an empty key is a key too, and chooses no partition
	default:
		e.PartitionKey = *r.Key
	}
	var beyond eventhubs.AMQPMessage
	if len(own) > 0 {
		beyond.MessageAnnotations = own
	}
	if beyond.Header, err = r.header(); err != nil {
		return nil, err
	}
	footer, err := parseAnnotations("footer", r.Footer, r.Types.Footer)
	if err != nil {
		return nil, err
	}
	for name, value := range footer {
		if beyond.Footer == nil {
			beyond.Footer = map[any]any{}
		}
		beyond.Footer[annotationKey(name)] = value
	}
	if beyond.Properties, err = r.properties(); err != nil {
		return nil, err
	}
	body, err := r.body()
	if err != nil {
		return nil, err
	}
	if len(body.Data) == 1 && body.Data[0] != nil {
		e.Body = body.Data[0]
	} else {
		beyond.Body = &body
	}
	if beyond.Header != nil || beyond.MessageAnnotations != nil || beyond.Properties != nil || beyond.Body != nil || beyond.Footer != nil {
		e.AMQP = &beyond
	}
	return e, nil
}

// header makes the header; nil if the record has none.
func (r *record) header() (*eventhubs.AMQPHeader, error) {
	if len(r.Header) == 0 || string(r.Header) == "null" {
		return nil, nil
	}
	var h eventjson.Header
	if err := strictly(r.Header, &h); err != nil {
		return nil, fmt.Errorf("its header is %s, which is none: durable and firstAcquirer are true or false, priority is a whole number up to 255, ttl (in milliseconds) and deliveryCount are whole numbers up to 4294967295", shortened(r.Header))
	}
	return &eventhubs.AMQPHeader{Durable: h.Durable, Priority: h.Priority, TTL: time.Duration(h.TTL) * time.Millisecond, FirstAcquirer: h.FirstAcquirer, DeliveryCount: h.DeliveryCount}, nil
}

// parseNamed parses the values of a map.
func parseNamed(what string, contents map[string]json.RawMessage, types map[string]string) (map[string]any, error) {
	for name := range types {
		if _, ok := contents[name]; !ok {
			return nil, fmt.Errorf("its types name the %s %q, which it does not have", what, name)
		}
	}
	if len(contents) == 0 {
		return nil, nil
	}
	values := make(map[string]any, len(contents))
	for name, content := range contents {
		value, err := parseSendable(types[name], content)
		if err != nil {
			return nil, fmt.Errorf("its %s %q is %w", what, name, err)
		}
		values[name] = value
	}
	return values, nil
}

// amqpWords puts an error of internal/amqp into words for readers who know no Go.
var amqpWords = strings.NewReplacer("amqp: Go type amqp.", "a value of the kind ", "amqp: ", "")

// encodable returns an error if a value has no AMQP form, as one that is nested too deep. The
// producer would refuse its event, which ends the reading.
func encodable(v any) error {
	switch v.(type) {
	case nil, bool, string, int64, uint64, float64:
		return nil
	}
	if _, err := amqp.AppendValue(nil, v); err != nil {
		return fmt.Errorf("a value that cannot be sent: %s", amqpWords.Replace(err.Error()))
	}
	return nil
}

// parseSendable is parseValue for a whole value, which must be encodable.
func parseSendable(kind string, content json.RawMessage) (any, error) {
	value, err := parseValue(kind, content)
	if err == nil {
		err = encodable(value)
	}
	return value, err
}

// parseAnnotations parses a map whose names are symbols.
func parseAnnotations(what string, contents map[string]json.RawMessage, types map[string]string) (map[string]any, error) {
	for name := range contents {
		if !isASCII(name) {
			return nil, fmt.Errorf("its %s %q has a name that is not ASCII", what, name)
		}
	}
	return parseNamed(what, contents, types)
}

// isOfOneHub reports whether an annotation belongs to the event's old hub only: its place there,
// and its producer's numbers.
func isOfOneHub(name string) bool {
	switch name {
	case eventjson.SequenceAnnotation, eventjson.OffsetAnnotation, eventjson.EnqueuedAnnotation, eventjson.KeyAnnotation, "x-opt-sequence-number-epoch", "x-opt-publisher",
		"com.microsoft:producer-id", "com.microsoft:producer-epoch", "com.microsoft:producer-sequence-number":
		return true
	}
	return false
}

// annotationKey reverses eventjson.AnnotationName. No name that AMQP allows is a number.
func annotationKey(name string) any {
	if n, err := strconv.ParseUint(name, 10, 64); err == nil {
		return n
	}
	return name
}

// properties makes the properties section; nil if it would be empty.
func (r *record) properties() (*eventhubs.AMQPProperties, error) {
	p := &eventhubs.AMQPProperties{
		ContentType: r.ContentType, ContentEncoding: r.ContentEncoding, Subject: r.Subject, To: r.To, ReplyTo: r.ReplyTo,
		UserID: r.UserID, GroupID: r.GroupID, GroupSequence: r.GroupSequence, ReplyToGroupID: r.ReplyToGroupID,
	}
	for _, symbol := range []struct {
		name string
		text *string
	}{{"contentType", r.ContentType}, {"contentEncoding", r.ContentEncoding}} {
		if symbol.text != nil && !isASCII(*symbol.text) {
			return nil, fmt.Errorf("its %s %q is not ASCII", symbol.name, *symbol.text)
		}
	}
	for _, id := range []struct {
		name    string
		kind    string
		content json.RawMessage
		to      *any
	}{{"messageId", r.Types.MessageID, r.MessageID, &p.MessageID}, {"correlationId", r.Types.CorrelationID, r.CorrelationID, &p.CorrelationID}} {
		if len(id.content) == 0 {
			continue
		}
		var err error
		if *id.to, err = parseID(id.kind, id.content); err != nil {
			return nil, fmt.Errorf("its %s is %w", id.name, err)
		}
	}
	for _, at := range []struct {
		name    string
		content json.RawMessage
		to      **time.Time
	}{{"creationTime", r.CreationTime, &p.CreationTime}, {"absoluteExpiryTime", r.ExpiryTime, &p.AbsoluteExpiryTime}} {
		if len(at.content) == 0 || string(at.content) == "null" {
			continue
		}
		t, err := parseTimestamp(at.content)
		if err != nil {
			return nil, fmt.Errorf("its %s is %w", at.name, err)
		}
		*at.to = new(t.(time.Time))
	}
	if reflect.ValueOf(*p).IsZero() {
		return nil, nil
	}
	return p, nil
}

// parseID parses an id: text, an unsigned number, a UUID or bytes.
func parseID(kind string, content json.RawMessage) (any, error) {
	id, err := parseValue(kind, content)
	if err != nil {
		return nil, err
	}
	switch v := id.(type) {
	case nil, string, uint64, amqp.UUID, []byte:
		return id, nil
	case int64:
		if v >= 0 && kind == "" {
			return uint64(v), nil
		}
	}
	return nil, fmt.Errorf("%s, which is no id (text, an unsigned number, a UUID or bytes)", shortened(content))
}

// body makes the body from the one form that the record has.
func (r *record) body() (body eventhubs.AMQPBody, err error) {
	var data []byte
	switch {
	case r.forms() == 0:
		return body, errors.New("not a record of an event: it has neither body nor bodyBase64 nor bodyValue")
	case r.forms() > 1:
		return body, errors.New("not a record of an event: it has more than one of body, bodyBase64 and bodyValue")
	case len(r.BodyValue) > 0:
		return r.bodyValue()
	case r.Body != nil:
		data = []byte(*r.Body)
	default:
		data = r.BodyBase64
	}
	if len(r.BodyLengths) == 0 {
		body.Data = [][]byte{data}
		return body, nil
	}
	for _, n := range r.BodyLengths {
		if n == -1 {
			body.Data = append(body.Data, nil)
			continue
		}
		if n < 0 || n > len(data) {
			return body, fmt.Errorf("its bodyLengths %v are not those of its body", r.BodyLengths)
		}
		body.Data, data = append(body.Data, data[:n:n]), data[n:]
	}
	if len(data) > 0 {
		return body, fmt.Errorf("its bodyLengths %v are not those of its body", r.BodyLengths)
	}
	return body, nil
}

// forms returns how many forms of a body the record has.
func (r *record) forms() (n int) {
	for _, is := range []bool{r.Body != nil, r.BodyBase64 != nil, len(r.BodyValue) > 0} {
		if is {
			n++
		}
	}
	return n
}

// bodyValue makes a body that is not data.
func (r *record) bodyValue() (body eventhubs.AMQPBody, err error) {
	if r.Types.Body == eventjson.KindSequences {
		sections, ok := splitList(r.BodyValue)
		for i, section := range sections {
			list, err := parseList(section)
			if err == nil {
				err = encodable(list)
			}
			if err != nil {
				return body, fmt.Errorf("its bodyValue has a section %d that is %w", i, err)
			}
			body.Sequences = append(body.Sequences, list)
		}
		if !ok || len(sections) == 0 {
			return body, fmt.Errorf("its bodyValue is %s, which is no list of sections", shortened(r.BodyValue))
		}
		return body, nil
	}
	if r.Types.Body == eventjson.KindNullData && string(r.BodyValue) == "null" {
		body.Data = [][]byte{nil}
		return body, nil
	}
	if body.Value, err = parseSendable(r.Types.Body, r.BodyValue); err != nil {
		return body, fmt.Errorf("its bodyValue is %w", err)
	}
	if r.Types.Body == eventjson.KindNull {
		body.Value = eventhubs.Null{} // nil is no body
	}
	return body, nil
}

// isASCII reports whether text may be an AMQP symbol, such as a content type.
func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c >= utf8.RuneSelf })
}
