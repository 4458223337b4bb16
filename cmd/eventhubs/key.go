package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// keyOf returns the field at path in the JSON object body as text. Strings give their text, numbers
// their digits as written, booleans true or false.
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
		// A value that is no object has no members, and gets the same error.
		_ = json.Unmarshal(value, &members)
		if value = members[name]; value == nil {
			return "", fmt.Errorf("no field %q", field)
		}
	}
	key := string(value)
	switch value[0] {
	case '"':
		// Unmarshal would put U+FFFD in place of either, and so give many keys the same text.
		if !utf8.Valid(value) {
			return "", fmt.Errorf("field %q is not valid UTF-8", field)
		}
		if half := loneSurrogate(value); half != "" {
			return "", fmt.Errorf("field %q has %s without its other half, which is no character", field, half)
		}
		if err := json.Unmarshal(value, &key); err != nil {
			return "", fmt.Errorf("field %q: %w", field, err)
		}
	case '{', '[', 'n':
		return "", fmt.Errorf("field %q is an object, an array or null; "+
			"a key is a string, a number or a boolean", field)
	}
	if key == "" {
		return "", fmt.Errorf("field %q is an empty string, which is no key", field)
	}
	if err := partitionkey.Check(key); err != nil {
		return "", fmt.Errorf("field %q %w", field, err)
	}
	return key, nil
}

// loneSurrogate returns the first escape in valid JSON that is half of a surrogate pair without its
// other half; "" if there is none.
func loneSurrogate(text []byte) string {
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++ // the escaped character cannot begin another escape
		first, ok := escapedUnit(text[i:])
		if !ok || !utf16.IsSurrogate(first) {
			continue
		}
		escape := string(text[i-1 : i+5])
		i += 5
		if len(text) < i+1 || text[i] != '\\' {
			return escape
		}
		second, ok := escapedUnit(text[i+1:])
		if !ok || utf16.DecodeRune(first, second) == utf8.RuneError {
			return escape
		}
		i += 5
	}
	return ""
}

// escapedUnit returns the UTF-16 unit of the escape uXXXX at the start of text.
func escapedUnit(text []byte) (unit rune, ok bool) {
	if len(text) < 5 || text[0] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[1:5]), 16, 16)
	return rune(n), err == nil
}
