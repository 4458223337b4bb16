package main

import (
	"encoding/json"
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
	object, err := objectOf(body)
	if err != nil {
		return "", err
	}
	return keyIn(object, path)
}

// keyIn is keyOf in an object's members.
func keyIn(object map[string]json.RawMessage, path []string) (string, error) {
	value, err := fieldIn(object, path)
	if err != nil {
		return "", err
	}
	field, key := strings.Join(path, "."), string(value)
	switch value[0] {
	case '"':
		if key, err = textIn(value, field); err != nil {
			return "", err
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

// textIn returns the text of a field. Unmarshal would put U+FFFD in place of what is no text, and
// so make many texts the same.
func textIn(value json.RawMessage, field string) (text string, err error) {
	if !utf8.Valid(value) {
		return "", fmt.Errorf("field %q is not valid UTF-8", field)
	}
	if half := loneSurrogate(value); half != "" {
		return "", fmt.Errorf("field %q has %s without its other half, which is no character", field, half)
	}
	if err := json.Unmarshal(value, &text); err != nil {
		return "", fmt.Errorf("field %q: %w", field, err)
	}
	return text, nil
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
