package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/internal/consumer"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// An eventRecord is an event as tail prints it.
type eventRecord struct{ eventjson.Event }

func newEventRecord(partition string, e *consumer.Event) eventRecord {
	r := eventRecord{eventjson.Event{
		Partition:      partition,
		SequenceNumber: e.SequenceNumber,
		Offset:         e.Offset,
		Message:        eventjson.New(&e.Message),
	}}
	if !e.EnqueuedTime.IsZero() {
		r.EnqueuedTime = e.EnqueuedTime.UTC().Format(time.RFC3339Nano)
	}
	return r
}

// A printer makes text of the events of one partition. It belongs to one goroutine.
type printer struct {
	// Immutable.
	layout    *layout
	partition string

	own   bytes.Buffer // memory for templates
	plain bytes.Buffer // memory for indented JSON
}

func newPrinter(l *layout, partition string) printer { return printer{layout: l, partition: partition} }

// appendEvent appends the text of an event, or nothing if the options leave the event out.
func (p *printer) appendEvent(dst []byte, e *consumer.Event, opts *tailOptions) ([]byte, error) {
	r := newEventRecord(p.partition, e)
	if opts.key != nil && (r.Key == nil || *r.Key != *opts.key) {
		return dst, nil
	}
	for i := range opts.filters {
		if !opts.filters[i].matches(&r) {
			return dst, nil
		}
	}
	switch p.layout.kind {
	case layoutJSON:
		return append(r.AppendTo(dst), '\n'), nil
	case layoutPretty:
		p.plain.Reset()
		if err := json.Indent(&p.plain, r.readable(), "", "  "); err != nil {
			return dst, err
		}
		return append(append(dst, p.plain.Bytes()...), '\n'), nil
	case layoutTemplate:
		return p.appendTemplate(dst, e, &r)
	}
	return r.appendText(dst), nil
}

// readable returns the record as JSON for people: a body that is a JSON object or list is shown as
// one.
func (r *eventRecord) readable() []byte {
	if r.Body == nil || len(*r.Body) == 0 || (*r.Body)[0] != '{' && (*r.Body)[0] != '[' || !json.Valid([]byte(*r.Body)) {
		return r.AppendTo(nil)
	}
	shown := *r
	shown.Body, shown.Decoded = nil, json.RawMessage(*r.Body)
	return shown.AppendTo(nil)
}

// appendText appends the record as one line that is safe to show on a terminal.
func (r *eventRecord) appendText(dst []byte) []byte {
	dst = append(append(dst, r.Partition...), '\t')
	dst = append(strconv.AppendInt(dst, r.SequenceNumber, 10), '\t')
	dst = append(append(dst, r.EnqueuedTime...), '\t')
	if r.Key == nil {
		dst = append(dst, '-')
	} else {
		dst = appendPrintable(dst, *r.Key)
	}
	dst = append(dst, '\t')
	switch {
	case r.Body != nil:
		dst = appendPrintable(dst, *r.Body)
	case isNullBody(r.BodyValue):
		dst = append(dst, '-')
	case r.BodyValue != nil:
		dst = appendPrintable(dst, string(eventjson.AppendJSON(nil, r.BodyValue)))
	default:
		dst = appendQuoted(dst, r.BodyBase64)
	}
	for i, field := range more(&r.Message) {
		separator := byte(' ')
		if i == 0 {
			separator = '\t'
		}
		dst = append(append(dst, separator), field...)
	}
	return append(dst, '\n')
}

// isNullBody reports whether a body is eventjson.NullBody.
func isNullBody(body any) bool {
	text, ok := body.(json.RawMessage)
	return ok && string(text) == "null"
}

// printable escapes unprintable characters as in Go. They could end the line or control the
// terminal.
func printable(text string) string { return string(appendPrintable(nil, text)) }

func appendPrintable(dst []byte, text string) []byte {
	from := 0
	for i := 0; i < len(text); {
		if c := text[i]; c >= ' ' && c < 0x7f {
			i++
			continue
		}
		c, size := utf8.DecodeRuneInString(text[i:])
		if !strconv.IsPrint(c) {
			dst = append(dst, text[from:i]...)
			quoted := len(dst)
			dst = strconv.AppendQuoteRune(dst, c)
			dst = append(dst[:quoted], dst[quoted+1:len(dst)-1]...) // without its quotation marks
			from = i + size
		}
		i += size
	}
	return append(dst, text[from:]...)
}

// appendQuoted appends bytes in quotation marks, as strconv.AppendQuote does, several times as fast
// for bytes that are not text.
func appendQuoted(dst []byte, b []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(b); {
		c := b[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ' && c < 0x7f:
			dst = append(dst, c)
		case c < utf8.RuneSelf:
			if n := strings.IndexByte("\a\b\f\n\r\t\v", c); n >= 0 {
				dst = append(dst, '\\', "abfnrtv"[n])
			} else {
				dst = append(dst, '\\', 'x', hex[c>>4], hex[c&0xf])
			}
		default:
			r, size := utf8.DecodeRune(b[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(dst, '\\', 'x', hex[c>>4], hex[c&0xf])
			case strconv.IsPrint(r):
				dst = append(dst, b[i:i+size]...)
			default:
				quoted := len(dst)
				dst = strconv.AppendQuoteRune(dst, r)
				dst = append(dst[:quoted], dst[quoted+1:len(dst)-1]...) // without its quotation marks
			}
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}

// more returns the rest of a record for people: ids, and annotations such as IoT Hub's.
func more(r *eventjson.Message) (fields []string) {
	add := func(name string, value any) {
		text, ok := value.(string)
		if !ok {
			text = string(eventjson.AppendJSON(nil, value))
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
