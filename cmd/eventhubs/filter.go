package main

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// A filter is the value of --filter: PATH, or PATH OPERATOR VALUE. The path names a field of tail's
// JSON, or with body.NAME a field of a body that is JSON.
type filter struct {
	text     string
	path     string
	operator string // empty: the field exists
	value    string
	number   *big.Float     // of value, if it is a number
	pattern  *regexp.Regexp // with ~ and !~
}

// filterForm splits a filter. The longer operators come first.
var filterForm = regexp.MustCompile(`^\s*([^=!<>~\s]+)\s*(?:(!=|<=|>=|!~|==|=|<|>|~)\s*(.*?)\s*)?$`)

// filterFields are the fields that a path may begin with, and whether a name follows.
var filterFields = map[string]bool{
	"partition": false, "sequenceNumber": false, "offset": false, "enqueuedTime": false, "key": false, "messageId": false, "correlationId": false,
	"contentType": false, "contentEncoding": false, "subject": false, "properties": true, "annotations": true, "body": true,
}

func parseFilter(text string) (filter, error) {
	m := filterForm.FindStringSubmatch(text)
	if m == nil {
		return filter{}, badInput("want PATH, or PATH OPERATOR VALUE with =, !=, <, <=, >, >=, ~ or !~, as in properties.source=shop")
	}
	f := filter{text: text, path: m[1], operator: m[2], value: m[3]}
	if f.operator == "==" {
		f.operator = "="
	}
	field, rest, deeper := strings.Cut(f.path, ".")
	named, known := filterFields[field]
	switch {
	case !known:
		return f, badInput("there is no field %q; a path begins with properties., annotations., body., key, messageId, correlationId, contentType, contentEncoding, subject, partition, sequenceNumber, offset or enqueuedTime", field)
	case deeper && (!named || rest == ""):
		return f, badInput("%q is no path", f.path)
	case named && !deeper && field != "body":
		return f, badInput("name one of the %s, as in %s.source", field, field)
	}
	f.number = numberIn(f.value)
	if strings.HasSuffix(f.operator, "~") {
		var err error
		if f.pattern, err = regexp.Compile(f.value); err != nil {
			return f, badInput("%q is no regular expression: %w", f.value, err)
		}
	}
	return f, nil
}

// matches reports whether a filter lets an event pass. A field that is missing passes only != and
// !~.
func (f *filter) matches(r *eventRecord) bool {
	value, exists := f.find(r)
	switch f.operator {
	case "":
		return exists
	case "!=":
		return !exists || f.compare(value) != 0
	case "!~":
		return !exists || !f.pattern.MatchString(value)
	}
	if !exists {
		return false
	}
	switch f.operator {
	case "~":
		return f.pattern.MatchString(value)
	case "=":
		return f.compare(value) == 0
	case "<":
		return f.compare(value) < 0
	case "<=":
		return f.compare(value) <= 0
	case ">":
		return f.compare(value) > 0
	}
	return f.compare(value) >= 0
}

// compare compares as numbers if both are, otherwise as text.
func (f *filter) compare(value string) int {
	if f.number != nil {
		if n := numberIn(value); n != nil {
			return n.Cmp(f.number)
		}
	}
	return strings.Compare(value, f.value)
}

// numberIn returns the number that a text is; nil if it is none. It keeps every digit of a 64-bit
// number.
func numberIn(text string) *big.Float {
	if text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return nil
	}
	n, _, err := big.ParseFloat(text, 10, 128, big.ToNearestEven)
	if err != nil {
		return nil
	}
	return n
}

// find returns the field at the filter's path, as text.
func (f *filter) find(r *eventRecord) (value string, exists bool) {
	field, rest, deeper := strings.Cut(f.path, ".")
	switch field {
	case "partition":
		return r.Partition, true
	case "sequenceNumber":
		return strconv.FormatInt(r.SequenceNumber, 10), true
	case "offset":
		return r.Offset, true
	case "enqueuedTime":
		return r.EnqueuedTime, true
	case "key":
		return textOrNone(r.Key)
	case "contentType":
		return textOrNone(r.ContentType)
	case "contentEncoding":
		return textOrNone(r.ContentEncoding)
	case "subject":
		return textOrNone(r.Subject)
	case "messageId":
		return textOf(r.MessageID), r.MessageID != nil
	case "correlationId":
		return textOf(r.CorrelationID), r.CorrelationID != nil
	case "properties":
		v, ok := r.Properties[rest]
		return textOf(v), ok
	case "annotations":
		v, ok := r.Annotations[rest]
		return textOf(v), ok
	}
	if !deeper {
		return r.bodyText(), !isNullBody(r.BodyValue)
	}
	body, err := decodeJSON(r.bodyText())
	if err != nil {
		return "", false
	}
	return memberOf(body, strings.Split(rest, "."))
}

func textOrNone(text *string) (string, bool) {
	if text == nil {
		return "", false
	}
	return *text, true
}

// textOf returns a value as text: text as it is, other values as JSON.
func textOf(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	return string(eventjson.AppendJSON(nil, v))
}

// memberOf returns the member of decoded JSON at a path. A number in the path is the place in a
// list.
func memberOf(v any, path []string) (value string, exists bool) {
	for _, name := range path {
		switch in := v.(type) {
		case map[string]any:
			if v, exists = in[name]; !exists {
				return "", false
			}
		case []any:
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(in) {
				return "", false
			}
			v = in[n]
		default:
			return "", false
		}
	}
	return textOf(v), true
}

// decodeJSON decodes one JSON value. Its numbers are json.Number, with all their digits.
func decodeJSON(text string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := decodeOne(d, &v); err != nil {
		return nil, err
	}
	return v, nil
}
