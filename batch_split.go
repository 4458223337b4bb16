package eventhubs

import "slices"

// A split makes several batches of one batch that a sender has taken. Some of its events leave it
// and the others stay. All keep their order and the barriers that cover them. In a partition, the
// sender that has the batch calls split, which copies with no lock held; leaveLocked is short.
type split struct {
	batch  *batch
	left   []int    // the indexes of the events that leave, ascending
	pieces []*batch // the batches that they go to
	stays  *batch   // the others; nil if they come first. Later it has the batch's old memory
}

// split copies the events that leave to fresh batches, within limit bytes each. An event of any
// size may be alone in a batch.
func (b *batch) split(leaves func(i int) bool, limit int) *split {
	s := &split{batch: b}
	var piece *batch
	for i, encoded := range b.all() {
		if !leaves(i) {
			if s.left != nil && s.stays == nil {
				s.stays = b.firstEvents(s.left[0], newBatch())
			}
			if s.stays != nil {
				s.stays.append(encoded, nil, new(b.extras.of(i)), b.first)
			}
			continue
		}
		if piece == nil || !piece.takes(sectionSize(len(encoded)), limit) {
			piece = newBatch()
			s.pieces = append(s.pieces, piece)
		}
		piece.append(encoded, nil, new(b.extras.of(i)), b.first)
		s.left = append(s.left, i)
	}
	for _, piece := range s.pieces {
		piece.full = true
		piece.tries, piece.failures, piece.unlearned = b.tries, b.failures, b.unlearned
		piece.handed, piece.ambiguous, piece.untold, piece.unsure, piece.roomless = b.handed, b.ambiguous, b.untold, b.unsure, b.roomless
		if b.failures.total() > 0 {
			piece.sent = b.sent
		}
	}
	return s
}

// firstEvents copies the first n events to an empty batch.
func (b *batch) firstEvents(n int, to *batch) *batch {
	for i, encoded := range b.all() {
		if i == n {
			break
		}
		to.append(encoded, nil, new(b.extras.of(i)), b.first)
	}
	return to
}

// leaveLocked shortens the batch, and moves the barriers of the leaving events with them. The
// caller holds the lock of the batch's queue.
func (s *split) leaveLocked() {
	b := s.batch
	for i, c := range b.coverage {
		covered, _ := slices.BinarySearch(s.left, c.events) // how many of the first c.events leave
		for rest, pieces := covered, s.pieces; rest > 0; pieces = pieces[1:] {
			n := min(rest, pieces[0].count)
			c.barrier.cover(pieces[0], n)
			rest -= n
		}
		c.barrier.uncover(covered)
		b.coverage[i].events -= covered
	}
	if s.stays != nil {
		b.chunks, s.stays.chunks = s.stays.chunks, b.chunks
		b.extras, s.stays.extras = s.stays.extras, b.extras
		b.count, b.bytes = s.stays.count, s.stays.bytes
		return
	}
	for _, piece := range s.pieces {
		b.bytes -= piece.bytes
	}
	b.count -= len(s.left)
	b.keepFirst(b.count)
	b.extras.truncate(b.count)
}

// recycle gives back the memory that nothing of the batch is in any more.
func (s *split) recycle() {
	if s.stays != nil {
		s.stays.recycle()
	}
}
