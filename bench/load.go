package main

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The bodies are slices of a ring of random bytes. The ring is larger than a core's own cache, so a
// body is no nearer than a new event's.
const (
	ringBytes   = 4 << 20
	pinnedBytes = 64 << 10
	largestBody = 10_000
)

// A burst. With the tuned options the buffer holds one burst of 1 KB events.
const (
	burstEvents = 50_000
	burstGap    = 250 * time.Millisecond
	// callEvents are enqueued in a row to measure calls: fewer than a buffer holds.
	callEvents = 5_000
)

// mixedSizes are the sizes of one hundred events.
var mixedSizes = func() (sizes [100]int) {
	for i := range sizes {
		switch {
		case i < 60:
			sizes[i] = 100
		case i < 94:
			sizes[i] = 1000
		default:
			sizes[i] = 10_000
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	return sizes
}()

// A load makes the events of a scenario, at its times, until its phase ends.
type load struct {
	// Immutable after newLoad.
	scenario scenario
	ring     []byte
	mask     int
	keys     []string
	keyBytes [][]byte // the same

	stop  atomic.Bool
	over  chan struct{} // closed when stop is set; replaced by phase
	sent  atomic.Int64  // accepted events, in all phases
	bytes atomic.Int64  // of their bodies

	mu        sync.Mutex // guards the fields below
	latencies []time.Duration
	resting   time.Duration // of the gaps between bursts
	calls     int           // measured calls
	callCPU   time.Duration // CPU of their threads
}

// An event is the input for a peer.
type event struct {
	body     []byte
	key      string // empty: none
	keyBytes []byte
}

func newLoad(s scenario) *load {
	size := ringBytes
	if s.PinnedMemory {
		size = pinnedBytes
	}
	l := &load{scenario: s, ring: make([]byte, size+largestBody), mask: size - 1}
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(l.ring) // its documentation says that it never fails
	keys := s.Keys
	if s.Pattern == hotKey && keys == 0 {
		keys = 1000
	}
	for i := range keys {
		l.keys = append(l.keys, "device-"+strconv.Itoa(i))
		l.keyBytes = append(l.keyBytes, []byte(l.keys[i]))
	}
	return l
}

// event returns the n-th event.
func (l *load) event(n int) event {
	size := l.scenario.Size
	if l.scenario.Pattern == mixed {
		size = mixedSizes[n%len(mixedSizes)]
	}
	at := (n * size) & l.mask
	e := event{body: l.ring[at : at+size]}
	if len(l.keys) > 0 {
		i := n % len(l.keys)
		if l.scenario.Pattern == hotKey && n%10 != 0 {
			i = 0
		}
		e.key, e.keyBytes = l.keys[i], l.keyBytes[i]
	}
	return e
}

// record notes times from an event's call to its outcome.
func (l *load) record(latencies ...time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latencies = append(l.latencies, latencies...)
}

// timed reports whether to record each event's outcome.
func (l *load) timed() bool { return l.scenario.Rate > 0 }

// phase starts a new measurement. The load stops after d.
func (l *load) phase(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latencies, l.resting, l.calls, l.callCPU = nil, 0, 0, 0
	over := make(chan struct{})
	l.over = over
	l.stop.Store(false)
	time.AfterFunc(d, func() {
		l.stop.Store(true)
		close(over)
	})
}

// percentile returns the latency that p percent of the events do not exceed; zero without records.
func (l *load) percentile(p float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.latencies) == 0 {
		return 0
	}
	slices.Sort(l.latencies)
	return l.latencies[min(len(l.latencies)-1, int(p/100*float64(len(l.latencies))))]
}

// A publish is the peer's side of a load: it enqueues one event, or waits until all have their
// outcome.
type publish struct {
	enqueue func(event) error
	flush   func() error
	all     func(iter.Seq[event]) error // for scenario.All
}

// each publishes event by event, in the scenario's pattern, until the load stops. Then it waits for
// the outcomes.
func (l *load) each(p publish) error {
	var err error
	switch s := &l.scenario; {
	case s.Kind == idle:
		err = l.rest(p)
	case s.Kind == call:
		err = l.measureCalls(p)
	case s.Rate > 0:
		err = l.paced(p)
	case s.Pattern == bursts:
		err = l.bursts(p)
	case s.All:
		err = l.all(p)
	default:
		err = l.fast(p)
	}
	if flushErr := p.flush(); err == nil {
		err = flushErr
	}
	return err
}

// fast enqueues at full speed, on the scenario's number of goroutines.
func (l *load) fast(p publish) error {
	var workers sync.WaitGroup
	errs := make([]error, l.scenario.Goroutines)
	for worker := range l.scenario.Goroutines {
		// Ends when the load stops; awaited below.
		workers.Go(func() {
			own, record := p, func() {}
			if l.scenario.Kind == wait {
				own.enqueue, record = l.stopwatch(p.enqueue)
			}
			_, errs[worker] = l.run(own, worker*1_000_003, int(^uint(0)>>1))
			record()
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// all enqueues at full speed, as one source.
func (l *load) all(p publish) error {
	return p.all(func(yield func(event) bool) {
		sent, bytes := 0, 0
		for ; !l.stop.Load(); sent++ {
			e := l.event(sent)
			bytes += len(e.body)
			if !yield(e) {
				break
			}
		}
		l.sent.Add(int64(sent))
		l.bytes.Add(int64(bytes))
	})
}

// stopwatch returns a function that also measures how long each call takes, and one that records
// these times. Both are for one goroutine.
func (l *load) stopwatch(enqueue func(event) error) (timed func(event) error, record func()) {
	var times []time.Duration
	timed = func(e event) error {
		began := time.Now()
		err := enqueue(e)
		times = append(times, time.Since(began))
		return err
	}
	return timed, func() { l.record(times...) }
}

// run enqueues up to so many events, starting with the n-th, and returns how many it enqueued.
func (l *load) run(p publish, from, events int) (done int, err error) {
	var bytes int64
	for ; done < events && !l.stop.Load(); done++ {
		e := l.event(from + done)
		if err = p.enqueue(e); err != nil {
			break
		}
		bytes += int64(len(e.body))
	}
	l.sent.Add(int64(done))
	l.bytes.Add(bytes)
	return done, err
}

// bursts enqueues in bursts, waits for their outcomes, and rests.
func (l *load) bursts(p publish) error {
	for n := 0; !l.stop.Load(); n += burstEvents {
		if _, err := l.run(p, n, burstEvents); err != nil {
			return err
		}
		if err := p.flush(); err != nil {
			return err
		}
		began := time.Now()
		time.Sleep(burstGap)
		l.mu.Lock()
		l.resting += time.Since(began)
		l.mu.Unlock()
	}
	return nil
}

// paced enqueues at the scenario's rate: each millisecond the events that are due, or with bursts
// each burstGap.
func (l *load) paced(p publish) error {
	tick := time.Millisecond
	if l.scenario.Pattern == bursts {
		tick = burstGap
	}
	n, began := 0, time.Now()
	for at := began; !l.stop.Load(); at = at.Add(tick) {
		time.Sleep(time.Until(at)) // the next tick makes up for a late one
		due := int(at.Sub(began).Seconds()*float64(l.scenario.Rate)+0.5) - n
		done, err := l.run(p, n, due)
		if err != nil {
			return err
		}
		n += done
	}
	return nil
}

// measureCalls measures the cost of a call on its thread. The buffer has room for all calls in a
// row, so none of them waits.
func (l *load) measureCalls(p publish) error {
	for n := 0; !l.stop.Load(); n += callEvents {
		spent, err := threadTime(func() error {
			_, err := l.run(p, n, callEvents)
			return err
		})
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.calls += callEvents
		l.callCPU += spent
		l.mu.Unlock()
		if err := p.flush(); err != nil {
			return err
		}
	}
	return nil
}

// rest opens every partition with one event, once, and then sends nothing.
func (l *load) rest(p publish) error {
	if l.sent.Load() == 0 {
		if _, err := l.run(p, 0, l.scenario.Partitions); err != nil {
			return err
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	<-l.over
	return nil
}
