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

	mu        sync.Mutex // guards the fields below; writing the file is the only wait under it
	stretches []*stretch // in the input's order, from the first with an event that has no outcome
	place     checkpoint // of the last stretch that is done
	dirty     bool       // the file does not have it yet
	written   time.Time  // when the file was last written
	err       error      // the first error of writing
}

// A stretch is some events that follow each other in the input. Each has it in its note.
type stretch struct {
	// Guarded by the resume's lock.
	events  int        // accepted or offered
	pending int        // acceptances and outcomes of them that are still to come
	lost    bool       // an event is not stored, and no file has it
	after   checkpoint // the place after the last event that was accepted
}

const (
	// stretchEvents bounds how many events a killed run may publish again for one that is not
	// stored.
	stretchEvents = 64
	// placeEvery is how often the file is written at most during the run.
	placeEvery = time.Second
)

// newResume makes the keeper of the file; nil without --resume.
func newResume(opts *publishOptions) *resume {
	if opts.resume == "" {
		return nil
	}
	return &resume{name: opts.resume}
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
		r.place = *from
	}
	if err := r.write(text); err != nil {
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
	last := len(r.stretches) - 1
	if last < 0 || r.stretches[last].events == stretchEvents {
		r.stretches = append(r.stretches, &stretch{})
		last++
	}
	s := r.stretches[last]
	s.events++
	s.pending += 2
	return s
}

// accepted sets the place after the event offered last, which the producer has accepted. Its outcome
// may have come before.
func (r *resume) accepted(s *stretch, after *checkpoint) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.after = *after
	s.pending--
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
	s.events--
	s.pending -= 2
}

// outcome counts that a batch is stored, or in the file of --undelivered, or neither. It runs on
// the producer's senders.
func (r *resume) outcome(b *eventhubs.Batch, kept bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for tag := range b.Tags() {
		s := tag.(*note).stretch
		if s.pending--; !kept {
			s.lost = true
		}
	}
	r.advanceLocked(false)
	if r.dirty && time.Since(r.written) >= placeEvery {
		r.saveLocked()
	}
}

// advanceLocked moves the place over the stretches that are done. At the end the last one needs not
// be full.
func (r *resume) advanceLocked(end bool) {
	for len(r.stretches) > 0 {
		s := r.stretches[0]
		if s.pending > 0 || s.lost || s.events < stretchEvents && !end || s.events == 0 {
			return
		}
		r.place, r.dirty = s.after, true
		r.stretches = r.stretches[1:]
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
	p := r.place
	text, err := json.Marshal(savedPlace{p.name, p.line, p.offset, p.size, p.length, p.last, p.head, p.before})
	if err == nil {
		err = r.write(append(text, '\n'))
	}
	r.written, r.dirty = time.Now(), err != nil
	if err != nil && r.err == nil {
		r.err = withoutCall(err)
	}
}

// write replaces the file. A run that is killed leaves the old one or the new one.
func (r *resume) write(text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(r.name), filepath.Base(r.name)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), r.name)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
