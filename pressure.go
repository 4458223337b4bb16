package eventhubs

// The buffer is under pressure while callers wait for room. Then lingering ends: an event that waits for company holds room that others need. But not
// every open batch may leave at once. If each batch that settles made room for a few events in each partition, and each idle partition sent its
// few at once, the next batches would settle for still fewer, and so on down to batches of one. So a batch leaves under pressure
// only when it holds at least half of its fair share of the buffer, or when nothing else is on its way that could make room.

// underPressure reports whether a batch of that size is to leave for the sake of those who wait for room.
func (p *BufferedProducer) underPressure(events, bytes int) bool {
	if !p.admission.pressed.Load() {
		return false
	}
	if p.onWire.Load() == 0 {
		return true
	}
	halves := 2 * int64(max(1, p.occupied.Load()))
	return int64(events)*halves >= int64(p.options.MaxBufferedEventCount) || int64(bytes)*halves >= int64(p.options.MaxBufferedBytes)
}

// press has every partition look again whether a batch is ready, because a first caller lacks room or nothing is on its way any more. It is called
// once for each turn of events, not for each event; an event that is appended meanwhile looks by itself.
func (p *BufferedProducer) press() {
	for _, part := range p.partitions() {
		part.wake()
	}
}

// leftWire is called when a batch has its outcome, or rests between two tries.
func (p *BufferedProducer) leftWire() {
	if p.onWire.Add(-1) == 0 && p.admission.pressed.Load() {
		p.press()
	}
}
