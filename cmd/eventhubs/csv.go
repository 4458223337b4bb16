package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// A table makes a JSON object of each row of a CSV file. The names are those of the file's first
// row, and all values are text, so that no digit and no zero of a number changes.
type table struct {
	// Immutable.
	names     []string
	separator rune

	// Owned by the iteration over the rows.
	row  bytes.Reader // the row that csv reads
	csv  *csv.Reader  // nil before the first row, and after a broken one
	json []byte       // reused
}

// newTable makes a table of the row with the names.
func newTable(header []byte, separator rune) (*table, error) {
	t := &table{separator: separator}
	if !utf8.Valid(header) {
		return nil, unfit("its header is not text in UTF-8")
	}
	names, err := t.read(header)
	if err != nil {
		return nil, unfit("its header is no row of CSV: %w", err)
	}
	seen := map[string]bool{}
	for i, name := range names {
		switch {
		case name == "":
			return nil, unfit("its header has no name for column %d", i+1)
		case strings.ContainsRune(name, '\r'):
			return nil, unfit("its header has a carriage return in it: lines end in \\n or \\r\\n; for a file whose lines end in \\r alone: tr '\\r' '\\n'")
		case seen[name]:
			return nil, unfit("its header has the name %q twice", name)
		}
		seen[name] = true
		t.names = append(t.names, name)
	}
	if len(names) == 1 {
		for _, other := range ";\t|," {
			if other != separator && bytes.ContainsRune(header, other) {
				return nil, unfit("its header is the one name %q; if %q separates the columns, give --separator", names[0], other)
			}
		}
	}
	return t, nil
}

// find refuses a header without the columns of fields, since no row would have them.
func (t *table) find(f *fields) error {
	for _, path := range f.paths() {
		if !slices.Contains(t.names, path[0]) {
			return unfit("its header has no column %q; it has %s", path[0], strings.Join(t.names, ", "))
		}
	}
	return nil
}

// read returns the values of a row, valid until the next call.
func (t *table) read(row []byte) ([]string, error) {
	t.row.Reset(row)
	if t.csv == nil {
		t.csv = csv.NewReader(&t.row)
		t.csv.Comma, t.csv.ReuseRecord, t.csv.FieldsPerRecord = t.separator, true, -1
	}
	begin := t.csv.InputOffset()
	values, err := t.csv.Read()
	if err == nil && t.csv.InputOffset()-begin != int64(len(row)) {
		err = errors.New("more text follows it")
	}
	if err == nil {
		return values, nil
	}
	t.csv = nil // it may hold a part of the row
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		err = e.Err
	}
	return nil, err
}

// object returns a row as a JSON object, valid until the next call.
func (t *table) object(row []byte) ([]byte, error) {
	values, err := t.read(row)
	switch {
	case err != nil:
		return nil, fmt.Errorf("no row of CSV: %w", err)
	case len(values) != len(t.names):
		return nil, fmt.Errorf("%s, and the header has %d", counted(len(values), "value", "values"), len(t.names))
	}
	t.json = append(t.json[:0], '{')
	for i, value := range values {
		if i > 0 {
			t.json = append(t.json, ',')
		}
		t.json = eventjson.AppendString(t.json, t.names[i])
		t.json = append(t.json, ':')
		t.json = eventjson.AppendString(t.json, value)
	}
	t.json = append(t.json, '}')
	return t.json, nil
}

// nextRow returns the next row of a CSV file, without its end. A row goes on in the next line while
// a quoted value is open.
func (c *cutter) nextRow() ([]byte, error) {
	c.trail.begin()
	c.row = c.row[:0]
	limit := c.format.maxBytes(c.largest)
	for open := false; ; {
		line, err := c.readLine(limit - len(c.row))
		switch {
		case err == io.EOF && open:
			return nil, &contentError{fmt.Errorf("a quoted value is open until the end, after line %d", c.line)}
		case err == io.EOF:
			return nil, err
		}
		c.line++
		if !open {
			c.first = c.line
		}
		switch {
		case err == errTooLong && open:
			return nil, &contentError{fmt.Errorf("a quoted value is open until line %d, and the row is longer than %d bytes", c.line, limit)}
		case err != nil:
			return nil, c.format.explain(err, c.largest)
		case len(line) == 0 && !open:
			c.trail.begin()
			continue
		}
		if open = isOpen(line, open, c.separator); !open && len(c.row) == 0 {
			return line, nil
		}
		c.row = append(c.row, line...)
		if !open {
			return c.row, nil
		}
		c.row = append(c.row, '\n')
	}
}

// isOpen reports whether a quoted value is open at the end of a line, if one was open at its
// beginning or not. It agrees with package encoding/csv about which quotation marks open one.
func isOpen(line []byte, open bool, separator rune) bool {
	for {
		if !open && len(line) > 0 && line[0] == '"' {
			open, line = true, line[1:]
		}
		for open {
			i := bytes.IndexByte(line, '"')
			if i < 0 {
				return true
			}
			line = line[i+1:]
			if open = len(line) > 0 && line[0] == '"'; open { // a mark within the value
				line = line[1:]
			}
		}
		i := bytes.IndexRune(line, separator)
		if i < 0 {
			return false
		}
		line = line[i+utf8.RuneLen(separator):]
	}
}
