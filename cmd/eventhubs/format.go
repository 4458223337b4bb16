package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// A format says how the input is cut into events.
type format string

const (
	formatLines  format = "lines"  // each line is an event
	formatNDJSON format = "ndjson" // each line is an event, and a JSON value
	formatFile   format = "file"   // each file is an event
	formatEvents format = "events" // each line is a record, as tail and --undelivered write them
)

const (
	// maxEventBytes is the length of the longest body that makes an event on most tiers.
	maxEventBytes = standardMessageBytes - envelopeBytes

	// envelopeBytes is left in a message for what travels with an event: its key and headers.
	envelopeBytes = 1 << 10

	// recordFactor is how much longer than an event the record of one may be: JSON may take six bytes for one, and properties come on top.
	recordFactor = 8
)

// errTooLong says that something has more bytes than an event may have.
var errTooLong = errors.New("too long")

// maxBytes is how long what next returns may be, where the largest event has so many bytes.
func (f format) maxBytes(largest int) int {
	if f == formatEvents {
		return recordFactor * largest
	}
	return largest
}

// reader is where next reads from: lines may be compressed, while a file that is an event is taken as it is.
func (f format) reader(r io.Reader) (*bufio.Reader, error) {
	if f == formatFile {
		return bufio.NewReader(r), nil
	}
	r, err := unzipped(bufio.NewReader(r))
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(r, lineBuffer), nil
}

// lineBuffer is room for most lines; longer ones are put together elsewhere.
const lineBuffer = 64 << 10

// skipMark passes over the byte order mark that some programs begin a file with. JSON has none (RFC 8259, 8.1).
func skipMark(r *bufio.Reader) {
	const mark = "\ufeff"
	// The first byte alone tells mostly; the others may have to be waited for.
	if head, _ := r.Peek(1); string(head) != mark[:1] {
		return
	}
	if head, _ := r.Peek(len(mark)); string(head) == mark {
		_, _ = r.Discard(len(mark)) // which were seen to be there
	}
}

// A cutter takes an input apart into what makes events.
type cutter struct {
	// Immutable.
	format  format
	r       *bufio.Reader
	largest int // bytes of the longest body that makes an event

	line int    // of the latest, from 1, empty ones included
	long []byte // of a line that is longer than r's buffer; used again
}

// next returns the bytes of the next event, valid until the next call, and counts the lines; empty ones are none. At the end there is io.EOF.
func (c *cutter) next() ([]byte, error) {
	if c.format == formatFile {
		return c.whole()
	}
	for {
		body, err := c.readLine(c.format.maxBytes(c.largest))
		if err == io.EOF {
			return nil, err
		}
		c.line++
		if err != nil || len(body) > 0 {
			return body, c.format.explain(err, c.largest)
		}
	}
}

// explain makes an error of readLine one about the event.
func (f format) explain(err error, largest int) error {
	if err == errTooLong {
		return &contentError{fmt.Errorf("longer than %d bytes, the largest %s", f.maxBytes(largest), f.unit())}
	}
	return err
}

func (f format) unit() string {
	if f == formatEvents {
		return "record that is read"
	}
	return "event that the hub takes"
}

// bad is a number of entries that make no events.
func (f format) bad(n int) string {
	if f == formatFile {
		return counted(n, "bad file", "bad files")
	}
	return counted(n, "bad line", "bad lines")
}

// whole returns the content of a file, and io.EOF if there is none.
func (c *cutter) whole() ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(c.r, int64(c.largest)+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > c.largest:
		return nil, c.format.explain(errTooLong, c.largest)
	case len(body) == 0:
		return nil, io.EOF // an empty file is no event, as an empty line is none
	}
	return body, nil
}

// fill completes an entry that has its body from what that says. The largest event has so many bytes.
func (f format) fill(e *entry, largest int) error {
	switch {
	case f == formatFile:
		return nil
	case !utf8.Valid(e.body):
		return errors.New("not text in UTF-8 (--format file takes any bytes)")
	case f == formatNDJSON && !json.Valid(e.body):
		return errors.New("not JSON")
	case f == formatEvents:
		return e.fromRecord(largest)
	}
	return nil
}

// readLine returns the next line without its end, which is \n or \r\n and may be missing at the
// input's end. It is valid until the next call. A line longer than limit is passed over and told by errTooLong.
func (c *cutter) readLine(limit int) ([]byte, error) {
	b, err := c.r.ReadSlice('\n')
	c.long = c.long[:0]
	for err == bufio.ErrBufferFull {
		if len(c.long) <= limit { // what is longer is read, and not kept
			c.long = append(c.long, b...)
		}
		b, err = c.r.ReadSlice('\n')
	}
	if len(c.long) > 0 {
		c.long = append(c.long, b...)
		b = c.long
	}
	if err != nil && (err != io.EOF || len(b) == 0) {
		return nil, err
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	if len(b) > limit {
		return nil, errTooLong
	}
	return b, nil
}
