package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// A member is a program with a producer. A deployment replaces its producer; its events are
// numbered on.
type member struct {
	fleet   *fleet
	number  uint32
	p       *eventhubs.BufferedProducer // of run, after open
	replace chan chan struct{}          // asks run for a new producer; closed when the new producer has the next events

	accepted, told, failed atomic.Int64 // events; told counts every outcome
	ambiguous              atomic.Int64 // events of batches that took more than one try
	again                  atomic.Int64 // when the first event was stored since it was zero, in Unix nanoseconds
	blocked                atomic.Int64 // the longest wait for room, in nanoseconds

	mu       sync.Mutex                   // guards the fields below
	unstored map[uint32]eventhubs.Storage // the events that failed, by number
	errs     map[string]int
}

func (m *member) open() {
	p, err := eventhubs.NewBufferedProducerFromConnectionString(m.fleet.server.ConnectionString("hub"), "", m.fleet.options(m))
	if err != nil {
		m.fleet.Error(err)
		return
	}
	m.p = p
}

// run is the program: it enqueues in steady steps. It begins at a time of its own.
func (m *member) run() {
	ctx := context.Background()
	each := m.fleet.rate * int(tick) / int(time.Second)
	body := make([]byte, 8)
	event := &eventhubs.Event{Body: body}
	time.Sleep(rand.N(tick))
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		for range each {
			binary.LittleEndian.PutUint32(body, m.number)
			binary.LittleEndian.PutUint32(body[4:], uint32(m.accepted.Load()))
			began := time.Now()
			if err := m.p.Enqueue(ctx, event); err != nil {
				m.fleet.Errorf("producer %d: %v", m.number, err)
			} else {
				m.accepted.Add(1)
			}
			m.blocked.Store(max(m.blocked.Load(), int64(time.Since(began))))
		}
		select {
		case <-m.fleet.stop:
			m.close(ctx)
			return
		case done := <-m.replace:
			m.close(ctx)
			m.open()
			close(done)
		case <-ticker.C:
		}
	}
}

func (m *member) close(ctx context.Context) {
	if err := m.p.Close(ctx); err != nil {
		if _, ok := errors.AsType[*eventhubs.UndeliveredError](err); !ok {
			m.fleet.Errorf("producer %d: Close: %v", m.number, err)
		}
	}
}

func (m *member) succeeded(_ context.Context, b *eventhubs.Batch) {
	m.told.Add(int64(b.Count))
	m.again.CompareAndSwap(0, time.Now().UnixNano())
	if b.Outcome.Tries > 1 {
		m.ambiguous.Add(int64(b.Count))
	}
}

func (m *member) lost(_ context.Context, b *eventhubs.Batch) {
	m.told.Add(int64(b.Count))
	m.failed.Add(int64(b.Count))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.errs == nil {
		m.errs, m.unstored = map[string]int{}, map[uint32]eventhubs.Storage{}
	}
	m.errs[b.Outcome.Err.Error()] += b.Count
	for e := range b.Events() {
		m.unstored[binary.LittleEndian.Uint32(e.Body[4:])] = b.Outcome.Storage
	}
}
