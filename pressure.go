package eventhubs

// press has every partition look whether a batch is ready, because the buffer has come under pressure: somebody lacks room. While that lasts lingering has no
// point, since an event that waits for company holds room that others need; a free sender takes what is there. It is called once when pressure begins, not for
// each event; an event that is appended meanwhile looks by itself.
//
// Batches do not shrink by this, though the room of one that settles is spread over all partitions: while a partition's batch is in flight its next one
// fills, so that a sender finds what has gathered during a round trip, not what came just now (docs/decisions/0004).
func (p *BufferedProducer) press() {
	for _, part := range p.partitions() {
		part.wake()
	}
}
