package main

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/torture/record"
)

const (
	// blockEvents are enqueued between two writes to the record: what a kill leaves unknown.
	blockEvents = 64
	// Every deliveryEvery-th event has a Delivery.
	deliveryEvery = 97

	closeTimeout = 30 * time.Second
	// catchUp is how much of its rate a producer makes up for after it was held up.
	catchUp = 3 * time.Second
	// fencedPause slows a producer whose identity was stolen: each of its events fails at once.
	fencedPause = 5 * time.Millisecond
)

// A producing is a life of a producer.
type producing struct {
	setup    *setup
	profile  *profile
	id       record.ID
	writer   *record.Writer
	producer *eventhubs.BufferedProducer
	tokens   *tokenSource
	gate     gate
	fenced   atomic.Bool
	drain    atomic.Bool // Close has no time limit

	// With a journal:
	messages *line[message]
	accepted sync.Once // sends that this life has accepted an event
	heard    sync.Once // sends that this life has reported an outcome
}

// A marked is the tag of an event with a Delivery; the others have their number.
type marked struct {
	number   uint64
	delivery *eventhubs.Delivery
}

func playProducer(s *setup, commands *json.Decoder, messages *line[message]) error {
	profile := s.profile()
	p := &producing{setup: s, profile: profile, messages: messages, id: record.ID{Producer: uint8(s.Producer), Flags: profile.flags, Life: s.Life}}
	if profile.flags&record.Source != 0 {
		p.id.Life = s.Origin
	}
	p.gate.init()
	p.tokens = &tokenSource{producer: s.Producer, refused: func() { messages.send(message{Token: noToken, Of: s.Producer}) }}
	var err error
	if p.writer, err = s.begin(p.id); err != nil {
		return err
	}
	if p.producer, err = p.openJournal(); err != nil {
		return err
	}
	first, err := p.resume()
	if err != nil {
		return err
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	// Ends with done.
	wg.Go(func() { sampled(p.writer, done) })
	ctx, cancel := context.WithCancel(context.Background())
	// Ends with the driver, or the process.
	go func() {
		defer cancel()
		listen(commands, func(c *command) {
			switch {
			case c.Go:
				p.gate.open()
			case c.Hold:
				p.gate.close()
			case c.Clock != 0:
				p.tokens.wrong.Store(int64(c.Clock))
			case c.NoToken:
				p.tokens.none.Store(true)
			case c.Right:
				p.tokens.wrong.Store(0)
				p.tokens.none.Store(false)
			case c.Close, c.Drain:
				p.drain.Store(c.Drain)
				cancel()
			}
		})
	}()
	messages.send(message{Ready: &ready{}})
	p.enqueue(ctx, first)
	closing, stop := context.WithTimeout(context.Background(), closeTimeout)
	defer stop()
	if p.drain.Load() {
		closing = context.Background()
	}
	err = p.producer.Close(closing)
	close(done)
	wg.Wait()
	end := &record.Entry{Kind: record.End, Time: time.Now(), Code: string(eventhubs.CodeOf(err))}
	if j := p.producer.Journal(); j != nil {
		end.Count = uint64(j.Events)
	}
	must(p.writer.Write(end))
	return nil
}

// open makes the producer as its profile says.
func (p *producing) open() (*eventhubs.BufferedProducer, error) {
	o := p.profile.configure(identifier(p.setup.Producer, p.setup.Life))
	o.OnBatchSucceeded, o.OnBatchFailed = p.reported, p.reported
	o.Trace = &eventhubs.Trace{Retrying: p.tried, Throttled: p.tried}
	switch j := p.profile.journal; {
	case j != nil:
		o.Journal = j.options(p.setup)
		o.OnBatchSucceeded, o.OnBatchFailed = p.reportedKept, p.reportedKept
	case p.profile.idempotent:
		o.ProducerStore = eventhubs.NewFileProducerStore(filepath.Join(p.setup.Directory, "identities", strconv.Itoa(p.setup.Producer)))
	}
	if !p.profile.tls {
		o.Connection.CustomEndpoint = p.setup.Address
		return eventhubs.NewBufferedProducerFromConnectionString(keyConnectionString("localhost"), hubName, o)
	}
	config, err := clientTLS(p.setup.Directory)
	if err != nil {
		return nil, err
	}
	o.Connection.TLSConfig, o.Connection.CustomEndpoint = config, p.setup.Address
	return eventhubs.NewBufferedProducer(namespace, hubName, p.tokens, o)
}

// enqueue enqueues events until ctx ends: a block, when the driver allows and the rate does.
func (p *producing) enqueue(ctx context.Context, first uint64) {
	began, paced := time.Now(), uint64(0)
	var body []byte
	block := p.block
	if p.profile.journal != nil {
		block = p.keepBlock
	}
	for ; ctx.Err() == nil; first += blockEvents {
		if p.gate.wait(ctx) != nil {
			return
		}
		if p.fenced.Load() {
			time.Sleep(fencedPause)
		}
		if rate := p.setup.Rate; rate > 0 {
			due := began.Add(time.Duration(paced) * time.Second / time.Duration(rate))
			if late := time.Since(due); late > catchUp {
				began = began.Add(late - catchUp)
			} else if late < 0 {
				time.Sleep(-late)
			}
			paced += blockEvents
		}
		body = block(ctx, first, body)
	}
}

// block enqueues events, and records it before and after.
func (p *producing) block(ctx context.Context, first uint64, body []byte) []byte {
	must(p.writer.Write(&record.Entry{Kind: record.Intent, First: first, Count: blockEvents}))
	from := first // accepted from here on, and not recorded
	accepted := func(end uint64) {
		if end > from {
			must(p.writer.Write(&record.Entry{Kind: record.Accepted, First: from, Count: end - from}))
		}
	}
	for n := first; n < first+blockEvents; n++ {
		var event *eventhubs.Event
		event, body = p.event(n, body)
		if event.Tag == nil {
			event.Tag = n
		}
		if err := p.producer.Enqueue(ctx, event); err != nil {
			accepted(n)
			must(p.writer.Write(&record.Entry{Kind: record.Refused, First: n, Count: 1, Code: string(eventhubs.CodeOf(err))}))
			from = n + 1
		}
	}
	accepted(first + blockEvents)
	return body
}

// event makes an event, whose body takes the memory of the former one.
func (p *producing) event(n uint64, body []byte) (*eventhubs.Event, []byte) {
	id := p.id
	id.Number = n
	route := id.Route(p.setup.Partitions)
	body = record.AppendBody(body[:0], id)
	event := &eventhubs.Event{Body: body, PartitionKey: route.Key}
	if route.Partition >= 0 {
		event.PartitionID = strconv.Itoa(route.Partition)
	}
	if n%deliveryEvery == 0 {
		event.Delivery = new(eventhubs.Delivery)
		event.Tag = &marked{n, event.Delivery}
	}
	return event, body
}

// reported records the outcome of a batch, and the outcomes of its Deliveries.
func (p *producing) reported(_ context.Context, b *eventhubs.Batch) {
	reported := &record.Entry{Kind: record.Reported, Time: time.Now(), Storage: storageOf(b.Outcome), Partition: partitionOf(b.PartitionID), Numbers: make([]uint64, 0, b.Count)}
	entries := []*record.Entry{reported}
	for tag := range b.Tags() {
		switch tag := tag.(type) {
		case uint64:
			reported.Numbers = append(reported.Numbers, tag)
		case *marked:
			reported.Numbers = append(reported.Numbers, tag.number)
			entries = append(entries, &record.Entry{Kind: record.Delivered, First: tag.number, Storage: storageOf(tag.delivery.Outcome())})
		}
	}
	if b.Outcome.Err != nil {
		reported.Code = string(eventhubs.CodeOf(b.Outcome.Err))
		if errors.Is(b.Outcome.Err, eventhubs.CodeFenced) {
			reported.Code = string(eventhubs.CodeFenced)
			p.fenced.Store(true)
		}
	}
	must(p.writer.Write(entries...))
}

// tried records a try that has failed.
func (p *producing) tried(f eventhubs.TracedFailure) {
	must(p.writer.Write(&record.Entry{Kind: record.Tried, Time: time.Now(), Partition: partitionOf(f.PartitionID), Code: string(eventhubs.CodeOf(f.Err))}))
}

func partitionOf(id string) int {
	if n, err := strconv.Atoi(id); err == nil {
		return n
	}
	return -1
}

func storageOf(o eventhubs.Outcome) record.Storage {
	switch o.Storage {
	case eventhubs.Stored:
		return record.Stored
	case eventhubs.NotStored:
		return record.NotStored
	case eventhubs.PossiblyStored:
		return record.PossiblyStored
	default:
		return record.Unreported
	}
}

// A gate lets pass, or holds up. It is closed at first.
type gate struct {
	mu   sync.Mutex    // guards pass
	pass chan struct{} // closed while the gate is open
}

func (g *gate) init() { g.pass = make(chan struct{}) }

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.pass:
	default:
		close(g.pass)
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.pass:
		g.pass = make(chan struct{})
	default:
	}
}

func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	pass := g.pass
	g.mu.Unlock()
	select {
	case <-pass:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
