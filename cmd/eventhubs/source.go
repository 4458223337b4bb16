package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs"
)

// An entry is the input for one event. It is valid until the next.
type entry struct {
	place place
	body  []byte
	key   string // empty without --key, and for a record without a key
	// Of a record with --keep-partition; empty otherwise.
	partition   string
	hadDelivery bool // a record has delivery annotations, which are left out
	// Of fields; nil without them.
	messageID, correlationID any
	properties               map[string]any
	event                    *eventhubs.Event // of a record; nil otherwise
	after                    *checkpoint      // with --journal or --resume, of a file: the place after the entry
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
	inputs    []input
	format    format
	separator rune // of the columns of CSV
	fields    fields
	skipBad   bool
	keyless   bool // --partition is given, so no event may have a key
	keep      bool // --keep-partition is given
	repeat    int
	fromLine  int      // the first line to publish; 0 and 1 are all
	keeper    *keeper  // of --journal or --resume; nil without
	notes     []string // about the input, for the user
	size      int64    // of all files
	largest   int      // the longest body of an event, in bytes; set before the first entry
	// The hub's partitions; set before the first entry. Empty if they are not known yet.
	partitions []string

	consumed atomic.Int64 // bytes of the files, by all passes so far

	// Owned by the iteration over entries.
	checked      int64 // bytes that check has read; 0 without it
	skipped      int   // bad entries left out in this pass
	firstSkipped error // the first of them
	last         place // of the latest entry
}

// An input is a file or a stream.
type input struct {
	name   string
	stream io.Reader // nil for a file, which can be read again
	size   int64     // of a file
	before uint32    // checksum of the names of the inputs before it
	from   *checkpoint
}

// openSource finds the files, or takes stdin for "-". When ctx ends, the source ends with ctx's
// error, even if its stream is silent.
func openSource(ctx context.Context, stdin io.Reader, opts *publishOptions) (*source, error) {
	s := &source{format: opts.format, fields: opts.fields, skipBad: opts.skipBad, keyless: opts.partition != "", keep: opts.keep, repeat: opts.repeat, fromLine: opts.fromLine, separator: opts.separator, keeper: opts.keeper(), largest: maxEventBytes}
	files, notes, err := filesOf(opts.files, opts.resume)
	if err != nil {
		return nil, err
	}
	if s.notes = notes; s.fromLine > 0 && len(files) > 1 {
		return nil, badInput("--from-line is for one file, and there are %d", len(files))
	}
	before := uint32(0)
	for _, name := range files {
		in := input{name: name, before: before}
		before = crc32.Update(before, castagnoli, []byte(absolute(name)+"\n"))
		if name == "-" {
			in.name, in.stream = "standard input", interruptible(ctx, func() (io.Reader, error) { return stdin, nil })
		} else if err := in.find(ctx); err != nil {
			return nil, err
		}
		if in.stream != nil && opts.resume != "" {
			return nil, badInput("--resume needs files; %s has no place to go on at", in.name)
		}
		if in.stream != nil && s.repeat > 1 {
			return nil, badInput("--repeat needs files; %s can be read only once", in.name)
		}
		s.inputs, s.size = append(s.inputs, in), s.size+in.size
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
	case info.Mode().IsRegular():
		in.size = info.Size()
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
	before := s.consumed.Load()
	for _, err := range s.pass() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		events++
	}
	s.checked = s.consumed.Load() - before
	return events * s.repeat, nil
}

// checking returns a bar that shows how far check is.
func (s *source) checking() string {
	read := s.consumed.Load()
	return bar(float64(read)/float64(max(s.size, 1))) + fmt.Sprintf("%s of %s checked", size(read), size(s.size))
}

// A meter counts the bytes that are read.
type meter struct {
	r io.Reader
	n *atomic.Int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n.Add(int64(n))
	return n, err
}

// entries yields the input's entries, as often as --repeat says, then at most one error. A bad
// entry is such an error. With --skip-bad it is left out and counted.
func (s *source) entries() iter.Seq2[*entry, error] {
	return func(yield func(*entry, error) bool) {
		for range s.repeat {
			before := s.consumed.Load()
			for e, err := range s.pass() {
				if err == nil {
					s.last = e.place
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
			if read := s.consumed.Load() - before; read < s.checked {
				yield(nil, fmt.Errorf("the input was shortened after the check, which read %d bytes: now it has %d, and the last event may be a part of a line", s.checked, read))
				return
			}
		}
	}
}

// pass yields the input's entries once.
func (s *source) pass() iter.Seq2[*entry, error] {
	return func(yield func(*entry, error) bool) {
		s.skipped, s.firstSkipped = 0, nil
		for _, in := range s.inputs {
			if !s.read(in, yield) {
				return
			}
		}
	}
}

// read yields one input's entries; false means stop.
func (s *source) read(in input, yield func(*entry, error) bool) bool {
	file, err := in.open()
	if err != nil {
		// After the first entry it is a failure: the input was good, and part of it is published.
		if s.last == (place{}) {
			err = badInput("%w", err)
		}
		return yield(nil, err)
	}
	defer file.Close()
	c, after, err := s.cutter(&in, file)
	if err != nil {
		return yield(nil, readError(place{input: in.name}, err))
	}
	var e entry
	for {
		body, err := c.next()
		if err == io.EOF {
			return true
		}
		e = entry{place: place{in.name, c.first}, body: body}
		if err = s.complete(&e, c, err); err == nil {
			e.after = after.update(c)
			if !yield(&e, nil) {
				return false
			}
		} else if _, bad := errors.AsType[*contentError](err); bad && s.skipBad {
			after.update(c)
			s.skip(err)
		} else {
			if bad {
				err = badInput("%w; --skip-bad leaves out bad entries", err)
			}
			yield(nil, err)
			return false
		}
		if s.format == formatFile {
			return true // one event fills the file
		}
	}
}

// cutter makes the cutter of an opened input, at the place where the input begins. It returns the
// checkpoint that update completes; nil if there will be none.
func (s *source) cutter(in *input, file io.Reader) (*cutter, *checkpoint, error) {
	c, mark, err := s.bare(file)
	if err != nil {
		return nil, nil, err
	}
	after, err := c.follow(file, mark, in, s.keeper)
	if err == nil && s.format == formatCSV {
		c.table, err = s.header(c, in)
	}
	if err == nil {
		err = c.skipTo(s.fromLine)
	}
	return c, after, err
}

// header reads the header of a CSV file. It returns nil if the file is empty.
func (s *source) header(c *cutter, in *input) (*table, error) {
	if in.from != nil { // the input goes on after its header
		file, err := in.open()
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if c, _, err = s.bare(file); err != nil {
			return nil, err
		}
	}
	row, err := c.next()
	if err == io.EOF {
		return nil, nil
	}
	if _, bad := errors.AsType[*contentError](err); bad {
		err = unfit("its header is %w", err)
	}
	if err != nil {
		return nil, err
	}
	t, err := newTable(row, s.separator)
	if err == nil {
		err = t.find(&s.fields)
	}
	return t, err
}

// bare makes a cutter at the beginning of a file or stream, after its byte order mark, whose length
// it returns.
func (s *source) bare(file io.Reader) (c *cutter, mark int, err error) {
	c = &cutter{format: s.format, largest: s.largest, skipsBad: s.skipBad, separator: s.separator}
	c.source = &meter{file, &s.consumed}
	if c.r, c.packed, err = s.format.reader(c.source); err != nil || s.format == formatFile {
		return c, 0, err
	}
	mark, err = skipMark(c.r)
	return c, mark, err
}

// isJSON reports whether the input's lines are JSON.
func (s *source) isJSON() bool {
	return s.format == formatNDJSON || s.format == formatEvents || s.format == formatLines && s.fields.any()
}

func (s *source) skip(err error) {
	s.skipped++
	if s.firstSkipped == nil {
		s.firstSkipped = err
	}
}

// complete fills an entry whose body is the bytes read, or says what is wrong with them. The error
// is that of reading them.
func (s *source) complete(e *entry, c *cutter, err error) error {
	if err != nil {
		if _, bad := errors.AsType[*contentError](err); !bad {
			return readError(e.place, err)
		}
	}
	if s.isJSON() {
		e.body = bytes.TrimPrefix(e.body, []byte(byteOrderMark)) // as where files were joined
	}
	if err == nil {
		err = s.format.fill(e, s.largest)
	}
	if err == nil && s.format == formatCSV {
		if e.body, err = c.table.object(e.body); len(e.body) > s.largest {
			err = s.format.explain(errTooLong, s.largest)
		}
	}
	if err == nil && s.fields.any() {
		err = s.fields.fill(e)
	}
	if err == nil && s.keep {
		err = s.checkPartition(e)
	}
	if err == nil && s.keyless && e.key != "" {
		err = fmt.Errorf("it has the key %q, and --partition is given; an event's partition is either given or chosen by its key", e.key)
	}
	if err != nil {
		return badInput("%v: %w", e.place, &contentError{err})
	}
	return nil
}

// checkPartition checks the partition that a record names, for --keep-partition.
func (s *source) checkPartition(e *entry) error {
	switch {
	case e.partition == "":
		return errors.New("it names no partition, and --keep-partition is given; without the option, the key or the turn chooses")
	case len(s.partitions) > 0 && !slices.Contains(s.partitions, e.partition):
		return fmt.Errorf("its partition is %q, and the hub has %s; without --keep-partition, the key or the turn chooses", e.partition, strings.Join(s.partitions, ", "))
	}
	return nil
}

// A contentError says that the input makes no event. --skip-bad leaves it out.
type contentError struct {
	err error
}

func (e *contentError) Error() string { return e.err.Error() }
func (e *contentError) Unwrap() error { return e.err }

// An unfitError says that an input as a whole is not what the command reads. Nothing leaves it out.
type unfitError struct {
	err error
}

func (e *unfitError) Error() string { return e.err.Error() }
func (e *unfitError) Unwrap() error { return e.err }

func unfit(format string, args ...any) error {
	return &unfitError{fmt.Errorf(format, args...)}
}

// readError is an error of the file or the stream, not of one event's content.
func readError(at place, err error) error {
	if _, unfit := errors.AsType[*unfitError](err); unfit {
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
