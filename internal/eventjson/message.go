// Package eventjson writes events as JSON: the records of "eventhubs tail --output json", of
// --undelivered, and of the emulator's page. "eventhubs publish --format events" makes an event of
// a record again. docs/cli.md describes them for users.
package eventjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A Message is the sender's part of an event, as JSON. Records add further fields to it.
//
// The file value.go describes the JSON of a value. The names of types are in the field Types, so
// that a number stays a plain number.
type Message struct {
	Key             *string        `json:"key"`
	MessageID       any            `json:"messageId,omitempty"`
	CorrelationID   any            `json:"correlationId,omitempty"`
	Properties      Members        `json:"properties"`
	ContentType     *string        `json:"contentType,omitempty"`
	ContentEncoding *string        `json:"contentEncoding,omitempty"`
	Subject         *string        `json:"subject,omitempty"`
	To              *string        `json:"to,omitempty"`
	ReplyTo         *string        `json:"replyTo,omitempty"`
	UserID          []byte         `json:"userId,omitempty"`
	CreationTime    any            `json:"creationTime,omitempty"`
	ExpiryTime      any            `json:"absoluteExpiryTime,omitempty"`
	GroupID         *string        `json:"groupId,omitempty"`
	GroupSequence   *uint32        `json:"groupSequence,omitempty"`
	ReplyToGroupID  *string        `json:"replyToGroupId,omitempty"`
	Annotations     map[string]any `json:"annotations,omitempty"`
	Header          *Header        `json:"header,omitempty"`
	Delivery        map[string]any `json:"deliveryAnnotations,omitempty"`
	Footer          map[string]any `json:"footer,omitempty"`
	Body            *string        `json:"body,omitempty"`
	BodyBase64      []byte         `json:"bodyBase64,omitempty"`
	BodyLengths     []int          `json:"bodyLengths,omitempty"`
	BodyValue       any            `json:"bodyValue,omitempty"` // NullBody for null
	Types           *Types         `json:"types,omitempty"`

	Decoded json.RawMessage `json:"-"` // in place of Body, for people only
}

// Members are the values of a record by name. In JSON there is always an object, maybe empty.
type Members map[string]any

// MarshalJSON writes nil as an empty object.
func (m Members) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("{}"), nil
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(map[string]any(m))
	return out.Bytes(), err
}

// Types are the types that JSON does not have. A value without a name here has JSON's own type.
type Types struct {
	MessageID     string            `json:"messageId,omitempty"`
	CorrelationID string            `json:"correlationId,omitempty"`
	Properties    map[string]string `json:"properties,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
	Delivery      map[string]string `json:"deliveryAnnotations,omitempty"`
	Footer        map[string]string `json:"footer,omitempty"`
	Body          string            `json:"body,omitempty"`
}

// A Header is the header of a message. It may be there and empty.
type Header struct {
	Durable       bool   `json:"durable,omitempty"`
	Priority      *uint8 `json:"priority,omitempty"`
	TTL           uint32 `json:"ttl,omitempty"` // in milliseconds
	FirstAcquirer bool   `json:"firstAcquirer,omitempty"`
	DeliveryCount uint32 `json:"deliveryCount,omitempty"`
}

// KindSequences is a body of sequence sections: a list of lists.
const KindSequences = "sequences"

// KindNullData is a data section that is null. The JavaScript client sends null in this form.
const KindNullData = "nullData"

// NullBody stands for a body that is null or missing. With KindNull it is a value, with
// KindNullData a data section. Without a name it is missing.
var NullBody = json.RawMessage("null")

// Annotations that have fields of their own in a record and in tail's text.
const (
	KeyAnnotation      = "x-opt-partition-key"
	SequenceAnnotation = "x-opt-sequence-number"
	OffsetAnnotation   = "x-opt-offset"
	EnqueuedAnnotation = "x-opt-enqueued-time"
)

// New describes a message.
func New(m *amqp.Message) Message {
	var types Types
	var r Message
	if len(m.ApplicationProperties) > 0 {
		r.Properties = make(map[string]any, len(m.ApplicationProperties))
	}
	for _, p := range m.ApplicationProperties {
		name := AnnotationName(p.Key)
		r.Properties[name] = types.describe(&types.Properties, name, p.Value)
	}
	if p := m.Properties; p != nil {
		types.MessageID, r.MessageID = Describe(p.MessageID)
		types.CorrelationID, r.CorrelationID = Describe(p.CorrelationID)
		r.ContentType, r.ContentEncoding, r.Subject, r.To, r.ReplyTo = p.ContentType, p.ContentEncoding, p.Subject, p.To, p.ReplyTo
		r.UserID, r.GroupID, r.GroupSequence, r.ReplyToGroupID = p.UserID, p.GroupID, p.GroupSequence, p.ReplyToGroupID
		r.CreationTime, r.ExpiryTime = optionalTime(p.CreationTime), optionalTime(p.AbsoluteExpiryTime)
	}
	for _, p := range m.Annotations {
		name := AnnotationName(p.Key)
		if isField(name, p.Value) {
			if name == KeyAnnotation {
				r.Key = new(p.Value.(string))
			}
			continue
		}
		if r.Annotations == nil {
			r.Annotations = map[string]any{}
		}
		r.Annotations[name] = types.describe(&types.Annotations, name, p.Value)
	}
	if h := m.Header; h != nil {
		r.Header = &Header{h.Durable, h.Priority, uint32(h.TTL.Milliseconds()), h.FirstAcquirer, h.DeliveryCount}
	}
	r.Delivery = types.describeAll(&types.Delivery, m.DeliveryAnnotations)
	r.Footer = types.describeAll(&types.Footer, m.Footer)
	r.describeBody(m, &types)
	if types.any() {
		r.Types = &types
	}
	return r
}

// any reports whether any type is named.
func (t *Types) any() bool {
	return t.MessageID != "" || t.CorrelationID != "" || t.Properties != nil || t.Annotations != nil || t.Delivery != nil || t.Footer != nil || t.Body != ""
}

// describe returns the JSON of a value, and notes its type under a name.
func (*Types) describe(in *map[string]string, name string, value any) any {
	kind, content := Describe(value)
	if kind != "" {
		if *in == nil {
			*in = map[string]string{}
		}
		(*in)[name] = kind
	}
	return content
}

// describeAll describes the values of a map; nil for none.
func (t *Types) describeAll(in *map[string]string, values amqp.Map) map[string]any {
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]any, len(values))
	for _, p := range values {
		name := AnnotationName(p.Key)
		out[name] = t.describe(in, name, p.Value)
	}
	return out
}

func (r *Message) describeBody(m *amqp.Message, types *Types) {
	switch {
	case len(m.Data) == 1 && m.Data[0] == nil:
		types.Body, r.BodyValue = KindNullData, NullBody
	case len(m.Data) > 0:
		all := m.Data[0]
		if len(m.Data) > 1 {
			r.BodyLengths = lengths(m.Data)
			all = bytes.Join(m.Data, nil)
		}
		if IsText(all) {
			r.Body = new(string(all))
		} else {
			r.BodyBase64 = all
		}
	case len(m.Sequences) > 0:
		sections := make([]any, len(m.Sequences))
		for i, section := range m.Sequences {
			sections[i] = jsonList(section)
		}
		types.Body, r.BodyValue = KindSequences, sections
	case m.HasValue && amqp.IsNull(m.Value):
		types.Body, r.BodyValue = KindNull, NullBody
	case m.HasValue:
		types.Body, r.BodyValue = Describe(m.Value)
	}
	if r.Body == nil && r.BodyBase64 == nil && r.BodyValue == nil {
		r.BodyValue = NullBody
	}
}

// lengths returns the lengths of data sections, and -1 for a section that is null.
func lengths(sections [][]byte) []int {
	out := make([]int, len(sections))
	for i, section := range sections {
		if out[i] = len(section); section == nil {
			out[i] = -1
		}
	}
	return out
}

// AnnotationName returns the key of an annotation: text, or a number in digits.
func AnnotationName(key any) string {
	if v := reflect.ValueOf(key); v.Kind() == reflect.String {
		return v.String()
	}
	return fmt.Sprint(key)
}

// isField reports whether a record has a field for an annotation. A value of another type than the
// service's stays an annotation.
func isField(name string, value any) bool {
	switch name {
	case SequenceAnnotation:
		_, ok := value.(int64)
		return ok
	case EnqueuedAnnotation:
		_, ok := value.(time.Time)
		return ok
	case KeyAnnotation, OffsetAnnotation:
		_, ok := value.(string)
		return ok
	}
	return false
}

func optionalTime(t *time.Time) any {
	if t == nil {
		return nil
	}
	return jsonTime(*t)
}

// An Event is an event in a partition. Its fields are the JSON output, in this order.
type Event struct {
	Partition      string `json:"partition"`
	SequenceNumber int64  `json:"sequenceNumber"`
	Offset         string `json:"offset"`
	EnqueuedTime   string `json:"enqueuedTime"`
	Message
}
