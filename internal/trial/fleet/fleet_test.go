// Package fleet tests many producers of one event hub together: what they ask of a namespace, and
// how long they take to come back.
package fleet

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

var producers = flag.Int("fleet.producers", 0, "run so many producers of 25 events/s each, with a unit for 30 of them, through 10 minutes without a namespace and an hour with half of its units; 0: a small fleet and shorter troubles")

// A shape is a fleet's size and load, and how long its troubles last.
type shape struct {
	producers, rate   int // rate: events a second of one producer
	units, partitions int
	waves             int           // a deployment replaces the producers in so many parts
	pause             time.Duration // between two waves
	outage            time.Duration // the namespace is gone
	half              time.Duration // the namespace has half of its units
	room              int           // MaxBufferedEvents; 0 for the default
	delivery          time.Duration // DeliveryTimeout; 0 for the default
}

// message is the largest message of the hub, in bytes. Events of this test have 8 bytes; 1,300 of
// them fill a message, as events of 800 bytes fill one of the service.
const message = 32 << 10

// load is the events a second of all producers together.
func (s *shape) load() int { return s.producers * s.rate }

const tick = time.Second // a producer's program enqueues so often

// A fleet is many producers of one hub, each with a steady stream of events. All of it lives in
// virtual time.
type fleet struct {
	*testing.T
	shape
	server  *emulator.Server
	door    world.Door
	members []*member
	judge   *judge
	stop    chan struct{}
	streams sync.WaitGroup // the members' programs

	calls, refused atomic.Int64 // management calls, and those that the namespace was too busy for
	throttled      atomic.Int64 // tries that the namespace was too busy for

	sentTo []atomic.Int64 // events that were sent to each partition, throttled ones too
}

func newFleet(t *testing.T, s shape) *fleet {
	f := &fleet{T: t, shape: s, sentTo: make([]atomic.Int64, s.partitions), stop: make(chan struct{})}
	hubs := world.Hubs(s.partitions)
	hubs[0].Retention.Events = s.kept()
	f.server = emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hubs, ThroughputUnits: s.units, MaxMessageSize: message, Hook: f.hook,
		Logger: slog.New(slog.DiscardHandler)})
	f.judge = newJudge(f)
	for i := range s.producers {
		f.members = append(f.members, &member{fleet: f, number: uint32(i), replace: make(chan chan struct{}, 1)})
	}
	return f
}

// hook counts management calls. A transfer is acknowledged after a round trip.
func (f *fleet) hook(_ context.Context, op emulator.Operation) emulator.Action {
	switch op.Kind {
	case emulator.KindManagement:
		f.calls.Add(1)
	case emulator.KindTransfer:
		if n, err := strconv.Atoi(op.PartitionID); err == nil {
			f.sentTo[n].Add(int64(op.Events))
		}
		return emulator.Pass().AnswerAfter(world.Trip)
	}
	return emulator.Pass()
}

func (f *fleet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if err := f.door.Pass(ctx); err != nil {
		return nil, err
	}
	return f.server.Dial(ctx)
}

// start has every producer begin in the same instant.
func (f *fleet) start() {
	for _, m := range f.members {
		m.open()
		f.streams.Go(m.run) // ends when stop is closed
	}
}

// held is the events without an outcome: of all producers, and of the one with most.
func (f *fleet) held() (all, most int) {
	for _, m := range f.members {
		n := int(m.accepted.Load() - m.told.Load())
		all += n
		most = max(most, n)
	}
	return all, most
}

// A row is what one trouble cost.
type row struct {
	name           string
	calls, refused int64         // management calls
	dials, peak    int           // all, and within one second
	throttled      int64         // tries
	back           time.Duration // until every producer has stored an event
	caughtUp       time.Duration // until no more events are held than before
	held, most     int           // events at most: of all producers together, and of one
	failed         int64
	blocked        time.Duration // the longest wait of a program for room
	crowd          int           // events sent to one partition in a second, at most
}

func (r row) String() string {
	return fmt.Sprintf("%s: %d management calls (%d refused), %d dials (at most %d in a second), %d tries throttled, back %v, caught up %v, held at most %d (one producer: %d), %d failed, a program waited %v at most, %d events at most were sent to one partition in a second",
		r.name, r.calls, r.refused, r.dials, r.peak, r.throttled, r.back.Round(100*time.Millisecond), r.caughtUp, r.held, r.most, r.failed, r.blocked.Round(time.Second), r.crowd)
}

// trouble measures what happens from now until the fleet has caught up. The strike returns when the
// trouble is over; without a strike it is over at once. Patience bounds the time after that.
func (f *fleet) trouble(name string, patience time.Duration, strike func()) row {
	f.Helper()
	r := row{name: name}
	began := time.Now()
	calls, refused, throttled, failed := f.calls.Load(), f.refused.Load(), f.throttled.Load(), f.failures()
	for _, m := range f.members {
		m.blocked.Store(0)
	}
	over := make(chan struct{})
	go func() { // ends with the strike
		defer close(over)
		if strike != nil {
			strike()
		}
	}()
	var ended time.Time
	for {
		all, most := f.held()
		r.held, r.most = max(r.held, all), max(r.most, most)
		for i := range f.sentTo {
			r.crowd = max(r.crowd, int(f.sentTo[i].Swap(0)))
		}
		f.judge.readIfDue()
		if ended.IsZero() {
			select {
			case <-over:
				ended = time.Now()
				f.Log(name, "held when it ends (median, p90, p99, most):", f.quantiles())
				for _, m := range f.members {
					m.again.Store(0)
				}
			default:
			}
		} else if back, ok := f.back(ended); ok && all <= f.load() && most <= 3*f.rate {
			r.back, r.caughtUp = back, time.Since(ended)
			break
		} else if time.Since(ended) > patience {
			f.Errorf("%s: %v after its end %d events are held, %d by one producer", name, patience, all, most)
			r.back, r.caughtUp = back, time.Since(ended)
			break
		}
		time.Sleep(time.Second)
	}
	r.calls, r.refused, r.throttled, r.failed = f.calls.Load()-calls, f.refused.Load()-refused, f.throttled.Load()-throttled, f.failures()-failed
	r.dials, r.peak = f.dialledSince(began)
	for _, m := range f.members {
		r.blocked = max(r.blocked, time.Duration(m.blocked.Load()))
	}
	f.Log(r)
	return r
}

// back is how long after a time the last producer stored an event again, and whether all have.
func (f *fleet) back(since time.Time) (last time.Duration, all bool) {
	for _, m := range f.members {
		at := m.again.Load()
		if at == 0 {
			return 0, false
		}
		last = max(last, time.Unix(0, at).Sub(since))
	}
	return last, true
}

func (f *fleet) failures() (n int64) {
	for _, m := range f.members {
		n += m.failed.Load()
	}
	return n
}

// dialledSince is how many dials there were, and how many at most within a second.
func (f *fleet) dialledSince(began time.Time) (all, peak int) {
	seconds := map[int]int{}
	after := f.door.DialledSince(began)
	for _, d := range after {
		s := int(d / time.Second)
		seconds[s]++
		peak = max(peak, seconds[s])
	}
	return len(after), peak
}

// options are every producer's.
func (f *fleet) options(m *member) *eventhubs.Options {
	return &eventhubs.Options{
		Partitioning:      eventhubs.Sticky,
		MaxWaitTime:       time.Second,
		MaxBufferedEvents: f.room,
		DeliveryTimeout:   f.delivery,
		OnBatchSucceeded:  m.succeeded,
		OnBatchFailed:     m.lost,
		Logger:            slog.New(slog.DiscardHandler),
		Trace: &eventhubs.Trace{Throttled: func(t eventhubs.TracedFailure) {
			if t.PartitionID == "" {
				f.refused.Add(1)
			} else {
				f.throttled.Add(1)
			}
		}},
		Connection: eventhubs.ConnectionOptions{DialContext: f.dial},
	}
}

// quantiles are how many events the producers hold: the median, 90 %, 99 % and the most.
func (f *fleet) quantiles() (q [4]int64) {
	var held []int64
	for _, m := range f.members {
		held = append(held, m.accepted.Load()-m.told.Load())
	}
	slices.Sort(held)
	n := len(held)
	return [4]int64{held[n/2], held[n*9/10], held[n*99/100], held[n-1]}
}
