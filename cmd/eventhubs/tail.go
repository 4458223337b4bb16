package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs"
)

const tailHelp = `Prints the events of a hub as they come, read with the official SDK's consumer: one line for each.

Usage:
  eventhubs tail [options]

Options:
  --from POSITION           where to start in each partition (default latest):
                              start          the oldest event there is
                              latest         the first event that comes after the line "Reading …"
                              offset:N       the event with this offset
                              sequence:N     the event with this sequence number
                              time:RFC3339   the first event stored at this time or later
                            All are inclusive. Offsets and sequence numbers belong to one partition each;
                            a partition that does not reach that far is read from its end
  --partition ID            this partition only (default: all)
  --group NAME              consumer group (default $Default)
  --count N                 end after N events (default: go on until interrupted)
  --output text|json        text (default): partition, sequence number, time, key or -, body or -, with tabs
                            between; what is not printable, and all of a body that is not UTF-8, is escaped
                            as in Go. json: one object an event, see below
` + clientHelp + `
An object has, in this order: partition (text), sequenceNumber (number), offset (text), enqueuedTime (RFC 3339,
UTC), key (text, or null), properties (object, maybe empty), contentType (text, if there is one), and one of
  body          text, byte for byte, if the body is valid UTF-8. JSON in it stays text: jq '.body | fromjson'
  bodyBase64    any other body
  bodyValue     a body that is no data but an AMQP value or sequence, as some clients can send
or none of these for an event without a body, or with a null one, such as a tombstone of a compacted hub
Times among the properties are text in RFC 3339, bytes are text in base64.
"eventhubs publish --format events" takes such objects, if they have body or bodyBase64.

Events come in the order of each partition; partitions are read at the same time, in no order between
them. Standard error has one line when reading begins, and errors.

Exit status: 0 after --count events, or an interrupt without --count; 1 failed, or interrupted before
--count events; 2 wrong command line, or no such hub, partition or group.

Examples:
  EVENTHUBS_CONNECTION_STRING='Endpoint=sb://…' eventhubs tail --hub orders --from start
  eventhubs tail --from start --count 100 --output json | jq -r .body
  eventhubs tail --partition 3 --from sequence:41 --count 1
  eventhubs tail --from time:2026-01-31T12:00:00Z --group audit
`

func runTail(ctx context.Context, p *process, args []string) error {
	opts, err := parseTail(p, args)
	if err != nil {
		return err
	}
	t := &tail{process: p, options: opts}
	err = t.run(ctx)
	switch {
	case ctx.Err() == nil:
		return err
	case t.printed < opts.count:
		return fmt.Errorf("interrupted after %d of %d events", t.printed, opts.count)
	default:
		return nil
	}
}

// A tail is one run of the command.
type tail struct {
	// Immutable.
	process *process
	options *tailOptions

	// Owned by run's goroutine.
	printed int // events
}

// An arrival is an event of a partition, or why there are no more.
type arrival struct {
	partition string
	event     *azeventhubs.ReceivedEventData
	err       error
}

// run prints events until there were enough, or ctx ends, or reading fails.
func (t *tail) run(ctx context.Context) error {
	starts, err := t.starts(ctx)
	if err != nil {
		return err
	}
	consumer, err := t.options.newConsumer(t.options.group)
	if err != nil {
		return badInput("%w", err)
	}
	defer func() {
		ctx, cancel := closing(ctx)
		defer cancel()
		consumer.Close(ctx)
	}()
	fmt.Fprintf(t.process.stderr, "Reading %s from %s.\n", describePartitions(starts), t.options.from.text)

	ctx, cancel := context.WithCancel(ctx)
	arrivals := make(chan arrival)
	var readers sync.WaitGroup
	for _, s := range starts {
		// Each ends with ctx, or when it cannot go on; run waits for them before it closes the consumer.
		readers.Go(func() { follow(ctx, consumer, s, arrivals) })
	}
	err = t.print(ctx, arrivals)
	cancel()
	readers.Wait()
	return err
}

// starts finds out about the partitions, and where reading starts in each. Asking before anything is read means that
// "latest" is the same moment for what the user is told and for what is read.
func (t *tail) starts(ctx context.Context) ([]start, error) {
	ids, err := t.partitions(ctx)
	if err != nil {
		return nil, err
	}
	extents, err := partitionExtents(ctx, &t.options.clientOptions, ids...)
	if err != nil {
		return nil, fmt.Errorf("asking for the partitions: %w", err)
	}
	starts := make([]start, len(extents))
	for i, extent := range extents {
		starts[i] = start{extent.PartitionID, t.options.from.in(extent)}
	}
	return starts, nil
}

// partitions are the ids of the partitions to read. It asks with a producer, whose errors are those of publish.
func (t *tail) partitions(ctx context.Context) (ids []string, err error) {
	producer, err := t.options.newProducer(&eventhubs.Options{Connection: eventhubs.ConnectionOptions{ApplicationID: "eventhubs-tail"}})
	if err != nil {
		return nil, err
	}
	properties, err := hubProperties(ctx, producer)
	closingCtx, cancel := closing(ctx)
	defer cancel()
	if err := errors.Join(err, producer.Close(closingCtx)); err != nil {
		return nil, err
	}
	id := t.options.partition
	if id == "" {
		return properties.PartitionIDs, nil
	}
	if !slices.Contains(properties.PartitionIDs, id) {
		return nil, noPartition(producer.EventHubName(), id, properties.PartitionIDs)
	}
	return []string{id}, nil
}

// print prints what arrives.
func (t *tail) print(ctx context.Context, arrivals <-chan arrival) error {
	out := newEventPrinter(t.process.stdout, t.options.json)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-arrivals:
			if a.err != nil {
				return t.failure(a)
			}
			if err := out.print(a.partition, a.event); err != nil {
				return err
			}
			if t.printed++; t.printed == t.options.count {
				return nil
			}
		}
	}
}

// failure is why a partition cannot be read any more.
func (t *tail) failure(a arrival) error {
	if e, ok := errors.AsType[*amqp.Error](a.err); ok && e.Condition == amqp.ErrCondNotFound { // The hub and the partition are there.
		return badInput("there is no consumer group %q: %s", t.options.group, e.Description)
	}
	return fmt.Errorf("partition %s: %w", a.partition, a.err)
}

// follow hands on what comes in a partition until ctx ends or an error does not go away.
func follow(ctx context.Context, consumer *azeventhubs.ConsumerClient, s start, arrivals chan<- arrival) {
	hand := func(a arrival) bool {
		a.partition = s.partition
		select {
		case arrivals <- a:
			return true
		case <-ctx.Done():
			return false
		}
	}
	partition, err := consumer.NewPartitionClient(s.partition, &azeventhubs.PartitionClientOptions{StartPosition: s.position})
	if err != nil {
		hand(arrival{err: err})
		return
	}
	defer func() {
		ctx, cancel := closing(ctx)
		defer cancel()
		partition.Close(ctx)
	}()
	for {
		// The SDK waits until it has as many as asked for, so more than one would keep back the first. It fetches
		// ahead nevertheless, and tries again by itself what may go well the next time.
		events, err := partition.ReceiveEvents(ctx, 1, nil)
		if err != nil {
			hand(arrival{err: err})
			return
		}
		for _, e := range events {
			if !hand(arrival{event: e}) {
				return
			}
		}
	}
}

func describePartitions(starts []start) string {
	if len(starts) == 1 {
		return "partition " + starts[0].partition
	}
	return fmt.Sprintf("%d partitions", len(starts))
}
