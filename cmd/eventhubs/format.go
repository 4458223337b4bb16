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

// A format says how the input is split into events.
type format string

const (
	formatLines  format = "lines"  // each line is an event
	formatNDJSON format = "ndjson" // each line is an event, and a JSON value
	formatFile   format = "file"   // each file is an event
	formatEvents format = "events" // each line is a record, in the form of tail and --undelivered
)

const (
	// maxEventBytes is the longest body of an event on most tiers.
	maxEventBytes = standardMessageBytes - envelopeBytes

	// envelopeBytes is the room that a message keeps for an event's key and headers.
	envelopeBytes = 1 << 10

	// recordFactor is how much longer a record may be than its event. JSON may need six bytes for
	// one, and properties come on top.
	recordFactor = 8
)

// errTooLong says that a body or line is longer than the limit.
var errTooLong = errors.New("too long")

// maxBytes returns the longest result of next, if the largest event has so many bytes.
func (f format) maxBytes(largest int) int {
	if f == formatEvents {
		return recordFactor * largest
	}
	return largest
}

// reader returns the reader that next uses. Lines may be compressed; a file that is an event is
// read as it is.
func (f format) reader(r io.Reader) (content *bufio.Reader, zipped bool, err error) {
	if f == formatFile {
		return bufio.NewReader(r), false, nil
	}
	r, err = unzipped(bufio.NewReader(r))
	if err != nil {
		return nil, false, err
	}
	_, zipped = r.(*gzipReader)
	return bufio.NewReaderSize(r, lineBuffer), zipped, nil
}

// lineBuffer is large enough for most lines. Longer ones are collected elsewhere.
const lineBuffer = 64 << 10

// skipMark skips a byte order mark, which some programs write first, and returns its length. JSON
// has none (RFC 8259, 8.1).
func skipMark(r *bufio.Reader) int {
	const mark = "\ufeff"
	// Mostly the first byte decides. The others may have to be waited for.
	if head, _ := r.Peek(1); string(head) != mark[:1] {
		return 0
	}
	if head, _ := r.Peek(len(mark)); string(head) != mark {
		return 0
	}
	_, _ = r.Discard(len(mark)) // Peek has seen these bytes
	return len(mark)
}

// A cutter splits an input into the bytes of events.
type cutter struct {
	// Immutable.
	format  format
	r       *bufio.Reader
	zipped  bool // r decompresses
	largest int  // bytes of the longest body that makes an event

	trail *trail // nil without --journal
	line  int    // number of the latest line, from 1, with empty lines
	long  []byte // a line longer than r's buffer; reused
}

// next returns the bytes of the next event, valid until the next call. It counts the lines and
// skips empty ones. At the end it returns io.EOF.
func (c *cutter) next() ([]byte, error) {
	if c.format == formatFile {
		return c.whole()
	}
	for {
		c.trail.begin()
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

// explain turns an error of readLine into one about the event.
func (f format) explain(err error, largest int) error {
	if err == errTooLong {
		return &contentError{fmt.Errorf("longer than %d bytes, the largest %s", f.maxBytes(largest), f.unit())}
	}
	return err
}

func (f format) unit() string {
	if f == formatEvents {
		return "record that can be read"
	}
	return "event that the hub takes"
}

// bad returns a number of bad entries in words.
func (f format) bad(n int) string {
	if f == formatFile {
		return counted(n, "bad file", "bad files")
	}
	return counted(n, "bad line", "bad lines")
}

// whole returns the content of a file, and io.EOF if it is empty.
func (c *cutter) whole() ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(c.r, int64(c.largest)+1))
	c.trail.begin()
	c.trail.read(body)
	switch {
	case err != nil:
		return nil, err
	case len(body) > c.largest:
		return nil, c.format.explain(errTooLong, c.largest)
	case len(body) == 0:
		return nil, io.EOF // an empty file is no event, just like an empty line
	}
	return body, nil
}

// fill completes an entry from its body. The largest event has so many bytes.
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

// readLine returns the next line without its end, which is \n, \r\n or the end of the input. The
// line is valid until the next call. For a line longer than limit it returns errTooLong, and skips
// the line.
func (c *cutter) readLine(limit int) ([]byte, error) {
	b, err := c.r.ReadSlice('\n')
	c.trail.read(b)
	c.long = c.long[:0]
	for err == bufio.ErrBufferFull {
		if len(c.long) <= limit { // the rest of a longer line is read and dropped
			c.long = append(c.long, b...)
		}
		b, err = c.r.ReadSlice('\n')
		c.trail.read(b)
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
