package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
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

	quick quick
	own   bytes.Buffer // memory for templates
	plain bytes.Buffer // memory for indented JSON
}

func newPrinter(l *layout, partition string) printer {
	return printer{layout: l, partition: partition, quick: quick{partition: partition}}
}

// appendQuick is appendEvent for a usual event that is not decoded. It is not ok, and appends
// nothing, if the event must be decoded first.
func (p *printer) appendQuick(dst []byte, e *consumer.Event, opts *tailOptions) (_ []byte, ok bool) {
	isJSON := p.layout.kind == layoutJSON
	if !isJSON && p.layout.kind != layoutText || len(opts.filters) > 0 || !e.Placed || e.Err != nil || !p.quick.scan(e.Encoded) {
		return dst, false
	}
	switch {
	case opts.key != nil && (!p.quick.hasKey || string(p.quick.key) != *opts.key):
		return dst, true
	case isJSON:
		return p.quick.appendJSON(dst, e), true
	}
	return p.quick.appendText(dst, e)
}

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

// printable escapes unprintable characters, and bytes that are no UTF-8, as in Go. They could end the
// line or control the terminal.
func printable(text string) string { return string(appendPrintable(nil, text)) }

func appendPrintable[T string | []byte](dst []byte, text T) []byte {
	from := 0
	for i := 0; i < len(text); {
		if i = eventjson.SkipPrintable(text, i); i == len(text) {
			break
		}
		if c := text[i]; c >= ' ' && c < 0x7f {
			i++
			continue
		}
		c, size := utf8.DecodeRuneInString(string(text[i:min(i+utf8.UTFMax, len(text))]))
		switch {
		case c == utf8.RuneError && size == 1: // a byte that is no UTF-8, which may control the terminal too
			q := &quotedBytes[text[i]]
			dst = append(append(dst, text[from:i]...), q.text[:q.size]...)
			from = i + size
		case !isPrint(c):
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

// isPrint is strconv.IsPrint, faster for the characters that are one or two bytes in UTF-8.
func isPrint(r rune) bool {
	if r < rune(len(shortPrint)) {
		return shortPrint[r]
	}
	return strconv.IsPrint(r)
}

var shortPrint = func() (is [0x800]bool) {
	for r := range is {
		is[r] = strconv.IsPrint(rune(r))
	}
	return is
}()

// A quotedByte is a byte as it stands in quotation marks, unless it begins a character beyond ASCII.
type quotedByte struct {
	text [4]byte
	size int // of text: 1, 2 or 4
}

var quotedBytes = func() (all [256]quotedByte) {
	for c := range all {
		text := strconv.Quote(string([]byte{byte(c)}))
		text = text[1 : len(text)-1]
		all[c].size = copy(all[c].text[:], text)
	}
	return all
}()

// appendQuoted appends bytes in quotation marks, as strconv.AppendQuote does, many times as fast for
// bytes that are not text.
func appendQuoted(dst []byte, b []byte) []byte {
	const most = 4 // bytes for one
	n := len(dst) + 1
	dst = append(slices.Grow(dst, most*len(b)+2*most), '"')
	out := dst[:cap(dst)] // up to n it is dst
	for i := 0; i < len(b); {
		c := b[i]
		if c >= 0xc2 && c <= 0xf4 && i+1 < len(b) && b[i+1]&0xc0 == 0x80 { // it may begin a character
			r, size := rune(c&0x1f)<<6|rune(b[i+1]&0x3f), 2
			if c >= 0xe0 {
				r, size = utf8.DecodeRune(b[i:])
			}
			if size > 1 {
				if isPrint(r) {
					n += copy(out[n:], b[i:i+size])
				} else {
					quoted := strconv.AppendQuoteRune(nil, r)
					n += copy(out[n:], quoted[1:len(quoted)-1]) // without its quotation marks
				}
				i += size
				continue
			}
		}
		q := &quotedBytes[c]
		*(*[most]byte)(out[n:]) = q.text
		n += q.size
		i++
	}
	return append(out[:n], '"')
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
