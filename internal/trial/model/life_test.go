package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A life is a producer of the model, with its users.
type life struct {
	model    *model
	number   int
	network  *world.LateNetwork
	producer *eventhubs.BufferedProducer
}

func (m *model) newLife(number int) *life {
	l := &life{model: m, number: number}
	lag := world.Stragglers(rand.New(rand.NewPCG(m.random.Uint64(), 2)), m.perMille)
	l.network = &world.LateNetwork{Server: m.server, Late: &m.stragglers, Refuse: m.isDark, Lag: func() time.Duration {
		if m.calm.Load() {
			return 0
		}
		return lag()
	}}
	o := m.options
	o.OnBatchSucceeded, o.OnBatchFailed = l.handle, l.handle
	o.Connection.DialContext = l.network.Dial
	if m.state != nil {
		o.ProducerStore = m.state.Of(number)
	}
	var err error
	if l.producer, err = eventhubs.NewBufferedProducerFromConnectionString(m.server.ConnectionString("hub"), "", &o); err != nil {
		m.t.Fatal(err)
	}
	return l
}

// begin starts a few streams of events. They end by themselves or with the producer.
func (l *life) begin(streams *sync.WaitGroup, most int) {
	m := l.model
	for s := range 1 + m.random.IntN(most) {
		random := rand.New(rand.NewPCG(m.random.Uint64(), uint64(s)))
		streams.Go(func() { l.stream(s, random) })
	}
}

// end closes, abandons or kills the producer. A killed producer is abandoned without a network, so
// that its handlers still report the buffered events.
func (l *life) end(how int, patience time.Duration, silently bool) {
	ctx, cancel := context.WithTimeout(l.model.t.Context(), patience)
	defer cancel()
	switch how {
	case 2:
		_ = l.producer.Abandon(ctx)
	case 3:
		l.network.Kill(silently)
		_ = l.producer.Abandon(ctx)
	default:
		_ = l.producer.Close(ctx)
	}
}

// handle notes the outcomes that it gets. Now and then it is slow, panics, or enqueues again.
func (l *life) handle(ctx context.Context, b *eventhubs.Batch) {
	m := l.model
	m.mu.Lock()
	var names []string
	at := place{l.number, b.PartitionID}
	for e := range b.Events() {
		names = append(names, e.Tag.(string))
		m.told[at] = append(m.told[at], end{e.Tag.(string), b.Outcome.Storage})
	}
	m.handled += b.Count
	n := m.handled
	if fault := m.stingy.Judge(b, m.options.EnableIdempotentRetries, m.ordered); fault != "" {
		m.seen = append(m.seen, fault)
	}
	fenced := false
	if e, ok := errors.AsType[*eventhubs.Error](b.Outcome.Err); ok && e.Code == eventhubs.CodeFenced {
		fenced = true
		m.tally.Fenced++
	}
	if m.options.EnableIdempotentRetries && b.Outcome.Storage == eventhubs.Stored && b.Outcome.Tries > 1 {
		m.tally.Duplicates += b.Count
	}
	// Without this limit a fenced producer would go on for ever.
	if b.Outcome.Err != nil && !fenced && m.again && n%3 == 0 {
		accepted, _ := b.EnqueueAgain(ctx)
		for _, name := range names[:accepted] {
			// No stream: an event that is enqueued again comes last.
			m.accepted = append(m.accepted, offer{name, l.number, ""})
		}
	}
	m.mu.Unlock()
	switch {
	case n%50 == 0:
		time.Sleep(100 * time.Millisecond)
	case n%97 == 0:
		panic("a handler's panic, on purpose")
	}
}

// disturb makes the calls that a program makes now and then.
func (l *life) disturb(ctx context.Context, random *rand.Rand) {
	m, p := l.model, l.producer
	id := fmt.Sprint(random.IntN(m.partitions))
	switch n := random.IntN(12); {
	case n > 2 && m.quiet, n == 3, n == 4:
		_ = p.Connect(ctx, &eventhubs.ConnectOptions{Links: random.IntN(3) > 0})
	case n == 0, n == 1, n == 2:
		p.Health()
		for _, partition := range p.Stats().Partitions {
			if partition.BufferedEvents < 0 || partition.BufferedBytes < 0 {
				m.t.Errorf("partition %s has %d events and %d bytes", partition.ID, partition.BufferedEvents, partition.BufferedBytes)
			}
			_ = p.ResumePartition(partition.ID)
		}
	case n == 5:
		p.Clear(context.Background())
	case n == 6:
		_, _ = p.ClearPartition(context.Background(), id)
	case n == 7:
		_ = p.FlushPartition(ctx, id)
	default:
		m.flush(ctx, l)
	}
}

// gaveUp reports whether a Flush returned before all events had their outcomes, and said so.
func gaveUp(err error) bool {
	undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err)
	return err != nil && (!ok || undelivered.Pending > 0)
}

// stream enqueues events with one route, one after the other.
func (l *life) stream(s int, random *rand.Rand) {
	m := l.model
	o := &eventhubs.Event{}
	stream := fmt.Sprint(l.number, "/", s)
	switch random.IntN(3) {
	case 0:
		o.PartitionKey = stream
	case 1:
		o.PartitionID = fmt.Sprint(random.IntN(m.partitions))
	default:
		stream = "" // no order
	}
	if !m.ordered {
		stream = ""
	}
	for i := range 1 + random.IntN(m.tempo.events) {
		name := fmt.Sprintf("%d/%d-%d.", l.number, s, i)
		size := random.IntN(200)
		if random.IntN(50) == 0 {
			size = random.IntN(12_000) // too large for some links, or for the buffer
		}
		accepted, closed := l.enqueue(name, size, o, random)
		if accepted {
			m.accept(offer{name, l.number, stream})
		} else {
			m.mu.Lock()
			m.tally.Refused++
			m.mu.Unlock()
		}
		if closed {
			return
		}
		if random.IntN(m.tempo.rests) == 0 {
			time.Sleep(time.Duration(random.Int64N(int64(m.tempo.rest))))
		}
	}
}

// enqueue does so in one of the possible ways.
func (l *life) enqueue(name string, size int, o *eventhubs.Event, random *rand.Rand) (accepted, closed bool) {
	m := l.model
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Duration(random.IntN(100))*time.Second)
	defer cancel()
	o.Tag, o.Delivery, o.ExpiresAt = name, nil, time.Time{}
	if n := random.IntN(20); n == 0 || n < 10 && m.fleeting {
		o.ExpiresAt = time.Now().Add(time.Millisecond + time.Duration(random.Int64N(int64(m.tempo.expiry))))
	}
	properties := map[string]any{"name": name}
	e := &eventhubs.Event{Body: world.Body(name, size), Properties: properties}
	var err error
	switch random.IntN(8) {
	case 0:
		err = l.producer.TryEnqueue(ctx, world.With(e, o))
	case 1: // its Delivery, or the error, says whether it was accepted
		o.Delivery = new(eventhubs.Delivery)
		_, err = l.producer.Publish(ctx, world.With(e, o))
		return o.Delivery.Outcome().Storage != eventhubs.Pending || errors.Is(err, eventhubs.ErrPending), errors.Is(err, eventhubs.ErrClosed)
	case 2:
		err = l.producer.Enqueue(ctx, world.With(&eventhubs.Event{Body: e.Body, Properties: properties, AMQP: &eventhubs.AMQPMessage{
			Header: &eventhubs.AMQPHeader{Durable: true}, MessageAnnotations: map[any]any{"com.microsoft:producer-epoch": "somebody's own", "other": int64(1)},
		}}, o))
	default:
		err = l.producer.Enqueue(ctx, world.With(e, o))
	}
	return err == nil, errors.Is(err, eventhubs.ErrClosed)
}
