package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// A record is an event as publish reads it with --format events: what tail prints as JSON, and what --undelivered writes. Other fields, such as the
// partition and the offset that it had, are of no account.
type record struct {
	Key         *string        `json:"key"`
	Properties  map[string]any `json:"properties"`
	ContentType *string        `json:"contentType"`
	Body        *string        `json:"body"`
	BodyBase64  []byte         `json:"bodyBase64"`
	BodyValue   any            `json:"bodyValue"`
}

// fromRecord replaces an entry's body, which is a record, by what that says.
func (e *entry) fromRecord(largest int) error {
	var r record
	d := json.NewDecoder(bytes.NewReader(e.body))
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		return fmt.Errorf("no record of an event: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("no record of an event: there is something behind it")
	}
	if half := loneSurrogate(e.body); half != "" {
		return fmt.Errorf("no record of an event: %s in it has not its other half, and is no character", half) // the decoder puts U+FFFD there
	}
	switch {
	case r.Body != nil:
		e.body = []byte(*r.Body)
	case r.BodyBase64 != nil:
		e.body = r.BodyBase64
	case r.BodyValue != nil:
		return errors.New("its body is an AMQP value, which cannot be published")
	default:
		return errors.New("no record of an event: it has neither body nor bodyBase64; an event without a body cannot be published")
	}
	if len(e.body) > largest {
		return formatLines.explain(errTooLong, largest)
	}
	if r.Key != nil {
		if err := partitionkey.Check(*r.Key); err != nil {
			return fmt.Errorf("its key %w", err)
		}
		e.key = *r.Key
	}
	if r.ContentType != nil {
		if !isASCII(*r.ContentType) {
			return fmt.Errorf("its contentType %q is not ASCII", *r.ContentType)
		}
		e.contentType = *r.ContentType
	}
	for name, value := range r.Properties {
		switch v := value.(type) {
		case nil, bool, string:
		case json.Number:
			n, err := numberOf(v)
			if err != nil {
				return fmt.Errorf("its property %q is %w", name, err)
			}
			r.Properties[name] = n
		default:
			return fmt.Errorf("its property %q is no text, number, boolean or null", name)
		}
	}
	e.properties = r.Properties
	return nil
}

// numberOf is a JSON number as an AMQP long, or as a double if it is no such.
func numberOf(n json.Number) (any, error) {
	if i, err := n.Int64(); err == nil && !strings.ContainsAny(n.String(), ".eE") {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil { // JSON has no others than numbers, so it is the size
		return nil, fmt.Errorf("%s, which is too large a number", n)
	}
	return f, nil
}

// isASCII tells whether text may be an AMQP symbol, such as a content type.
func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c >= utf8.RuneSelf })
}
