package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
)

func runCopy(ctx context.Context, p *process, args []string) (err error) {
	opts, err := parseCopy(p, args)
	if err != nil {
		return err
	}
	c := &copying{process: p, options: opts}
	opts.publish.outcome = func(b *eventhubs.Batch, kept bool) { c.keeper.Load().outcome(b, kept) }
	c.pub, err = newPublication(p, &target{clientOptions: opts.to}, opts.publish)
	defer func() { err = errors.Join(err, c.pub.closeMetrics(ctx)) }()
	if err != nil {
		return err
	}
	c.source, c.target = opts.from.connect("eventhubs-copy"), opts.to.connect("eventhubs-copy")
	defer c.closeConnections(ctx)
	if err := c.begin(ctx); err != nil {
		return errors.Join(err, c.pub.leave(ctx))
	}
	err = c.run(ctx)
	if opts.verify && c.complete && c.pub.kept == 0 && !c.pub.tally.hasFailed() {
		if opts.follow {
			ctx = context.WithoutCancel(ctx) // an interrupt is its normal end
		}
		err = errors.Join(err, c.verify(ctx))
	}
	return errors.Join(err, c.writeReport())
}

// A copying is one run of copy.
type copying struct {
	// Immutable after begin.
	process *process
	options *copyOptions
	pub     *publication // into the target
	source  *connection.Conn
	target  *connection.Conn // for questions, and for reading back
	plan    *copyPlan
	again   bool // an earlier run has begun the copy
	parts   []*copiedPartition
	largest int // bytes of an encoded event that the target takes
	keeper  atomic.Pointer[placeKeeper[int64]]

	// Owned by runCopy's goroutine.
	sums       sums // of this run's events, to compare with the target
	unreadable int  // events left out, with --on-unreadable skip
	replaced   int  // events that had a property of --source-properties
	complete   bool // all partitions were read to their end

	differences []string // between the source and the target
	verified    bool
}

// A copiedPartition is a partition of the source.
type copiedPartition struct {
	// Immutable after begin.
	number int // in the plan
	id     string
	into   string // the target's partition for its events, or for those without a key
	start  start
	before int64 // the last event of earlier runs; -1 for none

	// Owned by runCopy's goroutine.
	last   int64 // sequence number of the last event that was enqueued or left out; -1 for none
	first  int64 // of the first event of this run; -1 for none
	events int   // enqueued in this run
	gaps   int64 // sequence numbers between this run's events that had no event
}

func (c *copying) closeConnections(ctx context.Context) {
	ctx, cancel := closing(ctx)
	defer cancel()
	_, _ = c.source.Close(ctx), c.target.Close(ctx) // nothing can be lost here
}

// begin finds out where both hubs are, and where the copy is.
func (c *copying) begin(ctx context.Context) error {
	opts := c.options
	source, err := c.extents(ctx, c.source, &opts.from)
	if err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	for _, id := range opts.partitions {
		if !slices.ContainsFunc(source, func(p connection.PartitionProperties) bool { return p.PartitionID == id }) {
			return noPartition(opts.from.hub, id, idsOf(source))
		}
	}
	c.pub.describeMetrics()
	if _, err := c.pub.connect(ctx); err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	target, err := c.extents(ctx, c.target, &opts.to)
	if err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	if c.plan, err = c.loadPlan(); err != nil {
		return err
	}
	changed := false
	if c.again = c.plan != nil; c.again {
		if err := c.plan.agree(opts, c.kept()); err != nil {
			return err
		}
		changed = c.plan.grow(source, target)
	} else {
		c.plan, changed = opts.makePlan(source, target), true
	}
	if err := c.route(source, target); err != nil {
		return err
	}
	if err := c.savePlan(changed); err != nil {
		return err
	}
	c.keeper.Store(newCopyPlaces(opts.resume, c.plan))
	c.sums = sums{}
	c.largest = largestEvent(c.pub.producer.Stats())
	c.pub.undelivered, err = createUndelivered(c.process, opts.publish.undelivered)
	if err == nil {
		c.describe()
	}
	return err
}

// extents asks for the extents of all partitions of a hub.
func (c *copying) extents(ctx context.Context, conn *connection.Conn, of *clientOptions) ([]connection.PartitionProperties, error) {
	ids, err := partitionIDs(ctx, conn, of.hub)
	if err != nil {
		return nil, err
	}
	return partitionExtents(ctx, conn, of.hub, ids)
}

func idsOf(extents []connection.PartitionProperties) (ids []string) {
	for _, p := range extents {
		ids = append(ids, p.PartitionID)
	}
	return ids
}

// kept names what keeps the places.
func (c *copying) kept() string {
	if journal := c.pub.options.journal; journal != nil {
		return "--journal " + journal.Directory
	}
	return "--resume " + c.options.resume
}

// route finds the start of this run in each partition, and where its events go.
func (c *copying) route(source, target []connection.PartitionProperties) error {
	ids := idsOf(target)
	for i, planned := range c.plan.Partitions {
		at := slices.IndexFunc(source, func(p connection.PartitionProperties) bool { return p.PartitionID == planned.ID })
		if at < 0 {
			return noPartition(c.options.from.hub, planned.ID, idsOf(source))
		}
		p := &copiedPartition{number: i, id: planned.ID, into: planned.ID, before: -1, last: -1, first: -1}
		if c.plan.By == routeKey {
			p.into = planned.Into
		}
		switch known := slices.Contains(ids, p.into); {
		case !known && c.plan.By == routeKey:
			return badInput("the target has no partition %s any more: it is another hub of this name now; begin another copy", p.into)
		case !known:
			return badInput("the target has no partition %s, only %s: --by key spreads the events by their keys; or give a target with as many partitions as the source, or --partition", p.id, counted(len(ids), "partition", "partitions"))
		}
		since := planned.Since
		if planned.Last != nil {
			p.before, p.last = *planned.Last, *planned.Last
			if end := source[at].LastEnqueuedSequenceNumber; p.last > end {
				return badInput("partition %s of the source ends at sequence number %d, and %s has come to %d: it is another hub of this name now; begin another copy", p.id, end, c.kept(), p.last)
			}
			since = fmt.Sprint("sequence:", p.last+1)
		} else if from, err := parsePosition("", since, time.Time{}); err == nil && from.sequence != nil {
			p.last = *from.sequence - 1 // so that a gap at the beginning is counted
		}
		var err error
		if p.start, err = startAt(since, source[at]); err != nil {
			return err
		}
		c.parts = append(c.parts, p)
	}
	return nil
}

// startAt returns the start at a position of a plan.
func startAt(since string, extent connection.PartitionProperties) (start, error) {
	from, err := parsePosition("the plan's position", since, time.Time{})
	if err != nil {
		return start{}, err
	}
	at, beyond := from.in(extent)
	return start{extent, at, beyond}, nil
}

// describe says what this run does.
func (c *copying) describe() {
	how := "each partition into the one with its number"
	if c.plan.By == routeKey {
		how = "by key"
	}
	verb := "Copying"
	if c.again {
		verb = "Going on with copying"
	}
	c.pub.progress.line(fmt.Sprintf("%s %s of %s to %s, %s.", verb, counted(len(c.parts), "partition", "partitions"), c.plan.Source, c.plan.Target, how))
	if c.options.publish.journal == nil && (c.options.resume != "" || c.options.publish.atLeastOnce) {
		c.pub.progress.line("At least once: a run that is killed, or a retry with --at-least-once, may store events twice. --journal stores each once.")
	}
	for _, p := range c.parts {
		if n := p.dropped(); n > 0 {
			c.pub.progress.line(fmt.Sprintf("Partition %s: the source has dropped %s from sequence number %d on before this copy came to them.", p.id, counted(int(n), "event", "events"), p.last+1))
		}
	}
	if !c.options.follow && c.options.until.end {
		for _, p := range c.parts {
			c.pub.progress.total += int(c.expected(p))
		}
	}
	if s := c.pub.producer.Journal(); s != nil && c.pub.progress.total > 0 {
		c.pub.progress.total += s.Recovered
	}
}

// dropped returns how many sequence numbers after the place the source no longer has.
func (p *copiedPartition) dropped() int64 {
	next := p.start.extent.BeginningSequenceNumber
	if p.start.extent.IsEmpty {
		next = p.start.extent.LastEnqueuedSequenceNumber + 1
	}
	if p.last < 0 {
		return 0 // the place is not known as a number
	}
	return max(next-p.last-1, 0)
}

// expected returns how many events the partition has for this run; 0 if that is not known.
func (c *copying) expected(p *copiedPartition) int64 {
	extent := p.start.extent
	from, err := parsePosition("", c.plan.Partitions[p.number].Since, time.Time{})
	if err != nil || p.start.beyond || from.sequence == nil && p.before < 0 {
		return 0
	}
	first := extent.BeginningSequenceNumber
	if from.sequence != nil {
		first = max(first, *from.sequence)
	}
	return max(extent.LastEnqueuedSequenceNumber+1-max(first, p.before+1), 0)
}

// run copies until the end of each partition, or until ctx ends.
func (c *copying) run(ctx context.Context) error {
	sending := ctx
	if c.options.follow {
		// An interrupt ends the reading only. The buffered events then have --grace.
		var cancel context.CancelFunc
		sending, cancel = context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(ctx, func() { time.AfterFunc(c.options.publish.grace, cancel) })()
	}
	feed := func(context.Context) error {
		err := c.feed(ctx, sending)
		c.complete = err == nil
		return err
	}
	err := c.pub.deliver(sending, feed, func() string { return "" })
	return errors.Join(err, c.keeper.Load().close())
}

// event makes the copy of an event, without the properties of --source-properties.
func (c *copying) event(p *copiedPartition, from *consumer.Event) (*eventhubs.Event, error) {
	if c.tooLarge(&from.Message, len(from.Encoded)) {
		return nil, fmt.Errorf("it has %d bytes, and the target takes at most %d", len(from.Encoded), c.largest)
	}
	e, err := eventOf(&from.Message)
	if err != nil {
		return nil, err
	}
	if c.plan.By == routeKey {
		if e.PartitionKey = keyOfMessage(&from.Message); e.PartitionKey == "" {
			e.PartitionID = p.into
		}
	} else {
		e.PartitionID = p.into
	}
	return e, nil
}

// tooLarge reports whether an event is too large for the target. It encodes only an event that is
// near the limit.
func (c *copying) tooLarge(m *amqp.Message, bytes int) bool {
	if bytes <= c.largest-envelopeBytes {
		return false
	}
	own := *m
	own.Annotations = slices.DeleteFunc(slices.Clone(m.Annotations), func(p amqp.Pair) bool { return isLeft(p.Key) })
	encoded, err := own.AppendTo(nil)
	return err == nil && len(encoded) > c.largest
}

// group returns the group of an event that goes to a partition of the target.
func (c *copying) group(m *amqp.Message, partition string) group {
	if c.plan.By == routeKey {
		if key := keyOfMessage(m); key != "" {
			return group{key: key}
		}
	}
	return group{partition: partition}
}
