package main

import (
	"math/rand/v2"
	"time"
)

// A plan says which fault comes when, from a seed. First each kind comes once; then they come by
// their weights.
type plan struct {
	random *rand.Rand
	every  time.Duration // on average
	kinds  []*kind
	deck   []*kind // what comes next is at the end
	rounds int
}

// firstEvery is how often a fault comes in the first round, in which each kind does: those of whole
// processes too.
const firstEvery = 150 * time.Millisecond

func newPlan(seed uint64, perSecond float64, kinds []*kind) *plan {
	return &plan{random: rand.New(rand.NewPCG(seed, 0)), every: time.Duration(float64(time.Second) / perSecond), kinds: kinds}
}

// next is the next kind, and the pause before it.
func (p *plan) next() (*kind, time.Duration) {
	if len(p.deck) == 0 {
		for _, k := range p.kinds {
			n := 1
			if p.rounds > 0 {
				n = k.weight
			}
			for range n {
				p.deck = append(p.deck, k)
			}
		}
		p.rounds++
		p.random.Shuffle(len(p.deck), func(i, j int) { p.deck[i], p.deck[j] = p.deck[j], p.deck[i] })
	}
	k := p.deck[len(p.deck)-1]
	p.deck = p.deck[:len(p.deck)-1]
	every := p.every
	if p.rounds == 1 {
		every = max(every, firstEvery)
	}
	return k, min(time.Duration(p.random.ExpFloat64()*float64(every)), 5*every)
}

// back puts a kind back that could not be made now: it comes again later.
func (p *plan) back(k *kind) { p.deck = append([]*kind{k}, p.deck...) }

// lasts is how long a fault of a kind takes.
func (p *plan) lasts(k *kind) time.Duration {
	if span := k.lasts[1] - k.lasts[0]; span > 0 {
		return k.lasts[0] + time.Duration(p.random.Int64N(int64(span)))
	}
	return k.lasts[0]
}
