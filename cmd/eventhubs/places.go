package main

import "github.com/go-eventhubs/eventhubs"

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
