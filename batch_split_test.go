package eventhubs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// Events that leave a batch and events that stay keep their order, their extras and their barriers.
// Each event is there once, after any number of splits.
func TestASplitKeepsOrderExtrasAndBarriers(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 21))
		n := 1 + random.IntN(60)
		b := new(batch)
		for i := range n {
			x := extra{named: random.IntN(3) == 0}
			if random.IntN(2) == 0 {
				x.tag = i
			}
			b.append(fmt.Append(nil, i), make([]byte, random.IntN(3000)), &x, time.Unix(1, 0))
		}
		barriers := map[*barrier]int{} // maps a barrier to the number of events that it covers
		for range random.IntN(3) {
			r := newBarrier()
			barriers[r] = random.IntN(n + 1)
			r.cover(b, barriers[r])
			r.covered()
		}
		all := []*batch{b}
		for range 1 + random.IntN(3) {
			limit := 1 + random.IntN(20_000)
			at := random.IntN(len(all))
			leaves := make([]bool, all[at].count)
			for i := range leaves {
				leaves[i] = random.IntN(2) == 0
			}
			s := all[at].split(func(i int) bool { return leaves[i] }, limit)
			s.leaveLocked()
			for _, piece := range s.pieces {
				if piece.bytes > limit && piece.count > 1 || piece.count == 0 || !piece.full || !piece.first.Equal(b.first) {
					t.Errorf("seed %d: a piece has %d events in %d bytes, limit %d, full %v, first %v", seed, piece.count, piece.bytes, limit, piece.full, piece.first)
				}
			}
			all = slices.Insert(all, at+1, s.pieces...)
		}
		seen := make([]bool, n)
		for _, piece := range all {
			last, bytes, count := -1, 0, 0
			covered := map[*barrier]int{}
			for i, encoded := range piece.all() {
				var number int
				if _, err := fmt.Sscanf(strings.TrimRight(string(encoded), "\x00"), "%d", &number); err != nil {
					t.Fatal(err)
				}
				if seen[number] || number <= last {
					t.Errorf("seed %d: event %d comes after %d, or twice", seed, number, last)
				}
				if tag := at(piece.extras.tags, i); tag != nil && tag != number {
					t.Errorf("seed %d: event %d has the tag %v", seed, number, tag)
				}
				seen[number], last = true, number
				bytes += sectionSize(len(encoded))
				count++
				for r, events := range barriers {
					if number < events {
						covered[r]++
					}
				}
			}
			if piece.count != count || piece.bytes != bytes {
				t.Errorf("seed %d: a batch says %d events in %d bytes and has %d in %d", seed, piece.count, piece.bytes, count, bytes)
			}
			for _, c := range piece.coverage {
				if c.events != covered[c.barrier] {
					t.Errorf("seed %d: a barrier covers %d events of a batch, want %d", seed, c.events, covered[c.barrier])
				}
				c.barrier.settled(c.events, c.events, Outcome{})
			}
		}
		if i := slices.Index(seen, false); i >= 0 {
			t.Errorf("seed %d: event %d of %d is lost", seed, i, n)
		}
		for r, events := range barriers {
			if !r.over() || r.pending != 0 {
				t.Errorf("seed %d: a barrier of %d events is over: %v, and %d are pending", seed, events, r.over(), r.pending)
			}
		}
	}
}
