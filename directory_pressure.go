package eventhubs

import "time"

// press has a partition look whether a batch is ready, because somebody lacks room in its share of the buffer; with nil it has every partition look, because
// somebody lacks room in the buffer. While that lasts lingering has no
// point for a batch that is worthwhile, since an event that waits for company holds room that others need; a free sender takes it. It is called once when
// pressure begins, not for each event; an event that is appended meanwhile looks by itself.
//
// Batches do not shrink by this, though the room of one that settles is spread over all partitions: while a partition's batch is in flight its next one
// fills, so that a sender finds what has gathered during a round trip, not what came just now (docs/decisions/0004).
func (d *directory) press(part *partition) {
	if part != nil {
		part.wake()
		return
	}
	for _, part := range d.partitions() {
		part.wake()
	}
}

// Under pressure no batch lingers, however little it holds, if MaxWaitTime is longer than longLinger, or UntilFull.
const longLinger = time.Second

// leastShare is the part of a partition's even share of the buffer that makes a batch worthwhile. All that linger under pressure hold less than that part of
// the buffer together.
const leastShare = 4 // a quarter

// worthwhile reports whether a batch holds so much room that it should not linger while others lack room. Where one partition holds nearly all of the
// buffer, the batches of the others do not, and would leave with a few events each.
func (d *directory) worthwhile(b *batch) bool {
	parts := leastShare * max(1, len(d.partitions()))
	return b.count >= d.options.MaxBufferedEvents/parts || b.bytes >= d.options.MaxBufferedBytes/parts
}
