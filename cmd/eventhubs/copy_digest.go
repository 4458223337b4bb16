package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A digester makes digests of events. Two events that are a copy of each other have the same one.
// It belongs to one goroutine.
//
// A digest covers the body, the properties and the annotations, with their types. A service may
// change or drop the header, the delivery annotations and the footer, so they are left out. So is
// everything that belongs to one hub.
type digester struct {
	described bool // by --source-properties; those are left out

	hash  hash.Hash
	text  []byte // memory
	pairs [][]byte
	sum   [sha256.Size]byte
}

func newDigester(described bool) *digester {
	return &digester{described: described, hash: sha256.New()}
}

// of returns the digest of an event.
func (d *digester) of(m *amqp.Message) digest {
	d.hash.Reset()
	d.write('a', d.sorted(m.Annotations, isLeft))
	d.write('p', d.properties(m.Properties))
	d.write('s', d.sorted(m.ApplicationProperties, func(key any) bool { return d.described && isSourceProperty(key) }))
	for _, data := range m.Data {
		if data == nil {
			d.write('n', nil)
			continue
		}
		d.write('d', data)
	}
	for _, list := range m.Sequences {
		d.write('q', d.value(list))
	}
	if m.HasValue {
		d.write('v', d.value(m.Value))
	}
	return digest(d.hash.Sum(d.sum[:0])[:len(digest{})])
}

// write hashes a part of an event.
func (d *digester) write(kind byte, part []byte) {
	var head [9]byte
	head[0] = kind
	binary.LittleEndian.PutUint64(head[1:], uint64(len(part)))
	d.hash.Write(head[:])
	d.hash.Write(part)
}

// value returns the encoding of a value that was decoded. So it can be encoded.
func (d *digester) value(v any) []byte {
	d.text, _ = amqp.AppendValue(d.text[:0], v)
	return d.text
}

// properties returns the encoding of the properties; nothing if there are none.
func (d *digester) properties(p *amqp.Properties) []byte {
	if p == nil {
		return nil
	}
	c := *p
	if len(c.UserID) == 0 {
		c.UserID = nil
	}
	d.text, _ = c.AppendTo(d.text[:0])
	if bytes.Equal(d.text, noProperties) {
		return nil
	}
	return d.text
}

// noProperties is an encoded section without any property.
var noProperties, _ = new(amqp.Properties).AppendTo(nil)

// sorted returns the encoding of a map in the order of its keys. A producer may send them in any.
func (d *digester) sorted(m amqp.Map, left func(key any) bool) []byte {
	d.pairs, d.text = d.pairs[:0], d.text[:0]
	var ends [16]int
	bounds := ends[:0]
	for _, p := range m {
		if left(p.Key) {
			continue
		}
		key := p.Key
		if s, ok := key.(amqp.Symbol); ok {
			key = string(s) // an annotation's key is a symbol, however it was sent
		}
		d.text, _ = amqp.AppendValue(d.text, key)
		d.text, _ = amqp.AppendValue(d.text, p.Value)
		bounds = append(bounds, len(d.text))
	}
	from := 0
	for _, end := range bounds {
		d.pairs = append(d.pairs, d.text[from:end])
		from = end
	}
	if slices.IsSortedFunc(d.pairs, bytes.Compare) {
		return d.text
	}
	slices.SortFunc(d.pairs, bytes.Compare)
	d.text = append(d.text, bytes.Join(d.pairs, nil)...)
	return d.text[from:]
}

// A group is the events whose order is kept: those of a partition, or of a key.
type group struct {
	partition string // of the target; empty for a key
	key       string
}

// A sum stands for the events of a group.
type sum struct {
	count int
	chain [2]uint64 // depends on the events and their order
	total [2]uint64 // depends on the events
	from  string    // the partition that they were read from
	mixed bool      // there are several, so there is no order to compare
}

// The chain's multipliers are any odd numbers: the digests are random already.
const (
	chainBase0 = 0x9e3779b97f4a7c15
	chainBase1 = 0xc2b2ae3d27d4eb4f
)

// add adds the next event of a partition.
func (s *sum) add(from string, d digest) {
	if s.from == "" {
		s.from = from
	} else if s.from != from {
		s.mixed = true
	}
	x, y := binary.LittleEndian.Uint64(d[:]), binary.LittleEndian.Uint64(d[8:])
	s.count++
	s.chain = [2]uint64{s.chain[0]*chainBase0 + x, s.chain[1]*chainBase1 + y}
	s.total = [2]uint64{s.total[0] + x, s.total[1] + y}
}

// follow adds the events of another sum after those of s.
func (s *sum) follow(next *sum) {
	switch {
	case next.count == 0:
		return
	case s.count == 0:
		*s = *next
		return
	}
	s.mixed = s.mixed || next.mixed || s.from != next.from
	s.count += next.count
	s.chain = [2]uint64{s.chain[0]*power(chainBase0, next.count) + next.chain[0], s.chain[1]*power(chainBase1, next.count) + next.chain[1]}
	s.total = [2]uint64{s.total[0] + next.total[0], s.total[1] + next.total[1]}
}

// power returns base to the n, modulo 2^64.
func power(base uint64, n int) uint64 {
	result := uint64(1)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result *= base
		}
		base *= base
	}
	return result
}

// sums are the sums of a hub's events.
type sums map[group]*sum

func (l sums) add(g group, from string, d digest) {
	s := l[g]
	if s == nil {
		s = &sum{}
		l[g] = s
	}
	s.add(from, d)
}

// follow adds later events.
func (l sums) follow(next sums) {
	for g, s := range next {
		if l[g] == nil {
			l[g] = &sum{}
		}
		l[g].follow(s)
	}
}
