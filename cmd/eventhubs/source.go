package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"unicode/utf8"
)

// maxLineBytes is the length of the longest line that makes an event: the 1022 KiB that the service
// takes as one message (1 MB tiers), less 1 KiB for what travels with an event (its key, headers).
const maxLineBytes = 1021 << 10

// A line is one line of the input, and one event.
type line struct {
	number int    // from 1, empty and bad lines included
	body   []byte // without the line end; valid until the next line is asked for
	key    string // empty without --key
}

// A source yields the lines of a file or of a stream.
type source struct {
	// Immutable after openSource.
	name    string
	reader  io.Reader
	file    *os.File // nil unless the input can be read twice
	keyPath []string // empty: events have no key
	skipBad bool
	close   func()

	// Owned by whoever iterates over lines.
	skipped      int   // bad lines left out in the current pass
	firstSkipped error // and the first of them
}

// openSource opens the file of that name, or stdin for "-". The source ends with ctx's error when
// ctx does, even if a stream that it reads from is silent.
func openSource(ctx context.Context, stdin io.Reader, opts *publishOptions) (*source, error) {
	s := &source{name: opts.file, skipBad: opts.skipBad, close: func() {}}
	if opts.key != "" {
		s.keyPath = strings.Split(opts.key, ".")
	}
	if opts.file == "-" {
		s.name = "standard input"
		s.reader = interruptible(ctx, stdin)
		return s, nil
	}
	file, err := os.Open(opts.file)
	if err != nil {
		return nil, badInput("%w", err)
	}
	s.close = func() { file.Close() }
	info, err := file.Stat()
	switch {
	case err != nil:
		s.close()
		return nil, badInput("%w", err)
	case info.IsDir():
		s.close()
		return nil, badInput("%s is a directory; give a file, or - for standard input", opts.file)
	case info.Mode().IsRegular():
		s.reader, s.file = file, file
	default: // A named pipe or a device.
		s.reader = interruptible(ctx, file)
	}
	return s, nil
}

// interruptible returns a reader that ends with ctx's error when ctx does.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	// A read of a terminal or a pipe cannot be interrupted from outside. This goroutine ends at the
	// end of r, or at its first data after ctx's end, or with the process; nobody waits for it.
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { out.CloseWithError(ctx.Err()) })
	return out
}

// check reads the whole input, if it can be read twice, and returns how many events it has. The
// next call of lines begins at the start again. For a stream it returns 0.
func (s *source) check(ctx context.Context) (events int, err error) {
	if s.file == nil {
		return 0, nil
	}
	for _, err := range s.lines() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		events++
	}
	_, err = s.file.Seek(0, io.SeekStart)
	return events, err
}

// lines yields what the input has from here on: lines that make an event, then at most one error.
// Bad lines are such an error, or left out and counted with --skip-bad. Empty lines are left out.
func (s *source) lines() iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		s.skipped, s.firstSkipped = 0, nil
		r := bufio.NewReaderSize(s.reader, maxLineBytes+len("\r\n"))
		for number := 1; ; number++ {
			body, err := readLine(r)
			if err == io.EOF {
				return
			}
			if err == nil && len(body) == 0 {
				continue
			}
			l, err := s.makeLine(number, body, err)
			if _, bad := errors.AsType[*inputError](err); bad && s.skipBad {
				s.skipped++
				if s.firstSkipped == nil {
					s.firstSkipped = err
				}
				continue
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// makeLine checks a line that readLine returned, and finds its key.
func (s *source) makeLine(number int, body []byte, err error) (line, error) {
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		err = fmt.Errorf("longer than %d bytes, the largest event that a hub takes", maxLineBytes)
	case err != nil: // Of the file or stream, not of the line; an fs.PathError names the file itself.
		if _, named := errors.AsType[*fs.PathError](err); named {
			return line{}, err
		}
		return line{}, fmt.Errorf("reading %s: %w", s.name, err)
	case !utf8.Valid(body):
		err = errors.New("not text in UTF-8")
	}
	var key string
	if err == nil && len(s.keyPath) > 0 {
		key, err = keyOf(body, s.keyPath)
	}
	if err != nil {
		return line{}, badInput("%s: line %d: %w", s.name, number, err)
	}
	return line{number: number, body: body, key: key}, nil
}

// readLine returns the next line without its end, which is \n or \r\n and may be missing at the
// input's end. It is valid until the next call. A line longer than maxLineBytes is passed over and
// told by bufio.ErrTooLong.
func readLine(r *bufio.Reader) ([]byte, error) {
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
	if tooLong || len(b) > maxLineBytes {
		return nil, bufio.ErrTooLong
	}
	return b, nil
}
