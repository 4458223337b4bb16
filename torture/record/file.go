package record

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
)

// A Writer appends entries to a file. Each call of Write is one write to the file, and survives the
// end of the process. A kill loses at most the entries of one call. Its methods may be called by
// any number of goroutines.
type Writer struct {
	mu     sync.Mutex // guards the fields below
	file   *os.File
	buffer []byte
	err    error
}

// Create makes the file of a life. It fails if there is one already.
func Create(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return &Writer{file: file}, nil
}

// Write appends entries, in one write. After an error nothing more is written.
func (w *Writer) Write(entries ...*Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.buffer = w.buffer[:0]
	for _, e := range entries {
		w.buffer = e.Append(w.buffer)
	}
	_, w.err = w.file.Write(w.buffer)
	return w.err
}

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

// ErrTorn is the error of a record whose last entry is not whole: its process was killed.
var ErrTorn = errors.New("record: the last entry is not whole")

// A Reader reads entries in their order.
type Reader struct {
	in     *bufio.Reader
	buffer []byte
}

// NewReader returns a reader of a whole record.
func NewReader(in io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(in, 1<<16)} }

// Next reads the next entry into e, whose Numbers it uses again. The error is io.EOF at the end,
// ErrTorn if the end cuts an entry, and wraps ErrDamaged for an entry that no writer has made.
func (r *Reader) Next(e *Entry) error {
	size, err := binary.ReadUvarint(r.in)
	switch {
	case err == io.EOF:
		return io.EOF
	case err == io.ErrUnexpectedEOF:
		return ErrTorn
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case size > maxPayload:
		return fmt.Errorf("%w: %d bytes", ErrDamaged, size)
	}
	if need := int(size) + sumSize; cap(r.buffer) < need {
		r.buffer = make([]byte, need)
	}
	r.buffer = r.buffer[:int(size)+sumSize]
	if _, err := io.ReadFull(r.in, r.buffer); err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrTorn
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	payload := r.buffer[:size]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(r.buffer[size:]) {
		return fmt.Errorf("%w: its checksum differs", ErrDamaged)
	}
	return e.parse(payload)
}
