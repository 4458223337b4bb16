package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxKeyLength is the length of the longest partition key, in characters.
const maxKeyLength = 128

// keyOf returns the text of the field that path leads to in the JSON object body: a string's text,
// a number as it is written, true or false.
func keyOf(body []byte, path []string) (string, error) {
	var value json.RawMessage
	if err := json.Unmarshal(body, &value); err != nil {
		return "", fmt.Errorf("not a JSON object: %w", err)
	}
	if value[0] != '{' {
		return "", errors.New("not a JSON object: the line is another JSON value")
	}
	field := strings.Join(path, ".")
	for _, name := range path {
		var members map[string]json.RawMessage
		// What is no object has no members, and is told as such.
		_ = json.Unmarshal(value, &members)
		if value = members[name]; value == nil {
			return "", fmt.Errorf("no field %q", field)
		}
	}
	key := string(value)
	switch value[0] {
	case '"':
		if err := json.Unmarshal(value, &key); err != nil {
			return "", fmt.Errorf("field %q: %w", field, err)
		}
	case '{', '[', 'n':
		return "", fmt.Errorf("field %q is an object, an array or null; "+
			"a key is a string, a number or a boolean", field)
	}
	switch n := utf8.RuneCountInString(key); {
	case n == 0:
		return "", fmt.Errorf("field %q is an empty string, which is no key", field)
	case n > maxKeyLength:
		return "", fmt.Errorf("field %q has %d characters; a key has at most %d", field, n, maxKeyLength)
	}
	return key, nil
}
