package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-eventhubs/eventhubs"
)

// fields are the paths of fields that become parts of each event. Without any, an event's body may
// be anything.
type fields struct {
	key, messageID, correlationID []string // empty: not asked for
	properties                    []propertyField
}

// A propertyField makes a property of the field at a path.
type propertyField struct {
	name string
	path []string
}

// any reports whether a field is asked for. Then each event must be a JSON object.
func (f *fields) any() bool {
	return len(f.key)+len(f.messageID)+len(f.correlationID)+len(f.properties) > 0
}

// paths returns all paths.
func (f *fields) paths() (all [][]string) {
	for _, path := range [][]string{f.key, f.messageID, f.correlationID} {
		if len(path) > 0 {
			all = append(all, path)
		}
	}
	for _, p := range f.properties {
		all = append(all, p.path)
	}
	return all
}

// flatten makes each path the name of one field, as columns of CSV have them.
func (f *fields) flatten() {
	one := func(path []string) []string {
		if len(path) == 0 {
			return nil
		}
		return []string{strings.Join(path, ".")}
	}
	f.key, f.messageID, f.correlationID = one(f.key), one(f.messageID), one(f.correlationID)
	for i := range f.properties {
		f.properties[i].path = one(f.properties[i].path)
	}
}

// parsePath parses a dotted path.
func parsePath(text string) ([]string, error) {
	path := strings.Split(text, ".")
	if slices.Contains(path, "") {
		return nil, errors.New("it must be a field's name, or names with single dots between")
	}
	return path, nil
}

// fill sets the parts of an entry that its fields make.
func (f *fields) fill(e *entry) error {
	object, err := objectOf(e.body)
	if err != nil {
		return err
	}
	if len(f.key) > 0 {
		if e.key, err = keyIn(object, f.key); err != nil {
			return err
		}
	}
	for _, id := range []struct {
		path []string
		to   *any
	}{{f.messageID, &e.messageID}, {f.correlationID, &e.correlationID}} {
		if len(id.path) == 0 {
			continue
		}
		if *id.to, err = idIn(object, id.path); err != nil {
			return err
		}
	}
	for _, p := range f.properties {
		value, err := propertyIn(object, p.path)
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		if e.properties == nil {
			e.properties = make(map[string]any, len(f.properties))
		}
		e.properties[p.name] = value
	}
	return nil
}

// objectOf returns the members of a body that is a JSON object.
func objectOf(body []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	err := json.Unmarshal(body, &members)
	if _, other := errors.AsType[*json.UnmarshalTypeError](err); other || err == nil && members == nil {
		return nil, errors.New("not a JSON object: the line is another JSON value")
	}
	if err != nil {
		if several := severalLines(body); several != nil {
			return nil, several
		}
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	return members, nil
}

// fieldIn returns the value at a path.
func fieldIn(object map[string]json.RawMessage, path []string) (value json.RawMessage, err error) {
	for i, name := range path {
		if i > 0 {
			object = nil
			// A value that is no object has no members, and gets the same error.
			_ = json.Unmarshal(value, &object)
		}
		if value = object[name]; value == nil {
			return nil, fmt.Errorf("no field %q", strings.Join(path, "."))
		}
	}
	return value, nil
}

// propertyIn returns the field at a path as a property; nil if it is null. A number keeps its value
// or is refused.
func propertyIn(object map[string]json.RawMessage, path []string) (any, error) {
	value, err := fieldIn(object, path)
	if err != nil {
		return nil, err
	}
	field := strings.Join(path, ".")
	switch value[0] {
	case '{', '[':
		return nil, fmt.Errorf("field %q is an object or an array; a property is a string, a number or a boolean", field)
	case '"':
		return textIn(value, field)
	}
	property, err := parsePlain(value)
	if err != nil {
		return nil, fmt.Errorf("field %q is %w", field, err)
	}
	return property, nil
}

// idIn returns the field at a path as an id: text, or an unsigned number.
func idIn(object map[string]json.RawMessage, path []string) (any, error) {
	value, err := fieldIn(object, path)
	if err != nil {
		return nil, err
	}
	field := strings.Join(path, ".")
	if value[0] == '"' {
		text, err := textIn(value, field)
		if err == nil && text == "" {
			err = fmt.Errorf("field %q is an empty string, which is no id", field)
		}
		return text, err
	}
	id, err := parseID("", value)
	if err == nil && id == nil {
		err = errors.New("null, which is no id")
	}
	if err != nil {
		return nil, fmt.Errorf("field %q is %w", field, err)
	}
	return id, nil
}

// set gives an event the parts that the fields of an entry make. Properties are those of every
// event.
func (e *entry) set(event *eventhubs.Event, properties map[string]any) {
	event.Properties, event.AMQP = properties, nil
	if e.properties != nil {
		maps.Copy(e.properties, properties)
		event.Properties = e.properties
	}
	event.MessageID, event.CorrelationID = "", ""
	if e.messageID == nil && e.correlationID == nil {
		return
	}
	var p eventhubs.AMQPProperties
	event.MessageID, p.MessageID = splitID(e.messageID)
	event.CorrelationID, p.CorrelationID = splitID(e.correlationID)
	if p.MessageID != nil || p.CorrelationID != nil {
		event.AMQP = &eventhubs.AMQPMessage{Properties: &p}
	}
}

// splitID returns an id as text, or as a value of another type.
func splitID(id any) (text string, other any) {
	if text, ok := id.(string); ok {
		return text, nil
	}
	return "", id
}
