package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// A resume keeps the place in the input in the file of --resume. Every event before that place is
// stored, or in the file of --undelivered. Events after it may be stored too, since partitions do
// not wait for each other. A later run publishes them again.
type resume struct {
	name string // immutable

	mu      sync.Mutex // guards the fields below; writing the file is the only wait under it
	places  places[checkpoint]
	dirty   bool      // the file does not have the place yet
	written time.Time // when the file was last written
	err     error     // the first error of writing
}

// placeEvery is how often the file is written at most during the run.
const placeEvery = time.Second

// newResume makes the keeper of the file; nil without --resume.
func newResume(opts *publishOptions) *resume {
	if opts.resume == "" {
		return nil
	}
	return &resume{name: opts.resume, places: places[checkpoint]{most: stretchEvents}}
}

// A savedPlace is the content of the file.
type savedPlace struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
	Length int64  `json:"lastLength"`
	Last   uint32 `json:"lastSum"`
	Head   uint32 `json:"headSum"`
	Before uint32 `json:"filesBeforeSum,omitempty"`
}

// load reads the file, and finds out if it can be written. It returns nil if no run has published
// anything.
func (r *resume) load() (*checkpoint, error) {
	text, err := os.ReadFile(r.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text = nil
	case err != nil:
		return nil, badInput("--resume: %w", withoutCall(err))
	}
	var from *checkpoint
	if len(text) > 0 {
		var p savedPlace
		if err := json.Unmarshal(text, &p); err != nil || p.File == "" || p.Offset < p.Length || p.Length < 0 || p.Line < 0 {
			return nil, badInput("--resume: %s is no file that this option has written; give the name of a new file", r.name)
		}
		from = &checkpoint{name: p.File, before: p.Before, size: p.Size, line: p.Line, trail: trail{offset: p.Offset, head: p.Head, last: p.Last, length: p.Length}}
		r.places.place = *from
	}
	if err := replaceFile(r.name, text); err != nil {
		return nil, badInput("--resume: %w", withoutCall(err))
	}
	return from, nil
}

// offer counts an event before it is offered to the producer, and returns its stretch.
func (r *resume) offer() *stretch {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.places.offer()
}

// accepted sets the place after the event offered last, which the producer has accepted. Its outcome
// may have come before.
func (r *resume) accepted(s *stretch, after *checkpoint) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.places.accepted(s, *after)
	r.advanceLocked(false)
}

// refused takes back the event offered last, which the producer has not accepted. It is the last
// event.
func (r *resume) refused(s *stretch) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.places.refused(s)
}

// outcome counts that a batch is stored, or in the file of --undelivered, or neither. It runs on
// the producer's senders.
func (r *resume) outcome(b *eventhubs.Batch, kept bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	settle(b, kept)
	r.advanceLocked(false)
	if r.dirty && time.Since(r.written) >= placeEvery {
		r.saveLocked()
	}
}

// advanceLocked moves the place over the stretches that are done.
func (r *resume) advanceLocked(end bool) {
	if r.places.advance(end) {
		r.dirty = true
	}
}

// close writes the place at the end of the run.
func (r *resume) close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advanceLocked(true)
	if r.dirty {
		r.saveLocked()
	}
	if r.err != nil {
		return fmt.Errorf("--resume: the place could not be kept: %w", r.err)
	}
	return nil
}

// saveLocked writes the place.
func (r *resume) saveLocked() {
	p := r.places.place
	text, err := json.Marshal(savedPlace{p.name, p.line, p.offset, p.size, p.length, p.last, p.head, p.before})
	if err == nil {
		err = replaceFile(r.name, append(text, '\n'))
	}
	r.written, r.dirty = time.Now(), err != nil
	if err != nil && r.err == nil {
		r.err = withoutCall(err)
	}
}

// replaceFile replaces a file. A run that is killed leaves the old one or the new one.
func replaceFile(name string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
