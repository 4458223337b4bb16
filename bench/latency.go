package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// jittered returns the smallest latency around ack, and the span above it.
func jittered(ack time.Duration) (least, span time.Duration) {
	jitter := time.Duration(float64(ack) * ackJitter)
	return ack - jitter, 2 * jitter
}

// A delay draws latencies around ack, the same ones in each run.
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
