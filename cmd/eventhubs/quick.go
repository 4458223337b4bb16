package main

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// A quick prints usual events from their encoding, several times as fast as by way of an
// eventRecord, and allocates nothing. An event is usual if it has one data section, and nothing in
// it needs a type of its own, except int, symbol and timestamp. Any other event, also one that is
// malformed or has very many properties, is left to the eventRecord. The two print the same.
type quick struct {
	partition string // immutable

	// Of the event that was scanned; they alias its encoding.
	offset      []byte
	key         []byte
	hasKey      bool
	texts       [len(quickTexts)][]byte // of the properties section; nil for none
	annotations []quickMember
	properties  []quickMember
	body        []byte
	isText      bool // the body

	second  int64  // of the latest time
	instant []byte // that second as text
}

// A quickMember is an annotation or application property.
type quickMember struct {
	name  []byte
	value amqp.Raw
}

// quickTexts are the fields of the properties section that are text, in AMQP's order. The second,
// user-id, is bytes.
var quickTexts = [...]string{"messageId", "userId", "to", "subject", "replyTo", "correlationId", "contentType", "contentEncoding"}

const (
	quickMessageID       = 0
	quickUserID          = 1
	quickTo              = 2
	quickSubject         = 3
	quickReplyTo         = 4
	quickCorrelationID   = 5
	quickContentType     = 6
	quickContentEncoding = 7
)

// scan takes an encoded message apart. It reports false if the event is not usual.
func (q *quick) scan(encoded []byte) bool {
	q.offset, q.key, q.hasKey, q.texts = nil, nil, false, [len(quickTexts)][]byte{}
	q.annotations, q.properties = q.annotations[:0], q.properties[:0]
	last := byte(0)
	for b := encoded; len(b) > 0; {
		s, rest, err := amqp.NextSection(b)
		if err != nil || s.Code <= last {
			return false
		}
		b, last = rest, s.Code
		ok := false
		switch s.Code {
		case amqp.SectionMessageAnnotations:
			ok = q.scanAnnotations(s.Value)
		case amqp.SectionProperties:
			ok = q.scanTexts(s.Value)
		case amqp.SectionApplicationProperties:
			q.properties, ok = scanMembers(q.properties, s.Value, amqp.Raw.Text)
		case amqp.SectionData:
			if q.body, err = s.Data(); err == nil {
				q.isText, ok = eventjson.IsText(q.body), true
			}
		}
		if !ok {
			return false
		}
	}
	return last == amqp.SectionData
}

func (q *quick) scanAnnotations(encoded []byte) bool {
	var ok bool
	if q.annotations, ok = scanMembers(q.annotations, encoded, amqp.Raw.Symbol); !ok {
		return false
	}
	own := q.annotations[:0]
	for _, m := range q.annotations {
		switch string(m.name) {
		case eventjson.KeyAnnotation:
			q.key, ok = m.value.Text()
			q.hasKey = true
		case eventjson.SequenceAnnotation:
			_, ok = m.value.Long()
		case eventjson.EnqueuedAnnotation:
			_, ok = m.value.Timestamp()
		case eventjson.OffsetAnnotation:
			q.offset, ok = m.value.Text()
		default:
			own = append(own, m)
		}
		if !ok {
			return false
		}
	}
	q.annotations = own
	return true
}

// mostMembers bounds the members of a usual map. Sorting more of them by insertion takes too long.
const mostMembers = 128

// scanMembers appends the members of an encoded map, in the order of their names. It reports false
// if a name is twice there, is no text, or has another type than name's, or if a value is not usual.
func scanMembers(members []quickMember, encoded []byte, name func(amqp.Raw) ([]byte, bool)) (_ []quickMember, ok bool) {
	m, after, ok := amqp.NextRaw(encoded)
	count, b, isMap := m.Map()
	if !ok || !isMap || len(after) > 0 || count > 2*mostMembers {
		return members, false
	}
	for ; count > 0; count -= 2 {
		var key, value amqp.Raw
		if key, b, ok = amqp.NextRaw(b); !ok {
			return members, false
		}
		if value, b, ok = amqp.NextRaw(b); !ok {
			return members, false
		}
		text, ok := name(key)
		if !ok || !eventjson.IsText(text) || !usual(value) {
			return members, false
		}
		at := len(members)
		for at > 0 && bytes.Compare(members[at-1].name, text) > 0 {
			at--
		}
		if at > 0 && bytes.Equal(members[at-1].name, text) {
			return members, false
		}
		members = slices.Insert(members, at, quickMember{text, value})
	}
	return members, len(b) == 0
}

// usual reports whether appendUsual prints a value.
func usual(v amqp.Raw) bool {
	if text, ok := v.Text(); ok {
		return eventjson.IsText(text)
	}
	if text, ok := v.Symbol(); ok {
		return eventjson.IsText(text)
	}
	_, isLong := v.Long()
	_, isInt := v.Int()
	_, isBool := v.Bool()
	_, isTime := v.Timestamp()
	return isLong || isInt || isBool || isTime || v.IsNull()
}

// appendUsual appends the JSON of a value.
func appendUsual(dst []byte, v amqp.Raw) []byte {
	if text, ok := v.Text(); ok {
		return eventjson.AppendString(dst, text)
	}
	if text, ok := v.Symbol(); ok {
		return eventjson.AppendString(dst, text)
	}
	if n, ok := v.Long(); ok {
		return strconv.AppendInt(dst, n, 10)
	}
	if n, ok := v.Int(); ok {
		return strconv.AppendInt(dst, int64(n), 10)
	}
	if is, ok := v.Bool(); ok {
		return strconv.AppendBool(dst, is)
	}
	if ms, ok := v.Timestamp(); ok {
		_, content := eventjson.Describe(time.UnixMilli(ms))
		return eventjson.AppendJSON(dst, content)
	}
	return append(dst, "null"...)
}

// scanTexts reads the properties section.
func (q *quick) scanTexts(encoded []byte) bool {
	list, after, ok := amqp.NextRaw(encoded)
	count, b, isList := list.List()
	if !ok || !isList || len(after) > 0 {
		return false
	}
	for i := range count {
		var v amqp.Raw
		if v, b, ok = amqp.NextRaw(b); !ok {
			return false
		}
		if v.IsNull() {
			continue
		}
		text, ok := v.Text()
		if i == quickContentType || i == quickContentEncoding {
			text, ok = v.Symbol()
		}
		if !ok || i == quickUserID || i >= len(q.texts) || !eventjson.IsText(text) {
			return false
		}
		q.texts[i] = text
	}
	return len(b) == 0
}

// appendJSON appends the event that was scanned, as eventjson.Event does.
func (q *quick) appendJSON(dst []byte, e *consumer.Event) []byte {
	dst = eventjson.AppendString(append(dst, `{"partition":`...), q.partition)
	dst = strconv.AppendInt(append(dst, `,"sequenceNumber":`...), e.SequenceNumber, 10)
	dst = eventjson.AppendString(append(dst, `,"offset":`...), q.offset)
	dst = append(q.appendTime(append(dst, `,"enqueuedTime":"`...), e.EnqueuedTime), `","key":`...)
	if q.hasKey {
		dst = eventjson.AppendString(dst, q.key)
	} else {
		dst = append(dst, "null"...)
	}
	dst = q.appendTexts(dst, quickMessageID, quickCorrelationID)
	dst = appendUsuals(append(dst, `,"properties":`...), q.properties)
	dst = q.appendTexts(dst, quickContentType, quickContentEncoding, quickSubject, quickTo, quickReplyTo)
	if len(q.annotations) > 0 {
		dst = appendUsuals(append(dst, `,"annotations":`...), q.annotations)
	}
	if q.isText {
		dst = eventjson.AppendString(append(dst, `,"body":`...), q.body)
	} else {
		dst = append(base64.StdEncoding.AppendEncode(append(dst, `,"bodyBase64":"`...), q.body), '"')
	}
	return append(q.appendTypes(dst), '}', '\n')
}

// appendTypes appends the field types, if there is any.
func (q *quick) appendTypes(dst []byte) []byte {
	properties, annotations := hasKinds(q.properties), hasKinds(q.annotations)
	if !properties && !annotations {
		return dst
	}
	dst = append(dst, `,"types":{`...)
	if properties {
		dst = appendKinds(append(dst, `"properties":`...), q.properties)
	}
	if properties && annotations {
		dst = append(dst, ',')
	}
	if annotations {
		dst = appendKinds(append(dst, `"annotations":`...), q.annotations)
	}
	return append(dst, '}')
}

// appendTexts appends the texts that are there.
func (q *quick) appendTexts(dst []byte, fields ...int) []byte {
	for _, i := range fields {
		if text := q.texts[i]; text != nil {
			dst = append(append(append(dst, `,"`...), quickTexts[i]...), `":`...)
			dst = eventjson.AppendString(dst, text)
		}
	}
	return dst
}

// appendText appends the event that was scanned, as eventRecord.appendText does. It reports false
// if the event has more than key and body.
func (q *quick) appendText(dst []byte, e *consumer.Event) (_ []byte, ok bool) {
	if len(q.annotations) > 0 || q.texts[quickMessageID] != nil || q.texts[quickCorrelationID] != nil {
		return dst, false
	}
	dst = append(append(dst, q.partition...), '\t')
	dst = append(strconv.AppendInt(dst, e.SequenceNumber, 10), '\t')
	dst = append(q.appendTime(dst, e.EnqueuedTime), '\t')
	if q.hasKey {
		dst = appendPrintable(dst, q.key)
	} else {
		dst = append(dst, '-')
	}
	dst = append(dst, '\t')
	if q.isText {
		dst = appendPrintable(dst, q.body)
	} else {
		dst = appendQuoted(dst, q.body)
	}
	return append(dst, '\n'), true
}

// appendTime appends a time in RFC 3339, in UTC; nothing for the zero time. Most events share their
// second with the one before.
func (q *quick) appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	if second := t.Unix(); len(q.instant) == 0 || second != q.second {
		q.second, q.instant = second, t.UTC().AppendFormat(q.instant[:0], "2006-01-02T15:04:05")
	}
	dst = append(dst, q.instant...)
	if n := t.Nanosecond(); n > 0 {
		digits := [...]byte{'.', '0', '0', '0', '0', '0', '0', '0', '0', '0'}
		for i := len(digits) - 1; i > 0; i, n = i-1, n/10 {
			digits[i] += byte(n % 10)
		}
		dst = append(dst, bytes.TrimRight(digits[:], "0")...)
	}
	return append(dst, 'Z')
}

func appendUsuals(dst []byte, members []quickMember) []byte {
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(eventjson.AppendString(dst, m.name), ':')
		dst = appendUsual(dst, m.value)
	}
	return append(dst, '}')
}

// kindOf returns the name of a usual value's type: empty for JSON's own.
func kindOf(v amqp.Raw) string {
	if _, ok := v.Symbol(); ok {
		return "symbol"
	}
	if _, ok := v.Int(); ok {
		return "int"
	}
	if _, ok := v.Timestamp(); ok {
		return "timestamp"
	}
	return ""
}

// hasKinds reports whether any member has a type that JSON does not have.
func hasKinds(members []quickMember) bool {
	return slices.ContainsFunc(members, func(m quickMember) bool { return kindOf(m.value) != "" })
}

// appendKinds appends the types that JSON does not have, by name.
func appendKinds(dst []byte, members []quickMember) []byte {
	dst = append(dst, '{')
	begun := false
	for _, m := range members {
		kind := kindOf(m.value)
		if kind == "" {
			continue
		}
		if begun {
			dst = append(dst, ',')
		}
		begun = true
		dst = eventjson.AppendString(append(eventjson.AppendString(dst, m.name), ':'), kind)
	}
	return append(dst, '}')
}
