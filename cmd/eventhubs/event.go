package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// An eventRecord is an event as tail prints it. Its fields are the JSON output, in this order.
type eventRecord struct {
	Partition      string         `json:"partition"`
	SequenceNumber int64          `json:"sequenceNumber"`
	Offset         string         `json:"offset"`
	EnqueuedTime   string         `json:"enqueuedTime"`
	Key            *string        `json:"key"`
	Properties     map[string]any `json:"properties"`
	ContentType    *string        `json:"contentType,omitempty"`
	Body           *string        `json:"body,omitempty"`
	BodyBase64     []byte         `json:"bodyBase64,omitempty"`
	BodyValue      any            `json:"bodyValue,omitempty"`
}

func newEventRecord(partition string, e *azeventhubs.ReceivedEventData) *eventRecord {
	r := &eventRecord{
		Partition:      partition,
		SequenceNumber: e.SequenceNumber,
		Offset:         e.Offset,
		Key:            e.PartitionKey,
		ContentType:    e.ContentType,
		Properties:     jsonProperties(e.Properties),
	}
	if e.EnqueuedTime != nil {
		r.EnqueuedTime = e.EnqueuedTime.UTC().Format(time.RFC3339Nano)
	}
	// The SDK's Body is nil for anything but a single data section.
	raw := e.RawAMQPMessage.Body
	switch {
	case raw.Value != nil:
		r.BodyValue = jsonValue(raw.Value)
	case len(raw.Sequence) > 0:
		r.BodyValue = jsonValue(raw.Sequence)
	case !slices.ContainsFunc(raw.Data, func(data []byte) bool { return data != nil }):
		// No body, or a null one, such as a tombstone: it must not look like an empty one.
	default:
		body := bytes.Join(raw.Data, nil)
		if utf8.Valid(body) {
			r.Body = new(string(body))
		} else {
			r.BodyBase64 = body
		}
	}
	return r
}

// jsonValue is an AMQP value as one that encoding/json takes.
func jsonValue(value any) any {
	switch v := value.(type) {
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		return jsonFloat(v)
	case float32:
		return jsonFloat(v)
	case []any:
		return jsonList(v)
	case [][]any: // The sections of a body that is a sequence.
		var all []any
		for _, section := range v {
			all = append(all, section...)
		}
		return jsonList(all)
	case map[string]any:
		return jsonProperties(v)
	case map[any]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[fmt.Sprint(name)] = jsonValue(member)
		}
		return out
	case fmt.Stringer: // a UUID
		return v.String()
	}
	if _, err := json.Marshal(value); err != nil {
		return fmt.Sprint(value)
	}
	return value
}

// jsonProperties are properties as a JSON object's members.
func jsonProperties(properties map[string]any) map[string]any {
	out := make(map[string]any, len(properties))
	for name, value := range properties {
		out[name] = jsonValue(value)
	}
	return out
}

// jsonFloat is a float, with a fraction or an exponent, so that publish does not take it for an integer. What is no number in JSON is text.
func jsonFloat[F float32 | float64](f F) any {
	v := float64(f)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return strconv.FormatFloat(v, 'g', -1, 64)
	case v == math.Trunc(v) && math.Abs(v) < 1e21: // larger ones are written with an exponent
		return json.RawMessage(strconv.FormatFloat(v, 'f', 1, 64))
	}
	return f
}

func jsonList(list []any) []any {
	out := make([]any, len(list))
	for i, member := range list {
		out[i] = jsonValue(member)
	}
	return out
}

// An eventPrinter writes events, each with one Write, so that a reader of a pipe sees it at once and whole.
type eventPrinter struct {
	w      io.Writer
	asJSON bool
	line   bytes.Buffer
}

func newEventPrinter(w io.Writer, asJSON bool) *eventPrinter {
	return &eventPrinter{w: w, asJSON: asJSON}
}

func (p *eventPrinter) print(partition string, e *azeventhubs.ReceivedEventData) error {
	p.line.Reset()
	r := newEventRecord(partition, e)
	if p.asJSON {
		encoder := json.NewEncoder(&p.line)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("partition %s, sequence number %d: %w", partition, r.SequenceNumber, err)
		}
	} else {
		p.line.WriteString(r.text())
	}
	_, err := p.w.Write(p.line.Bytes())
	return err
}

// text is the record as one line that a terminal shows harmlessly.
func (r *eventRecord) text() string {
	key := "-"
	if r.Key != nil {
		key = printable(*r.Key)
	}
	var body string
	switch {
	case r.Body != nil:
		body = printable(*r.Body)
	case r.BodyValue != nil:
		encoded, _ := json.Marshal(r.BodyValue) // jsonValue has made it encodable
		body = printable(string(encoded))
	case r.BodyBase64 != nil:
		body = strconv.Quote(string(r.BodyBase64))
	default:
		body = "-"
	}
	return fmt.Sprintf("%s\t%d\t%s\t%s\t%s\n", r.Partition, r.SequenceNumber, r.EnqueuedTime, key, body)
}

// printable is text with what is not printable, and so could end the line or speak to the terminal, escaped as in Go.
func printable(text string) string {
	var out strings.Builder
	for _, c := range text {
		if strconv.IsPrint(c) {
			out.WriteRune(c)
			continue
		}
		quoted := strconv.QuoteRune(c)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}
