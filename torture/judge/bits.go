package judge

// Bits are a set of numbers that begin near zero and are dense.
type bits struct{ words []uint64 }

func (b *bits) has(n uint64) bool {
	return n/64 < uint64(len(b.words)) && b.words[n/64]>>(n%64)&1 != 0
}

// add puts n into the set, and returns whether it was in it before.
func (b *bits) add(n uint64) (before bool) {
	for n/64 >= uint64(len(b.words)) {
		b.words = append(b.words, 0)
	}
	word, bit := &b.words[n/64], uint64(1)<<(n%64)
	before = *word&bit != 0
	*word |= bit
	return before
}

// remove takes n out of the set.
func (b *bits) remove(n uint64) {
	if n/64 < uint64(len(b.words)) {
		b.words[n/64] &^= 1 << (n % 64)
	}
}

// end is above every number of the set.
func (b *bits) end() uint64 { return uint64(len(b.words)) * 64 }

// Pairs keep a number from 0 to 3 for each of many.
type pairs struct{ words []uint64 }

func (p *pairs) get(n uint64) uint8 {
	if n/32 >= uint64(len(p.words)) {
		return 0
	}
	return uint8(p.words[n/32] >> (n % 32 * 2) & 3)
}

// set sets the pair of n.
func (p *pairs) set(n uint64, value uint8) {
	for n/32 >= uint64(len(p.words)) {
		p.words = append(p.words, 0)
	}
	at := n % 32 * 2
	p.words[n/32] = p.words[n/32]&^(3<<at) | uint64(value)<<at
}
