package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// jittered is the least of the latencies around ack, and how much more there may be.
func jittered(ack time.Duration) (least, span time.Duration) {
	jitter := time.Duration(float64(ack) * ackJitter)
	return ack - jitter, 2 * jitter
}

// A delay draws latencies around one, the same in each run.
type delay struct {
	ack time.Duration // 0: none

	mu     sync.Mutex // guards random
	random *rand.Rand
}

func newDelay(ack time.Duration) *delay {
	return &delay{ack: ack, random: rand.New(rand.NewPCG(1, 1))}
}

func (d *delay) next() time.Duration {
	if d.ack == 0 {
		return 0
	}
	least, span := jittered(d.ack)
	d.mu.Lock()
	defer d.mu.Unlock()
	return least + time.Duration(d.random.Int64N(int64(span)+1))
}
