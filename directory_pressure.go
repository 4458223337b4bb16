package eventhubs

import "time"

// press lets a partition look for a ready batch, because a caller lacks room in its share of the
// buffer. With nil it lets every partition look, because a caller lacks room in the buffer. While
// that lasts, a worthwhile batch does not linger: its events hold room that others need. A free
// sender takes it. press is called once when pressure begins, not for each event. A partition also
// looks whenever an event is appended to it.
//
// This does not make batches smaller, although the room of a settled batch is spread over all
// partitions. While a partition's batch is in flight, its next one fills. So a sender finds the
// events of a whole round trip, not only those that came just now (docs/decisions/0004).
func (d *directory) press(part *partition) {
	if part != nil {
		part.wake()
		return
	}
	for _, part := range d.partitions() {
		part.wake()
	}
}

// Under pressure no batch lingers, however small it is, if MaxWaitTime is longer than longLinger or
// is UntilFull.
const longLinger = time.Second

// A batch is worthwhile if it holds at least 1/leastShare of its partition's even share of the
// buffer. So all batches that linger under pressure together hold less than a quarter of the
// buffer.
const leastShare = 4 // a quarter

// worthwhile reports whether a batch holds so much room that it should not linger while callers
// lack room. Smaller batches still linger. Otherwise, where one partition holds nearly all of the
// buffer, the other partitions would send batches of a few events each.
func (d *directory) worthwhile(b *batch) bool {
	parts := leastShare * max(1, len(d.partitions()))
	return b.count >= d.options.MaxBufferedEvents/parts || b.bytes >= d.options.MaxBufferedBytes/parts
}
