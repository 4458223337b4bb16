package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// A format says how the input is split into events.
type format string

const (
	formatLines  format = "lines"  // each line is an event
	formatNDJSON format = "ndjson" // each line is an event, and a JSON value
	formatFile   format = "file"   // each file is an event
	formatEvents format = "events" // each line is a record, in the form of tail and --undelivered
	formatCSV    format = "csv"    // each row after the first is an event: a JSON object
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

// endless is the number of bytes after which a line is taken for one without end, as of a device or
// a disk image.
const endless = 256 << 20

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
func (f format) reader(r io.Reader) (content *bufio.Reader, packed bool, err error) {
	if f == formatFile {
		return bufio.NewReader(r), false, nil
	}
	r, packed, err = decompressed(r)
	if err != nil {
		return nil, false, err
	}
	return bufio.NewReaderSize(r, lineBuffer), packed, nil
}

// lineBuffer is large enough for most lines. Longer ones are collected elsewhere.
const lineBuffer = 64 << 10

// skipMark skips a byte order mark, which some programs write first, and returns its length. It
// refuses text that is not UTF-8 but UTF-16 or UTF-32.
func skipMark(r *bufio.Reader) (int, error) {
	if begins(r, byteOrderMark) {
		return r.Discard(len(byteOrderMark))
	}
	_, _ = r.Peek(1) // fills the buffer with what is there
	head, _ := r.Peek(min(r.Buffered(), 16))
	if encoding := wideEncoding(head); encoding != "" {
		return 0, unfit("it is in %s; convert it to UTF-8 first: iconv -f %[1]s -t UTF-8", encoding)
	}
	return 0, nil
}

// A cutter splits an input into the bytes of events.
type cutter struct {
	// Immutable.
	format   format
	r        *bufio.Reader
	source   *meter // of the file or stream
	packed   bool   // r decompresses
	largest  int    // bytes of the longest body that makes an event
	skipsBad bool   // lines that are too long are read to their end

	trail *trail // nil without --journal and --resume
	line  int    // number of the latest line, from 1, with empty lines
	first int    // number of the first line of the latest entry

	separator rune   // of the columns; of CSV only
	table     *table // of CSV; nil before its header
	row       []byte // a row of several lines; reused
	long      []byte // a line longer than r's buffer; reused
}

// next returns the bytes of the next event, valid until the next call. It counts the lines and
// skips empty ones. At the end it returns io.EOF.
func (c *cutter) next() ([]byte, error) {
	switch c.format {
	case formatFile:
		return c.whole()
	case formatCSV:
		return c.nextRow()
	}
	for {
		c.trail.begin()
		body, err := c.readLine(c.format.maxBytes(c.largest))
		if err == io.EOF {
			return nil, err
		}
		c.line++
		c.first = c.line
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
	switch f {
	case formatFile:
		return counted(n, "bad file", "bad files")
	case formatCSV:
		return counted(n, "bad row", "bad rows")
	}
	return counted(n, "bad line", "bad lines")
}

// skipTo reads the lines before line n, whatever they are.
func (c *cutter) skipTo(n int) error {
	defer func(skips bool) { c.skipsBad = skips }(c.skipsBad)
	c.skipsBad = true // a line is read to its end
	for c.line < n-1 {
		var err error
		if c.format == formatCSV {
			_, err = c.nextRow()
		} else {
			_, err = c.readLine(c.format.maxBytes(c.largest))
			c.line++
		}
		_, bad := errors.AsType[*contentError](err)
		switch {
		case err == io.EOF:
			return unfit("--from-line is %d, and it has fewer lines", n)
		case err != nil && !bad && err != errTooLong:
			return err
		}
	}
	return nil
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
	case !eventjson.IsText(e.body):
		return errors.New("not text in UTF-8 (--format file takes any bytes)")
	case f == formatNDJSON && !json.Valid(e.body):
		return cmp.Or(severalLines(e.body), errors.New("not JSON"))
	case f == formatEvents:
		return e.fromRecord(largest)
	}
	return nil
}

// readLine returns the next line without its end, which is \n, \r\n or the end of the input. The
// line is valid until the next call. For a line longer than limit it returns errTooLong, and skips
// the line if bad ones are left out. It refuses a line that is longer than any that could be meant.
func (c *cutter) readLine(limit int) ([]byte, error) {
	b, err := c.r.ReadSlice('\n')
	c.trail.read(b)
	c.long = c.long[:0]
	for length := len(b); err == bufio.ErrBufferFull; length += len(b) {
		switch {
		case len(c.long) <= limit:
			c.long = append(c.long, b...)
		case !c.skipsBad:
			return nil, errTooLong // nothing after it is read
		case length > max(endless, 2*limit):
			return nil, unfit("line %d has no end within %s; is it a file of lines? (--format file takes any bytes)", c.line+1, size(int64(max(endless, 2*limit))))
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
