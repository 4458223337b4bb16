package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// placeEvery is how often the file of --resume is written at most during the run.
const placeEvery = time.Second

// A placeKeeper keeps places in the file of --resume, one for each part of the input. Every event
// before a place is stored, or in the file of --undelivered, or was left out. Events after it may be
// stored too, since partitions do not wait for each other. A later run publishes them again. A nil
// keeper, without --resume, keeps nothing.
type placeKeeper[P any] struct {
	write func([]places[P]) error // replaces the file; immutable

	mu      sync.Mutex // guards the fields below; writing the file is the only wait under it
	parts   []places[P]
	dirty   bool      // the file does not have all places yet
	written time.Time // when the file was last written
	err     error     // the first error of writing
}

// offer counts an event of a part before it is offered to the producer, and returns its stretch.
func (k *placeKeeper[P]) offer(part int) *stretch {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.parts[part].offer()
}

// accepted sets the place after the event offered last, which the producer has accepted. Its outcome
// may have come before.
func (k *placeKeeper[P]) accepted(part int, s *stretch, after P) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.parts[part].accepted(s, after)
	k.advanceLocked(part, false)
}

// refused takes back the event offered last, which the producer has not accepted. It is the last
// event of the part.
func (k *placeKeeper[P]) refused(part int, s *stretch) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.parts[part].refused(s)
}

// pass sets the place after an event that is left out.
func (k *placeKeeper[P]) pass(part int, after P) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.parts[part].pass(after) {
		k.dirty = true
	}
}

// outcome counts that a batch is stored, or in the file of --undelivered, or neither. It runs on
// the producer's senders.
func (k *placeKeeper[P]) outcome(b *eventhubs.Batch, kept bool) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	settle(b, kept)
	k.advanceAllLocked(false)
	if k.dirty && time.Since(k.written) >= placeEvery {
		k.saveLocked()
	}
}

// close writes the places at the end of the run.
func (k *placeKeeper[P]) close() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.advanceAllLocked(true)
	if k.dirty {
		k.saveLocked()
	}
	if k.err != nil {
		return fmt.Errorf("--resume: the place could not be kept: %w", k.err)
	}
	return nil
}

func (k *placeKeeper[P]) advanceAllLocked(end bool) {
	for part := range k.parts {
		k.advanceLocked(part, end)
	}
}

// advanceLocked moves the place of a part over the stretches that are done.
func (k *placeKeeper[P]) advanceLocked(part int, end bool) {
	if k.parts[part].advance(end) {
		k.dirty = true
	}
}

func (k *placeKeeper[P]) saveLocked() {
	err := k.write(k.parts)
	k.written, k.dirty = time.Now(), err != nil
	if err != nil && k.err == nil {
		k.err = withoutCall(err)
	}
}

// A places finds the place in an input before which every event has its outcome, for a later run to
// go on at. Its owner locks it.
type places[P any] struct {
	most      int        // events of a stretch; immutable
	place     P          // after the last stretch that is done
	stretches []*stretch // after it, in the input's order; the first has an event without an outcome
	afters    []P        // the place after the last accepted event of each
}

// A stretch is some events that follow each other in the input. Each has it in its note.
type stretch struct {
	events  int  // accepted or offered
	pending int  // acceptances and outcomes of them that are still to come
	lost    bool // an event is not stored, and no file has it
}

// stretchEvents bounds how many events of a file a killed run may publish again for one that is not
// stored.
const stretchEvents = 64

// offer counts an event before it is offered to the producer, and returns its stretch.
func (l *places[P]) offer() *stretch {
	last := len(l.stretches) - 1
	if last < 0 || l.stretches[last].events == l.most {
		var none P
		l.stretches, l.afters = append(l.stretches, &stretch{}), append(l.afters, none)
		last++
	}
	s := l.stretches[last]
	s.events++
	s.pending += 2
	return s
}

// accepted sets the place after the event offered last, whose stretch is s. Its outcome may have
// come before.
func (l *places[P]) accepted(s *stretch, after P) {
	l.afters[len(l.afters)-1] = after
	s.pending--
}

// refused takes back the event offered last.
func (l *places[P]) refused(s *stretch) {
	s.pending -= 2
	if s.events--; s.events == 0 {
		last := len(l.stretches) - 1
		l.stretches, l.afters = l.stretches[:last], l.afters[:last]
	}
}

// pass sets the place after an event of the input that is not offered. It reports whether place
// has moved.
func (l *places[P]) pass(after P) bool {
	if last := len(l.stretches) - 1; last >= 0 {
		l.afters[last] = after
		return false
	}
	l.place = after
	return true
}

// settle counts a batch's outcome. Kept says that its events are stored, or in a file.
func settle(b *eventhubs.Batch, kept bool) {
	for tag := range b.Tags() {
		s := tag.(*note).stretch
		if s.pending--; !kept {
			s.lost = true
		}
	}
}

// advance moves the place over the stretches that are done, and reports whether it has moved. At
// the end the last one needs not be full.
func (l *places[P]) advance(end bool) (moved bool) {
	for len(l.stretches) > 0 {
		s := l.stretches[0]
		if s.pending > 0 || s.lost || s.events < l.most && !end {
			return moved
		}
		l.place, moved = l.afters[0], true
		l.stretches, l.afters = l.stretches[1:], l.afters[1:]
	}
	return moved
}
