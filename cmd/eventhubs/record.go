package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A messageRecord is the sender's part of an event, as JSON. The command tail and the file of
// --undelivered have such records, with further fields. The file record_parse.go makes an event of
// a record again.
//
// The file value.go describes the JSON of a value. The names of types are in the field Types, so
// that a number stays a plain number.
type messageRecord struct {
	Key             *string        `json:"key"`
	MessageID       any            `json:"messageId,omitempty"`
	CorrelationID   any            `json:"correlationId,omitempty"`
	Properties      recordMembers  `json:"properties"`
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
	Body            *string        `json:"body,omitempty"`
	BodyBase64      []byte         `json:"bodyBase64,omitempty"`
	BodyLengths     []int          `json:"bodyLengths,omitempty"`
	BodyValue       any            `json:"bodyValue,omitempty"` // nullBody for null
	Types           *recordTypes   `json:"types,omitempty"`

	decoded json.RawMessage // in place of Body, for people only
}

// recordMembers are the values of a record by name. In JSON there is always an object, maybe empty.
type recordMembers map[string]any

// MarshalJSON writes nil as an empty object.
func (m recordMembers) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("{}"), nil
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(map[string]any(m))
	return out.Bytes(), err
}

// recordTypes are the types that JSON does not have. A value without a name here has JSON's own
// type.
type recordTypes struct {
	MessageID     string            `json:"messageId,omitempty"`
	CorrelationID string            `json:"correlationId,omitempty"`
	Properties    map[string]string `json:"properties,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
	Body          string            `json:"body,omitempty"`
}

// kindSequences is a body of sequence sections: a list of lists.
const kindSequences = "sequences"

// kindNullData is a data section that is null. The JavaScript client sends null in this form.
const kindNullData = "nullData"

// nullBody stands for a body that is null or missing. With kindNull it is a value, with
// kindNullData a data section. Without a name it is missing.
var nullBody = json.RawMessage("null")

// Annotations that have fields of their own in a record and in tail's text.
const (
	keyAnnotation      = "x-opt-partition-key"
	sequenceAnnotation = "x-opt-sequence-number"
	offsetAnnotation   = "x-opt-offset"
	enqueuedAnnotation = "x-opt-enqueued-time"
)

// newMessageRecord describes a message.
func newMessageRecord(m *amqp.Message) messageRecord {
	var types recordTypes
	var r messageRecord
	if len(m.ApplicationProperties) > 0 {
		r.Properties = make(map[string]any, len(m.ApplicationProperties))
	}
	for _, p := range m.ApplicationProperties {
		name := annotationName(p.Key)
		r.Properties[name] = types.describe(&types.Properties, name, p.Value)
	}
	if p := m.Properties; p != nil {
		types.MessageID, r.MessageID = describeValue(p.MessageID)
		types.CorrelationID, r.CorrelationID = describeValue(p.CorrelationID)
		r.ContentType, r.ContentEncoding, r.Subject, r.To, r.ReplyTo = p.ContentType, p.ContentEncoding, p.Subject, p.To, p.ReplyTo
		r.UserID, r.GroupID, r.GroupSequence, r.ReplyToGroupID = p.UserID, p.GroupID, p.GroupSequence, p.ReplyToGroupID
		r.CreationTime, r.ExpiryTime = optionalTime(p.CreationTime), optionalTime(p.AbsoluteExpiryTime)
	}
	for _, p := range m.Annotations {
		name := annotationName(p.Key)
		if isField(name, p.Value) {
			if name == keyAnnotation {
				r.Key = new(p.Value.(string))
			}
			continue
		}
		if r.Annotations == nil {
			r.Annotations = map[string]any{}
		}
		r.Annotations[name] = types.describe(&types.Annotations, name, p.Value)
	}
	r.describeBody(m, &types)
	if types.any() {
		r.Types = &types
	}
	return r
}

// any reports whether any type is named.
func (t *recordTypes) any() bool {
	return t.MessageID != "" || t.CorrelationID != "" || t.Properties != nil || t.Annotations != nil || t.Body != ""
}

// describe returns the JSON of a value, and notes its type under a name.
func (*recordTypes) describe(in *map[string]string, name string, value any) any {
	kind, content := describeValue(value)
	if kind != "" {
		if *in == nil {
			*in = map[string]string{}
		}
		(*in)[name] = kind
	}
	return content
}

func (r *messageRecord) describeBody(m *amqp.Message, types *recordTypes) {
	switch {
	case len(m.Data) == 1 && m.Data[0] == nil:
		types.Body, r.BodyValue = kindNullData, nullBody
	case len(m.Data) > 0:
		all := m.Data[0]
		if len(m.Data) > 1 {
			r.BodyLengths = lengths(m.Data)
			all = bytes.Join(m.Data, nil)
		}
		if utf8.Valid(all) {
			r.Body = new(string(all))
		} else {
			r.BodyBase64 = all
		}
	case len(m.Sequences) > 0:
		sections := make([]any, len(m.Sequences))
		for i, section := range m.Sequences {
			sections[i] = jsonList(section)
		}
		types.Body, r.BodyValue = kindSequences, sections
	case m.HasValue && amqp.IsNull(m.Value):
		types.Body, r.BodyValue = kindNull, nullBody
	case m.HasValue:
		types.Body, r.BodyValue = describeValue(m.Value)
	}
	if r.Body == nil && r.BodyBase64 == nil && r.BodyValue == nil {
		r.BodyValue = nullBody
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

// annotationName returns the key of an annotation: text, or a number in digits.
func annotationName(key any) string {
	if v := reflect.ValueOf(key); v.Kind() == reflect.String {
		return v.String()
	}
	return fmt.Sprint(key)
}

// isField reports whether a record has a field for an annotation. A value of another type than the
// service's stays an annotation.
func isField(name string, value any) bool {
	switch name {
	case sequenceAnnotation:
		_, ok := value.(int64)
		return ok
	case enqueuedAnnotation:
		_, ok := value.(time.Time)
		return ok
	case keyAnnotation, offsetAnnotation:
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

// more returns the rest of a record for people: ids, and annotations such as IoT Hub's.
func (r *messageRecord) more() (fields []string) {
	add := func(name string, value any) {
		text, ok := value.(string)
		if !ok {
			text = string(appendJSON(nil, value))
		}
		fields = append(fields, printable(name)+"="+quotedIfNeeded(text))
	}
	if r.MessageID != nil {
		add("message-id", r.MessageID)
	}
	if r.CorrelationID != nil {
		add("correlation-id", r.CorrelationID)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Annotations)) {
		add(name, r.Annotations[name])
	}
	return fields
}

// quotedIfNeeded returns text in quotes, unless it is a plain word.
func quotedIfNeeded(text string) string {
	if quoted := strconv.Quote(text); text == "" || quoted != `"`+text+`"` || slices.ContainsFunc([]rune(text), func(c rune) bool { return c == ' ' || c == '=' }) {
		return quoted
	}
	return text
}
