package network

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"
)

// A direction passes packets on, with its settings' faults.
type direction struct {
	deliver func(packet) // one caller at a time
	wake    chan struct{}
	done    chan struct{}

	mu       sync.Mutex // guards the fields below
	settings Settings
	counters Counters
	random   *rand.Rand
	waiting  held
	last     uint64    // number of packets that came in
	free     time.Time // when the line has sent what waits for Rate
	latest   uint64    // the highest number that was delivered
}

// A heldPacket waits for its time.
type heldPacket struct {
	due    time.Time
	number uint64
	packet packet
}

// held is a heap: first the earliest, and of one time the first that came in.
type held []heldPacket

func (h held) Len() int      { return len(h) }
func (h held) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h held) Less(i, j int) bool {
	return h[i].due.Before(h[j].due) || h[i].due.Equal(h[j].due) && h[i].number < h[j].number
}
func (h *held) Push(x any) { *h = append(*h, x.(heldPacket)) }
func (h *held) Pop() any {
	n := len(*h) - 1
	last := (*h)[n]
	(*h)[n] = heldPacket{}
	*h = (*h)[:n]
	return last
}

func newDirection(seed, stream uint64, deliver func(packet)) *direction {
	return &direction{
		deliver: deliver, wake: make(chan struct{}, 1), done: make(chan struct{}),
		random: rand.New(rand.NewPCG(seed, stream)),
	}
}

// send takes a packet over, and delivers it later, or never.
func (d *direction) send(p packet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, c := &d.settings, &d.counters
	c.Packets++
	c.Bytes += uint64(len(p))
	d.last++
	switch {
	case s.BlackHole:
		c.BlackHoled++
		return
	case s.MaxPacket > 0 && len(p) > s.MaxPacket:
		c.TooLarge++
		return
	case d.chance(s.Loss):
		c.Lost++
		return
	}
	now := time.Now()
	due, ok := d.transmitLocked(now, len(p))
	if !ok {
		c.Overflowed++
		return
	}
	d.holdLocked(due, p)
	if d.chance(s.Duplicate) {
		c.Duplicated++
		d.holdLocked(due, p)
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *direction) chance(share float64) bool { return share > 0 && d.random.Float64() < share }

// transmitLocked is when the line has sent so many bytes; false if its queue is full.
func (d *direction) transmitLocked(now time.Time, size int) (time.Time, bool) {
	rate := d.settings.Rate
	if rate <= 0 {
		return now, true
	}
	begin := now
	if wait := d.free.Sub(now); wait > 0 {
		if int(wait.Seconds()*float64(rate))+size > orDefault(d.settings.Queue, defaultQueue) {
			return now, false
		}
		d.counters.Queued++
		begin = d.free
	}
	d.free = begin.Add(time.Duration(float64(size) / float64(rate) * float64(time.Second)))
	return d.free, true
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// holdLocked has a packet delivered at a time and the delays of the settings.
func (d *direction) holdLocked(due time.Time, p packet) {
	s := &d.settings
	delay := s.Delay
	if s.Jitter > 0 {
		delay += time.Duration((d.random.Float64()*2 - 1) * float64(s.Jitter))
	}
	if delay > 0 {
		d.counters.Delayed++
		due = due.Add(delay)
	}
	if d.chance(s.Reorder) {
		d.counters.HeldUp++
		due = due.Add(orDefault(s.ReorderBy, defaultReorderBy))
	}
	heap.Push(&d.waiting, heldPacket{due, d.last, p})
}

// run delivers packets when their time has come, until close.
func (d *direction) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next, more := d.deliverDue()
		var tick <-chan time.Time
		if more {
			timer.Reset(time.Until(next))
			tick = timer.C
		}
		select {
		case <-d.wake:
		case <-tick:
		case <-d.done:
			return
		}
	}
}

// deliverDue delivers all packets whose time has come. It returns the time of the next one.
func (d *direction) deliverDue() (next time.Time, more bool) {
	for {
		d.mu.Lock()
		if len(d.waiting) == 0 {
			d.mu.Unlock()
			return time.Time{}, false
		}
		if next := d.waiting[0].due; time.Until(next) > 0 {
			d.mu.Unlock()
			return next, true
		}
		p := heap.Pop(&d.waiting).(heldPacket)
		d.counters.Delivered++
		if p.number < d.latest {
			d.counters.Overtaken++
		}
		d.latest = max(d.latest, p.number)
		d.mu.Unlock()
		d.deliver(p.packet)
	}
}

func (d *direction) close() { close(d.done) }

func (d *direction) set(s Settings) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settings = s
	if s.Rate == 0 {
		d.free = time.Time{}
	}
}

func (d *direction) count() Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.counters
	c.Waiting = uint64(len(d.waiting))
	return c
}
