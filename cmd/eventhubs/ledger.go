package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
)

// A ledger compares the events read back with the events sent. It keeps digests instead of events:
// about 40 bytes for each.
type ledger struct {
	byPartition bool // immutable; events are in order within their partition, whatever their key

	keys       map[string]*sequence // by key, "" for all events without one; or by partition
	partitions map[string]volume    // the events read back
	count      int                  // the events sent
}

// A volume is the content of a partition in numbers.
type volume struct {
	events int
	bytes  int // of the events' bodies
}

// A sequence is the ledger's part for one key.
type sequence struct {
	sent      []sentEvent
	matched   int      // how many of sent came back in order before any other event
	others    []digest // the events that came back after those
	partition string   // where the first event came back from
	elsewhere string   // another partition that events came back from
}

type sentEvent struct {
	digest digest
	number int // from 1, among all events
}

// A digest stands for an event's body: 128 bits of SHA-256.
type digest [16]byte

func digestOf(body []byte) digest {
	sum := sha256.Sum256(body)
	return digest(sum[:16])
}

// newLedger makes the ledger of a run, whose events have a partition each or may have keys.
func newLedger(byPartition bool) *ledger {
	return &ledger{byPartition: byPartition, keys: map[string]*sequence{}, partitions: map[string]volume{}}
}

// ordered names the events with which an event is in order: those of its key, or of its partition.
func (l *ledger) ordered(key, partition string) string {
	if l.byPartition {
		return partition
	}
	return key
}

func (l *ledger) sequence(key string) *sequence {
	s := l.keys[key]
	if s == nil {
		s = &sequence{}
		l.keys[key] = s
	}
	return s
}

// sent notes an event that the producer accepted. The calls are in the order of Enqueue.
func (l *ledger) sent(key string, body []byte) {
	l.count++
	s := l.sequence(key)
	s.sent = append(s.sent, sentEvent{digestOf(body), l.count})
}

// received notes an event that was read back. The calls are in the order of each partition, after
// all calls of sent.
func (l *ledger) received(e received) {
	v := l.partitions[e.partition]
	v.events++
	v.bytes += len(e.body)
	l.partitions[e.partition] = v

	s := l.sequence(l.ordered(e.key, e.partition))
	s.partition = cmp.Or(s.partition, e.partition)
	if e.partition != s.partition {
		s.elsewhere = e.partition
	}
	d := digestOf(e.body)
	if len(s.others) == 0 && s.matched < len(s.sent) && s.sent[s.matched].digest == d {
		s.matched++
		return
	}
	s.others = append(s.others, d)
}

// differences says how the events read back differ from those sent. No difference means that each
// event came back once, byte for byte, and in order within its key if it has one. With a partition
// for each, events are in order within it.
func (l *ledger) differences() []string {
	var found []string
	for _, key := range slices.Sorted(maps.Keys(l.keys)) {
		of := "without a key"
		switch {
		case l.byPartition:
			of = "for partition " + key
		case key != "":
			of = fmt.Sprintf("with key %q", key)
		}
		found = l.keys[key].appendDifferences(found, of, key != "")
	}
	return found
}

func (s *sequence) appendDifferences(found []string, of string, isOrdered bool) []string {
	lost, repeated, foreign, disordered := s.compare()
	if len(lost) > 0 {
		found = append(found, fmt.Sprintf("%d events %s did not come back, the first is event %d", len(lost), of, lost[0]))
	}
	if repeated > 0 {
		found = append(found, fmt.Sprintf("%d events %s came back more than once", repeated, of))
	}
	if foreign > 0 {
		found = append(found, fmt.Sprintf("%d events %s came back that were never sent", foreign, of))
	}
	if !isOrdered {
		return found // Events without a key go to all partitions, and have no order between them.
	}
	if disordered > 0 {
		found = append(found, fmt.Sprintf("events %s came back out of order, the first is event %d", of, disordered))
	}
	if s.elsewhere != "" {
		found = append(found, fmt.Sprintf("events %s came back from partition %s and from %s", of, s.partition, s.elsewhere))
	}
	return found
}

// compare returns the numbers of lost events, and the counts of repeated and of foreign events. The
// result disordered is the number of the first event that came back after a later one, or 0.
func (s *sequence) compare() (lost []int, repeated, foreign, disordered int) {
	waiting := map[digest][]int{} // numbers, ascending
	known := map[digest]bool{}
	if len(s.others) > 0 {
		for _, e := range s.sent[:s.matched] {
			known[e.digest] = true
		}
	}
	for _, e := range s.sent[s.matched:] {
		known[e.digest] = true
		waiting[e.digest] = append(waiting[e.digest], e.number)
	}
	latest := 0
	for _, d := range s.others {
		numbers := waiting[d]
		switch {
		case len(numbers) == 0 && known[d]:
			repeated++
		case len(numbers) == 0:
			foreign++
		default:
			if numbers[0] < latest && disordered == 0 {
				disordered = numbers[0]
			}
			latest = max(latest, numbers[0])
			waiting[d] = numbers[1:]
		}
	}
	for _, numbers := range waiting {
		lost = append(lost, numbers...)
	}
	slices.Sort(lost)
	return lost, repeated, foreign, disordered
}
