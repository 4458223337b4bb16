package main

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// An entry is the input for one event.
type entry struct {
	place place
	body  []byte // valid until the next entry
	key   string // empty without --key, and for a record without a key
	// Of a record, nil otherwise; does not change after it was yielded.
	message *azeventhubs.AMQPAnnotatedMessage
	// With --journal, of a file: the place after the entry. It is valid until the next entry.
	after *checkpoint
}

// A place is the position of an entry in the input.
type place struct {
	input string // its name
	line  int    // from 1, with empty and bad lines; 0 for a whole file
}

func (p place) String() string {
	switch {
	case p.input == "":
		return "none"
	case p.line == 0:
		return p.input
	}
	return fmt.Sprintf("%s: line %d", p.input, p.line)
}

// A source yields the entries of files, or of a stream.
type source struct {
	// Immutable after openSource.
	inputs  []input
	format  format
	keyPath []string // empty: only records' events have keys
	skipBad bool
	keyless bool // --partition is given, so no event may have a key
	repeat  int
	keeps   bool // --journal is given
	largest int  // the longest body of an event, in bytes; set before the first entry

	// Owned by the iteration over entries.
	skipped      int   // bad entries left out in this pass
	firstSkipped error // the first of them
	last         place // of the latest entry
}

// An input is a file or a stream.
type input struct {
	name   string
	stream io.Reader // nil for a file, which can be read again
	before uint32    // checksum of the names of the inputs before it
	from   *checkpoint
}

// openSource finds the files, or takes stdin for "-". When ctx ends, the source ends with ctx's
// error, even if its stream is silent.
func openSource(ctx context.Context, stdin io.Reader, opts *publishOptions) (*source, error) {
	s := &source{format: opts.format, skipBad: opts.skipBad, keyless: opts.partition != "", repeat: opts.repeat, keeps: opts.journal != nil, largest: maxEventBytes}
	if opts.key != "" {
		s.keyPath = strings.Split(opts.key, ".")
	}
	before := uint32(0)
	for _, name := range opts.files {
		in := input{name: name, before: before}
		before = crc32.Update(before, castagnoli, []byte(absolute(name)+"\n"))
		if name == "-" {
			in.name, in.stream = "standard input", interruptible(ctx, func() (io.Reader, error) { return stdin, nil })
		} else if err := in.find(ctx); err != nil {
			return nil, err
		}
		if in.stream != nil && s.repeat > 1 {
			return nil, badInput("--repeat needs files; %s can be read only once", in.name)
		}
		s.inputs = append(s.inputs, in)
	}
	return s, nil
}

// find checks that the file exists. If it can be read only once, such as a named pipe or a device,
// it becomes a stream.
func (in *input) find(ctx context.Context) error {
	info, err := os.Stat(in.name)
	switch {
	case err != nil:
		return badInput("%w", withoutCall(err))
	case info.IsDir():
		return badInput("%s is a directory; give a file, or - for standard input", in.name)
	case info.Mode().IsRegular():
		return nil
	}
	in.stream = interruptible(ctx, func() (io.Reader, error) {
		file, err := os.Open(in.name)
		if err != nil {
			return nil, badInput("%w", withoutCall(err))
		}
		return file, nil
	})
	return nil
}

// withoutCall removes the name of the system call from an error about a file: "x: no such file or
// directory".
func withoutCall(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Path, e.Err)
	}
	return err
}

// open opens the input for reading.
func (in *input) open() (io.ReadCloser, error) {
	if in.stream != nil {
		return io.NopCloser(in.stream), nil // the process ends before it would be closed
	}
	file, err := os.Open(in.name)
	if err != nil {
		return nil, withoutCall(err)
	}
	return file, nil
}

// interruptible returns a reader of open's result. It ends with ctx's error when ctx ends.
func interruptible(ctx context.Context, open func() (io.Reader, error)) io.Reader {
	out, in := io.Pipe()
	// Nothing can interrupt a read of a terminal or a pipe, nor the opening of a named pipe without
	// a writer. This goroutine ends at the end of its input, at the first data after ctx's end, or
	// with the process. No code waits for it.
	go func() {
		r, err := open()
		if err == nil {
			_, err = io.Copy(in, r)
		}
		in.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) }) // the reader gets this error
	return out
}

// readsTwice reports whether all inputs can be read again.
func (s *source) readsTwice() bool {
	for _, in := range s.inputs {
		if in.stream != nil {
			return false
		}
	}
	return true
}

// check reads the whole input, if it can be read twice. It returns how many events it makes,
// including --repeat. For streams it returns 0.
func (s *source) check(ctx context.Context) (events int, err error) {
	if !s.readsTwice() {
		return 0, nil
	}
	for _, err := range s.pass() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		events++
	}
	return events * s.repeat, nil
}

// entries yields the input's entries, as often as --repeat says, then at most one error. A bad
// entry is such an error. With --skip-bad it is left out and counted.
func (s *source) entries() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for range s.repeat {
			for e, err := range s.pass() {
				if err == nil {
					s.last = e.place
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// pass yields the input's entries once.
func (s *source) pass() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		s.skipped, s.firstSkipped = 0, nil
		for _, in := range s.inputs {
			if !s.read(in, yield) {
				return
			}
		}
	}
}

// read yields one input's entries; false means stop.
func (s *source) read(in input, yield func(entry, error) bool) bool {
	file, err := in.open()
	if err != nil {
		// After the first entry it is a failure: the input was good, and part of it is published.
		if s.last == (place{}) {
			err = badInput("%w", err)
		}
		return yield(entry{}, err)
	}
	defer file.Close()
	r, zipped, err := s.format.reader(file)
	if err != nil {
		return yield(entry{}, readError(place{input: in.name}, err))
	}
	mark := 0
	if s.isJSON() {
		mark = skipMark(r)
	}
	c := &cutter{format: s.format, r: r, zipped: zipped, largest: s.largest}
	after, err := c.follow(file, mark, &in, s.keeps)
	if err != nil {
		return yield(entry{}, readError(place{input: in.name}, err))
	}
	for {
		body, err := c.next()
		if err == io.EOF {
			return true
		}
		e, err := s.entry(place{in.name, c.line}, body, err)
		e.after = after.update(c)
		_, bad := errors.AsType[*contentError](err)
		if bad && !s.skipBad {
			err = badInput("%w; --skip-bad leaves out bad entries", err)
		}
		switch {
		case bad && s.skipBad:
			s.skip(err)
		case !yield(e, err) || err != nil:
			return false
		}
		if s.format == formatFile {
			return true // one event fills the file
		}
	}
}

// isJSON reports whether the input's lines are JSON.
func (s *source) isJSON() bool {
	return s.format == formatNDJSON || s.format == formatEvents || s.format == formatLines && len(s.keyPath) > 0
}

func (s *source) skip(err error) {
	s.skipped++
	if s.firstSkipped == nil {
		s.firstSkipped = err
	}
}

// entry makes an entry of the bytes read, or says what is wrong with them.
func (s *source) entry(at place, body []byte, err error) (entry, error) {
	_, bad := errors.AsType[*contentError](err)
	if err != nil && !bad {
		return entry{}, readError(at, err)
	}
	e := entry{place: at, body: body}
	if err == nil {
		err = s.format.fill(&e, s.largest)
	}
	if err == nil && len(s.keyPath) > 0 {
		e.key, err = keyOf(body, s.keyPath)
	}
	if err == nil && s.keyless && e.key != "" {
		err = fmt.Errorf("it has the key %q, and --partition is given; an event's partition is either given or chosen by its key", e.key)
	}
	if err != nil {
		return entry{}, badInput("%v: %w", at, &contentError{err})
	}
	return e, nil
}

// A contentError says that the input makes no event. --skip-bad leaves it out.
type contentError struct {
	err error
}

func (e *contentError) Error() string { return e.err.Error() }
func (e *contentError) Unwrap() error { return e.err }

// readError is an error of the file or the stream, not of one event's content.
func readError(at place, err error) error {
	if errors.Is(err, errNotGzip) {
		return badInput("%v: %w", at.input, err)
	}
	if _, told := errors.AsType[*inputError](err); told {
		return err
	}
	if _, named := errors.AsType[*fs.PathError](err); named { // it names the file itself
		return err
	}
	return fmt.Errorf("reading %s: %w", at.input, err)
}

// unzipped returns the content of r, which may be compressed with gzip.
func unzipped(r *bufio.Reader) (io.Reader, error) {
	// The two bytes begin every gzip file (RFC 1952, 2.3.1).
	if head, _ := r.Peek(2); len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
		return r, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotGzip, err)
	}
	return &gzipReader{z}, nil
}

// errNotGzip says that the input begins like gzip but is broken.
var errNotGzip = errors.New("broken gzip")

// A gzipReader marks errors of the compressed data, to distinguish them from errors of the file.
type gzipReader struct {
	z *gzip.Reader
}

func (g *gzipReader) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	if corrupt || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: %w", errNotGzip, err)
	}
	return n, err
}
