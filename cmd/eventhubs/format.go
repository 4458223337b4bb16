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
	// maxEventBytes is the length of the longest body that makes an event: the 1022 KiB that the service takes as one message (1 MB
	// tiers), less 1 KiB for what travels with an event (its key, headers).
	maxEventBytes = 1021 << 10

	// maxRecordBytes is the length of the longest record: JSON may take six bytes for one, and properties come on top.
	maxRecordBytes = 8 << 20
)

// errTooLong says that something has more bytes than an event may have.
var errTooLong = errors.New("too long")

// maxBytes is how long what next returns may be.
func (f format) maxBytes() int {
	if f == formatEvents {
		return maxRecordBytes
	}
	return maxEventBytes
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
	return bufio.NewReaderSize(r, f.maxBytes()+len("\r\n")), nil
}

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

// next returns the bytes of the next event, valid until the next call, and counts the lines; empty ones are none. At the end there is io.EOF.
func (f format) next(r *bufio.Reader, line *int) ([]byte, error) {
	if f == formatFile {
		return f.whole(r)
	}
	for {
		body, err := readLine(r, f.maxBytes())
		if err == io.EOF {
			return nil, err
		}
		*line++
		if err != nil || len(body) > 0 {
			return body, f.explain(err)
		}
	}
}

// explain makes an error of readLine one about the event.
func (f format) explain(err error) error {
	if err == errTooLong {
		return &contentError{fmt.Errorf("longer than %d bytes, the largest %s", f.maxBytes(), f.unit())}
	}
	return err
}

func (f format) unit() string {
	if f == formatEvents {
		return "record that is read"
	}
	return "event that a hub takes"
}

// bad is a number of entries that make no events.
func (f format) bad(n int) string {
	if f == formatFile {
		return counted(n, "bad file", "bad files")
	}
	return counted(n, "bad line", "bad lines")
}

// whole returns the content of a file, and io.EOF if there is none.
func (f format) whole(r *bufio.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxEventBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxEventBytes:
		return nil, f.explain(errTooLong)
	case len(body) == 0:
		return nil, io.EOF // an empty file is no event, as an empty line is none
	}
	return body, nil
}

// fill completes an entry that has its body from what that says.
func (f format) fill(e *entry) error {
	switch {
	case f == formatFile:
		return nil
	case !utf8.Valid(e.body):
		return errors.New("not text in UTF-8 (--format file takes any bytes)")
	case f == formatNDJSON && !json.Valid(e.body):
		return errors.New("not JSON")
	case f == formatEvents:
		return e.fromRecord()
	}
	return nil
}

// readLine returns the next line without its end, which is \n or \r\n and may be missing at the
// input's end. It is valid until the next call. A line longer than limit, for which r must have room, is passed over and
// told by errTooLong.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	b, err := r.ReadSlice('\n')
	tooLong := false
	for err == bufio.ErrBufferFull {
		tooLong = true
		b, err = r.ReadSlice('\n')
	}
	if err != nil && (err != io.EOF || len(b) == 0 && !tooLong) {
		return nil, err
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	if tooLong || len(b) > limit {
		return nil, errTooLong
	}
	return b, nil
}
