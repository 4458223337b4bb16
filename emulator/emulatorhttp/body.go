package emulatorhttp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// bodyJSON is the displayable part of an event's body.
type bodyJSON struct {
	// Kind is "text", "json" (text that is JSON), "binary", or "value" for an AMQP value or
	// sequence.
	Kind string `json:"kind"`
	// Bytes is its size; for a value, the size of the whole event.
	Bytes int `json:"bytes"`
	// Text is its beginning: text as it is, JSON indented if whole and short, anything else in
	// hexadecimal.
	Text string `json:"text"`
	// Truncated says that there is more. /api/body returns all of it.
	Truncated bool `json:"truncated"`
}

// propertyJSON is an application property or an annotation.
type propertyJSON struct {
	Name  string `json:"name"`
	Type  string `json:"type"`  // of its value: the name of an AMQP type
	Value string `json:"value"` // as text, so that no number loses digits in a browser
}

// A scale bounds how much of an event is shown.
type scale struct {
	body, value, properties int // bytes, characters, number
	indent                  bool
}

var (
	brief = scale{body: 240, value: 80, properties: 6}
	full  = scale{body: 64 << 10, value: 4 << 10, properties: 500, indent: true}
)

func newEvent(e *emulator.Event, s scale) eventJSON {
	out := eventJSON{
		Partition: e.PartitionID, Sequence: e.SequenceNumber, Offset: e.Offset, Enqueued: moment{e.EnqueuedTime},
		MessageID: cut(show(e.MessageID), s.value), ContentType: cut(e.ContentType, s.value), Bytes: len(e.Message),
		Properties: newProperties(e.Properties, s), Annotations: newProperties(e.Annotations, s), Body: newBody(e, s),
	}
	if _, ok := e.Annotations["x-opt-partition-key"]; ok {
		out.Key = new(cut(e.PartitionKey, 256))
	}
	return out
}

func newProperties(values map[string]any, s scale) []propertyJSON {
	out := []propertyJSON{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(out) == s.properties {
			break
		}
		out = append(out, propertyJSON{Name: cut(name, s.value), Type: amqp.TypeName(values[name]), Value: cut(show(values[name]), s.value)})
	}
	return out
}

// show is a simple value in readable form.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return strings.ToValidUTF8(v, "\uFFFD")
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []byte:
		return hex.EncodeToString(v[:min(len(v), maxSearchedBody)])
	case [16]byte:
		return fmt.Sprintf("%x-%x-%x-%x-%x", v[:4], v[4:6], v[6:8], v[8:10], v[10:])
	default:
		return fmt.Sprint(v)
	}
}

func newBody(e *emulator.Event, s scale) bodyJSON {
	if e.Body == nil {
		begin := e.Message[:min(len(e.Message), s.body/3)]
		return bodyJSON{Kind: "value", Bytes: len(e.Message), Text: spaced(begin), Truncated: len(begin) < len(e.Message)}
	}
	out := bodyJSON{Kind: "text", Bytes: len(e.Body), Truncated: len(e.Body) > s.body}
	begin := e.Body[:min(len(e.Body), s.body)]
	if out.Truncated {
		begin = wholeCharacters(begin)
	}
	if !readable(begin) {
		begin = e.Body[:min(len(e.Body), s.body/3)]
		return bodyJSON{Kind: "binary", Bytes: len(e.Body), Text: spaced(begin), Truncated: len(begin) < len(e.Body)}
	}
	out.Text = string(begin)
	if first := bytes.TrimLeft(begin, " \t\r\n"); len(first) > 0 && (first[0] == '{' || first[0] == '[') && (out.Truncated || json.Valid(begin)) {
		out.Kind = "json"
		var indented bytes.Buffer
		if s.indent && json.Indent(&indented, begin, "", "  ") == nil && indented.Len() <= 4*s.body {
			out.Text = indented.String()
		}
	}
	return out
}

// wholeCharacters drops a partial character at the end.
func wholeCharacters(b []byte) []byte {
	for n := 0; n < utf8.UTFMax && len(b) > n; n++ {
		if r, size := utf8.DecodeLastRune(b[:len(b)-n]); r != utf8.RuneError || size != 1 {
			return b[:len(b)-n]
		}
	}
	return b
}

// readable reports whether bytes are displayable text.
func readable(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
	}
	return true
}

// spaced is bytes in hexadecimal, in groups of two digits.
func spaced(b []byte) string { return fmt.Sprintf("% x", b) }
