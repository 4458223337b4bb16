package main

import "testing"

// An event that is refused and then left out does not keep the place before it.
func TestThePlaceIsAfterAnEventThatIsLeftOut(t *testing.T) {
	l := places[int64]{most: 1, place: -1}
	l.refused(l.offer())
	if moved := l.pass(5); !moved || l.place != 5 {
		t.Errorf("after an event that was left out: moved is %v and the place is %d, want true and 5", moved, l.place)
	}
	s := l.offer()
	l.accepted(s, 6)
	l.refused(l.offer())
	l.pass(7)
	s.pending-- // its outcome
	if l.advance(true); l.place != 7 {
		t.Errorf("after an event that is stored, and one that was left out: the place is %d, want 7", l.place)
	}
}
