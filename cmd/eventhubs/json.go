package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// A member is a name of an object with its value.
type member struct {
	name  string
	value json.RawMessage
}

// membersOf returns the members of an object in their order; ok is false if value is no object. The
// caller has checked the syntax.
func membersOf(value json.RawMessage) (members []member, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(value))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return nil, false
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, false
		}
		m := member{}
		m.name, _ = name.(string)
		if err := decoder.Decode(&m.value); err != nil {
			return nil, false
		}
		members = append(members, m)
	}
	return members, true
}

// decodeOne decodes a text that is one JSON value.
func decodeOne(d *json.Decoder, to any) error {
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more text after it")
	}
	return nil
}
