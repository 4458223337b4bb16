package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// byteOrderMark begins files of some programs. It belongs to no event.
const byteOrderMark = "\ufeff"

// wideEncoding returns the name of the encoding of UTF-16 or UTF-32 that a text begins in; "" if it
// is in neither. Windows writes UTF-16 where a shell's output goes into a file.
func wideEncoding(head []byte) string {
	text := string(head[:min(len(head), 16)])
	switch {
	case strings.HasPrefix(text, "\xff\xfe\x00\x00"), strings.HasPrefix(text, "\x00\x00\xfe\xff"):
		return "UTF-32"
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		return "UTF-16"
	case len(text) < 4:
		return ""
	}
	// Without a mark, Latin letters show it: every other byte is zero.
	var zeros [2]int
	for i := range len(text) &^ 1 {
		if text[i] == 0 {
			zeros[i%2]++
		}
	}
	switch half := len(text) / 2; zeros {
	case [2]int{0, half}:
		return "UTF-16LE"
	case [2]int{half, 0}:
		return "UTF-16BE"
	}
	return ""
}

// severalLines returns an error if a line begins a JSON value that goes on in the next lines. Many
// programs write JSON in this form. For any other line it returns nil.
func severalLines(line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' && line[0] != '[' || !strings.ContainsRune("{[,", rune(line[len(line)-1])) {
		return nil
	}
	var value json.RawMessage
	if json.NewDecoder(bytes.NewReader(line)).Decode(&value) != io.ErrUnexpectedEOF {
		return nil // it is broken in itself
	}
	each := ""
	if line[0] == '[' {
		each = " '.[]'"
	}
	return fmt.Errorf("not JSON: several lines make one value; use jq -c%s", each)
}
