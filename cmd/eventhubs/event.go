package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// An eventRecord is an event as tail prints it. Its fields are the JSON output, in this order.
type eventRecord struct {
	Partition      string `json:"partition"`
	SequenceNumber int64  `json:"sequenceNumber"`
	Offset         string `json:"offset"`
	EnqueuedTime   string `json:"enqueuedTime"`
	messageRecord
}

func newEventRecord(partition string, e *azeventhubs.ReceivedEventData) *eventRecord {
	r := &eventRecord{
		Partition:      partition,
		SequenceNumber: e.SequenceNumber,
		Offset:         e.Offset,
		messageRecord:  newMessageRecord(e.RawAMQPMessage, e.PartitionKey),
	}
	if e.EnqueuedTime != nil {
		r.EnqueuedTime = e.EnqueuedTime.UTC().Format(time.RFC3339Nano)
	}
	return r
}

// An eventPrinter writes each event with one Write, so that a reader of a pipe gets it at once and
// whole.
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

// text returns the record as one line that is safe to show on a terminal.
func (r *eventRecord) text() string {
	key := "-"
	if r.Key != nil {
		key = printable(*r.Key)
	}
	var body string
	switch {
	case r.Body != nil:
		body = printable(*r.Body)
	case isNullBody(r.BodyValue):
		body = "-"
	case r.BodyValue != nil:
		encoded, _ := json.Marshal(r.BodyValue) // describeValue has made it encodable
		body = printable(string(encoded))
	default:
		body = strconv.Quote(string(r.BodyBase64))
	}
	line := fmt.Sprintf("%s\t%d\t%s\t%s\t%s", r.Partition, r.SequenceNumber, r.EnqueuedTime, key, body)
	if more := r.more(); len(more) > 0 {
		line += "\t" + strings.Join(more, " ")
	}
	return line + "\n"
}

// isNullBody reports whether a body is nullBody.
func isNullBody(body any) bool {
	text, ok := body.(json.RawMessage)
	return ok && string(text) == "null"
}

// printable escapes unprintable characters as in Go. They could end the line or control the
// terminal.
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
