package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/consumer"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// A layout is how tail shows an event.
type layout struct {
	kind     layoutKind
	template *template.Template // with layoutTemplate
	safe     bool               // control characters of a template's result are escaped, for a terminal
}

type layoutKind uint8

const (
	layoutText layoutKind = iota
	layoutJSON
	layoutPretty
	layoutTemplate
)

// parseLayout reads --output and --format. On a terminal json is indented.
func parseLayout(p *process, output, text string, given map[string]bool) (layout, error) {
	terminal := isTerminal(p.stdout)
	switch {
	case given["format"] && given["output"]:
		return layout{}, badInput("--format and --output are given together; give one of them")
	case given["format"]:
		t, err := parseTemplate(text)
		return layout{kind: layoutTemplate, template: t, safe: terminal}, err
	case output == "text":
		return layout{kind: layoutText}, nil
	case output == "pretty", output == "json" && terminal:
		return layout{kind: layoutPretty}, nil
	case output == "json":
		return layout{kind: layoutJSON}, nil
	}
	return layout{}, badInput("--output is %q; it must be text, json or pretty", output)
}

// A templateEvent is the data of --format.
type templateEvent struct {
	Partition       string
	SequenceNumber  int64
	Offset          string
	EnqueuedTime    time.Time
	Key             string
	MessageID       any
	CorrelationID   any
	ContentType     string
	ContentEncoding string
	Subject         string
	Properties      map[string]any
	Annotations     map[string]any
	Body            string
}

// JSON returns the body, decoded; nil if it is not JSON.
func (e *templateEvent) JSON() any {
	v, _ := decodeJSON(e.Body)
	return v
}

func newTemplateEvent(at time.Time, r *eventRecord) *templateEvent {
	text := func(t *string) string {
		if t == nil {
			return ""
		}
		return *t
	}
	return &templateEvent{
		Partition: r.Partition, SequenceNumber: r.SequenceNumber, Offset: r.Offset, EnqueuedTime: at.UTC(), Key: text(r.Key),
		MessageID: r.MessageID, CorrelationID: r.CorrelationID, ContentType: text(r.ContentType), ContentEncoding: text(r.ContentEncoding), Subject: text(r.Subject),
		Properties: r.Properties, Annotations: r.Annotations, Body: r.bodyText(),
	}
}

// bodyText returns the body as text: bytes as they are, a value as JSON, "" for none.
func (r *eventRecord) bodyText() string {
	switch {
	case r.Body != nil:
		return *r.Body
	case isNullBody(r.BodyValue):
		return ""
	case r.BodyValue != nil:
		return string(eventjson.AppendJSON(nil, r.BodyValue))
	}
	return string(r.BodyBase64)
}

var templateFunctions = template.FuncMap{
	"json":   func(v any) string { return string(eventjson.AppendJSON(nil, v)) },
	"safe":   printable,
	"rfc":    func(t time.Time) string { return t.Format(time.RFC3339Nano) },
	"indent": indented,
}

// indented returns JSON over several lines, and other text as it is.
func indented(text string) string {
	var out bytes.Buffer
	if json.Indent(&out, []byte(text), "", "  ") != nil {
		return text
	}
	return out.String()
}

// parseTemplate reads the value of --format. It tries the template, so that a field that there is
// not is refused at once.
func parseTemplate(text string) (*template.Template, error) {
	// A shell passes \t and \n as they are.
	t, err := template.New("--format").Funcs(templateFunctions).Parse(strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\\`, `\`).Replace(text))
	if err == nil {
		var out bytes.Buffer
		err = t.Execute(&out, newTemplateEvent(time.Time{}, &eventRecord{eventjson.Event{Message: eventjson.Message{Body: new("{}")}}}))
	}
	if err != nil {
		return nil, badInput("--format is %q; it is no template that can be used: %s", text, strings.TrimPrefix(err.Error(), "template: "))
	}
	return t, nil
}

// appendTemplate appends what the template makes of an event, and a line's end.
func (p *printer) appendTemplate(dst []byte, e *consumer.Event, r *eventRecord) ([]byte, error) {
	p.own.Reset()
	if err := p.layout.template.Execute(&p.own, newTemplateEvent(e.EnqueuedTime, r)); err != nil {
		return dst, fmt.Errorf("--format: %w", err)
	}
	if !p.layout.safe {
		return append(append(dst, p.own.Bytes()...), '\n'), nil
	}
	for i, line := range strings.Split(p.own.String(), "\n") {
		if i > 0 {
			dst = append(dst, '\n')
		}
		for j, part := range strings.Split(line, "\t") {
			if j > 0 {
				dst = append(dst, '\t')
			}
			dst = appendPrintable(dst, part)
		}
	}
	return append(dst, '\n'), nil
}
