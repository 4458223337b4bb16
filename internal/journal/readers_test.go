package journal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
)

const page = 4 << 10

// Reads calls a function before each read of a page of a file.
type reads struct {
	journal.Files
	before func(name string, from, to int64) error
}

type readFile struct {
	journal.File
	before func(from, to int64) error
}

func (r reads) Open(name string, write bool) (journal.File, error) {
	f, err := r.Files.Open(name, write)
	return readFile{f, func(from, to int64) error { return r.before(name, from, to) }}, err
}

// ReadAt reads page by page, as the system does: it has the bytes before the one that fails.
func (f readFile) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) && err == nil {
		from := at + int64(n)
		piece := p[n:min(len(p), n+page-int(from%page))]
		if err = f.before(from, from+int64(len(piece))); err == nil {
			var got int
			got, err = f.File.ReadAt(piece, from)
			n += got
		}
	}
	return n, err
}

// The reader has found the segment, and reads it only after it was written again.
func TestASegmentIsReleasedWhileAReaderBeginsToRead(t *testing.T) {
	var meanwhile func()
	files := reads{forgetful.New(), func(string, int64, int64) error {
		if do := meanwhile; do != nil {
			meanwhile = nil
			do()
		}
		return nil
	}}
	j, _ := open(t, there, journal.Options{Files: files, SegmentBytes: small})
	for range 100 {
		add(t, j, string(make([]byte, 500)))
	}
	r := j.Reader(1)
	defer r.Close()
	meanwhile = func() {
		j.Release(101)
		for range 100 {
			add(t, j, strings.Repeat("other", 100))
		}
	}
	if p, _, ok, err := r.Next(); !errors.Is(err, journal.ErrReleased) {
		t.Errorf("position %d, %v, %v, want ErrReleased", p, ok, err)
	}
}
