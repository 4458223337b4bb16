package eventhubs

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Each event keeps its own extras after a cut, and after the memory is used again.
func TestExtrasAreEachEventsOwn(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var e extras
	for range 200 {
		kinds, share := random.IntN(32), random.IntN(4) // the kinds of extras that some events have
		var want []extra
		add := func() {
			var x extra
			has := func(kind int) bool { return kinds>>kind&1 == 1 && random.IntN(4) <= share }
			if has(0) {
				x.delivery = new(Delivery)
			}
			if has(1) {
				x.tag = []int{len(want)} // its type cannot be compared
			}
			if has(2) {
				x.expires = time.Now().Add(time.Duration(len(want)))
			}
			x.named = has(3)
			if has(4) {
				x.route = route{id: "1"}
			}
			if !x.empty() {
				e.set(len(want), &x)
			}
			want = append(want, x)
		}
		check := func() {
			t.Helper()
			for i := range len(want) + 3 {
				var x extra
				if i < len(want) {
					x = want[i]
				}
				got := e.of(i)
				tags, _ := got.tag.([]int)
				own := x.tag == nil && got.tag == nil || x.tag != nil && len(tags) == 1 && tags[0] == i
				if got.delivery != x.delivery || !own || !got.expires.Equal(x.expires) || got.named != x.named || got.route != x.route {
					t.Fatalf("event %d of %d has %+v, want %+v", i, len(want), got, x)
				}
			}
		}
		for range random.IntN(50) {
			add()
		}
		check()
		want = want[:random.IntN(len(want)+1)]
		e.truncate(len(want))
		check()
		for range random.IntN(10) {
			add()
		}
		check()
		e.truncate(0)
	}
}
