package pairs

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

var (
	pairwiseSeed = flag.Uint64("pairwise.seed", 1, "the seed of the first covering array")
	pairwiseMore = flag.Int("pairwise.arrays", 2, "how many covering arrays are run, with one seed after the other")
	pairwiseRow  = flag.Int("pairwise.row", -1, "run this row of the first array only")
)

// A factor is one way in which runs differ, with its possible values.
type factor struct {
	name   string
	values []any
}

func of[T any](name string, values ...T) factor {
	f := factor{name: name}
	for _, v := range values {
		f.values = append(f.values, v)
	}
	return f
}

// pairwiseFactors are the choices of a program and the things that can happen to it. Some row meets
// each defect that needs two of them.
var pairwiseFactors = []factor{
	of("partitions", 1, 2, 5, 32, 64),
	of("growth", "none", "once", "often"),
	of("connection", "own", "shared", "websocket"),
	of("idempotence", "off", "on", "state", "bad state"),
	of("journal", "none", "each", "interval", "system"),
	of("partitioning", eventhubs.RoundRobin, eventhubs.Sticky, eventhubs.ServiceAssigned),
	of("route", "id", "key", "none", "mixed", "own hash"),
	of("sends", 1, 2, 5),
	of("wait", eventhubs.SendAtOnce, 5*time.Millisecond, 250*time.Millisecond, 3*time.Second, eventhubs.UntilFull),
	of("events", 1, 3, 40, 2500),
	of("bytes", 2000, 20_000, 64<<20),
	of("stop", "no", "yes", "resumed"),
	of("delivery", 5*time.Second, time.Minute, 15*time.Minute, time.Duration(-1)),
	of("retries", "exponential", "fixed", "none", "policy"),
	of("fail fast", false, true),
	of("try", time.Second, time.Minute),
	of("refresh", time.Duration(-1), time.Second),
	of("handler", "none", "notes", "slow", "hangs", "again", "enqueues", "clears", "flushes", "panics", "exits", "looks"),
	of("deliveries", "none", "some", "all"),
	of("expires", "never", "some", "all"),
	of("call", "Enqueue", "TryEnqueue", "Publish", "EnqueueAll", "message", "mixed"),
	of("size", "small", "mixed", "large"),
	of("link", 1500, 262_144, 1_046_528, emulator.UnlimitedMessageSize),
	of("faults", "none", "lost", "refused", "throttled", "given back", "cut", "detached", "silent", "list", "attach", "mixed"),
	of("end", "Close", "impatient", "early", "early and impatient", "Abandon"),
	of("meanwhile", "nothing", "flushes", "clears", "connects", "looks"),
	of("trace", "none", "all", "exits"),
	of("goroutines", 1, 3, 12, 40),
	of("idle", false, true), // for longer than the service keeps links and connections
}

// pairwiseForbidden holds the pairs of values that the constructor refuses.
var pairwiseForbidden = func() map[[2]pairCell]bool {
	forbidden := map[[2]pairCell]bool{}
	forbid := func(a string, x any, b string, ys ...any) {
		for _, y := range ys {
			p, q := cellOf(a, x), cellOf(b, y)
			forbidden[[2]pairCell{p, q}], forbidden[[2]pairCell{q, p}] = true, true
		}
	}
	forbid("partitioning", eventhubs.ServiceAssigned, "idempotence", "on", "state", "bad state")
	forbid("partitioning", eventhubs.ServiceAssigned, "stop", "yes", "resumed")
	for _, sends := range []any{2, 5} {
		forbid("sends", sends, "idempotence", "on", "state", "bad state")
		forbid("sends", sends, "stop", "yes", "resumed")
	}
	for _, journal := range []any{"each", "interval", "system"} {
		forbid("journal", journal, "idempotence", "state", "bad state")
		forbid("journal", journal, "stop", "yes", "resumed")
		forbid("journal", journal, "fail fast", true)
		forbid("journal", journal, "retries", "policy")
	}
	return forbidden
}()

// A pairCell is one value of one factor, both by index.
type pairCell struct{ factor, value int }

func cellOf(name string, value any) pairCell {
	f := slices.IndexFunc(pairwiseFactors, func(f factor) bool { return f.name == name })
	return pairCell{f, slices.Index(pairwiseFactors[f].values, value)}
}

// A pairRow is a value for each factor, by index.
type pairRow []int

func (r pairRow) String() string {
	var s []string
	for i, v := range r {
		s = append(s, fmt.Sprintf("%s=%v", pairwiseFactors[i].name, pairwiseFactors[i].values[v]))
	}
	return strings.Join(s, ", ")
}

// get returns the row's value of a factor.
func get[T any](r pairRow, name string) T {
	f := slices.IndexFunc(pairwiseFactors, func(f factor) bool { return f.name == name })
	return pairwiseFactors[f].values[r[f]].(T)
}

// coveringArray returns rows in which every allowed pair of values of two factors occurs. Each row
// is the best of several candidates. A candidate begins with a missing pair. Then it takes, factor
// by factor in random order, the value that adds the most missing pairs.
func coveringArray(factors []factor, forbidden map[[2]pairCell]bool, random *rand.Rand) (rows []pairRow) {
	missing := map[[2]pairCell]bool{} // the cell of the lower factor first
	var order [][2]pairCell           // the same, in an order that does not depend on the map
	for i := range factors {
		for j := range i {
			for x := range factors[j].values {
				for y := range factors[i].values {
					if p := [2]pairCell{{j, x}, {i, y}}; !forbidden[p] {
						missing[p] = true
						order = append(order, p)
					}
				}
			}
		}
	}
	lacks := func(a, b pairCell) bool {
		if a.factor > b.factor {
			a, b = b, a
		}
		return missing[[2]pairCell{a, b}]
	}
	for len(missing) > 0 {
		order = slices.DeleteFunc(order, func(p [2]pairCell) bool { return !missing[p] })
		var best pairRow
		most := -1
		for range 12 {
			if row, gain := candidate(factors, forbidden, lacks, order[random.IntN(len(order))], random); gain > most {
				best, most = row, gain
			}
		}
		if most < 0 {
			panic("no row can have any of the missing pairs: a value is forbidden with all those of another factor")
		}
		for i := range best {
			for j := range i {
				delete(missing, [2]pairCell{{j, best[j]}, {i, best[i]}})
			}
		}
		rows = append(rows, best)
	}
	return rows
}

// candidate makes a row around a pair, and returns how many missing pairs it has. It returns -1 if
// it found no allowed row.
func candidate(factors []factor, forbidden map[[2]pairCell]bool, lacks func(a, b pairCell) bool, pair [2]pairCell, random *rand.Rand) (row pairRow, gain int) {
	row = make(pairRow, len(factors))
	chosen := []pairCell{pair[0], pair[1]}
	row[pair[0].factor], row[pair[1].factor] = pair[0].value, pair[1].value
	gain = 1
	for _, f := range random.Perm(len(factors)) {
		if f == pair[0].factor || f == pair[1].factor {
			continue
		}
		best, most := -1, -1
		for _, v := range random.Perm(len(factors[f].values)) {
			c, n := pairCell{f, v}, 0
			if slices.ContainsFunc(chosen, func(other pairCell) bool { return forbidden[[2]pairCell{c, other}] }) {
				continue
			}
			for _, other := range chosen {
				if lacks(c, other) {
					n++
				}
			}
			if n > most {
				best, most = v, n
			}
		}
		if best < 0 {
			return nil, -1
		}
		row[f] = best
		gain += most
		chosen = append(chosen, pairCell{f, best})
	}
	return row, gain
}

// The array must have every allowed pair and no forbidden one. This test counts them in another way
// than the generator.
func TestTheCoveringArrayHasEveryPair(t *testing.T) {
	for seed := range uint64(3) {
		rows := coveringArray(pairwiseFactors, pairwiseForbidden, rand.New(rand.NewPCG(seed, 0)))
		again := coveringArray(pairwiseFactors, pairwiseForbidden, rand.New(rand.NewPCG(seed, 0)))
		if !slices.EqualFunc(rows, again, func(a, b pairRow) bool { return slices.Equal(a, b) }) {
			t.Errorf("seed %d gives two arrays", seed)
		}
		least := 0
		for i, f := range pairwiseFactors {
			for j, g := range pairwiseFactors[:i] {
				least = max(least, len(f.values)*len(g.values))
				for x := range f.values {
					for y := range g.values {
						n := 0
						for _, r := range rows {
							if r[i] == x && r[j] == y {
								n++
							}
						}
						if forbidden := pairwiseForbidden[[2]pairCell{{i, x}, {j, y}}]; forbidden != (n == 0) {
							t.Errorf("%s=%v with %s=%v is in %d rows, forbidden: %v", f.name, f.values[x], g.name, g.values[y], n, forbidden)
						}
					}
				}
			}
		}
		if t.Logf("seed %d: %d rows for %d factors; no array has fewer than %d", seed, len(rows), len(pairwiseFactors), least); len(rows) > 3*least {
			t.Errorf("%d rows are more than three times the minimum", len(rows))
		}
	}
}

// TestOptionsInPairs runs a producer with each pair of options, ways of use, handlers and faults at
// least once. It runs in virtual time over an emulator, and judges the accepted, reported and
// stored events. A failure names the seed and the row: -pairwise.seed=N -pairwise.row=K runs only
// that row.
func TestOptionsInPairs(t *testing.T) {
	var sum pairTally
	for i := range *pairwiseMore {
		seed := *pairwiseSeed + uint64(i)
		rows := coveringArray(pairwiseFactors, pairwiseForbidden, rand.New(rand.NewPCG(seed, 0)))
		t.Logf("seed %d: %d rows", seed, len(rows))
		for k, row := range rows {
			if *pairwiseRow >= 0 && k != *pairwiseRow {
				continue
			}
			t.Run(fmt.Sprintf("seed %d row %d", seed, k), func(t *testing.T) {
				directory := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					r := newPairRun(t, row, seed, k, directory)
					r.run()
					if faults := r.judge(); len(faults) > 0 {
						t.Errorf("%d faults\n\t%s\n%v", len(faults), strings.Join(faults[:min(12, len(faults))], "\n\t"), row)
					}
					sum.add(&r.book)
				})
			})
		}
	}
	t.Logf("%+v", sum)
	if *pairwiseRow < 0 && (sum.Stored < 1000 || sum.NotStored < 100 || sum.PossiblyStored < 10 || sum.Refused < 100 || sum.Copies == 0 || sum.Again == 0 || sum.Kept == 0) {
		t.Errorf("the runs do not cover everything: %+v", sum)
	}
}
