package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
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
  --output text|json        text (default): partition, sequence number, time, key or -, body or - and, if there
                            are any, message-id, correlation-id and annotations, with tabs between; what is
                            not printable, and all of a body that is not UTF-8, is escaped as in Go.
                            json: one object an event, see below
` + clientHelp + `
An object has partition (text), sequenceNumber (number), offset (text), enqueuedTime (RFC 3339, UTC), key (text, or
null), properties (object, maybe empty) and, where there are any, messageId, correlationId, contentType,
contentEncoding, subject, to, replyTo, userId (base64), creationTime, absoluteExpiryTime, groupId, groupSequence,
replyToGroupId and annotations: what else came with it, as IoT Hub's iothub-connection-device-id. It has one of
  body          text, byte for byte, if the body is valid UTF-8. JSON in it stays text: jq '.body | fromjson'
  bodyBase64    any other body; bodyLengths has the lengths of its sections if there is more than one
  bodyValue     a body that is no data but an AMQP value, or a list of sequences; null for a null one, or
                none, such as a tombstone of a compacted hub
and types, which names the types that JSON does not tell, as in "types":{"properties":{"n":"int"}}. Without a
name text is a string, a whole number a long, any other number a double. Names are ubyte, ushort, uint, ulong,
byte, short, int, float, char, symbol; timestamp (RFC 3339, or milliseconds since 1970 outside of years 0 to
9999), uuid, binary (base64), decimal32, decimal64 and decimal128 (their bits in hexadecimal); described
({"descriptor": …, "value": …}), list, map and array ({"of": TYPE, "values": […]}). Within these a value with
a name is {"uint": 7}.
"eventhubs publish --format events" takes such objects, and makes the same events of them, but for what is of one
hub (partition, offset and the like), header, delivery annotations and footer.

The SDK's codec does not know decimals and characters, and ends at such an event. tail says which it was, and goes
on there by itself. What is no AMQP at all is said and left out.

Events come in the order of each partition; partitions are read at the same time, in no order between
them. Standard error has one line when reading begins, and errors.

A partition that cannot be read for a minute is named; the others are read on, and the status is 1 in the end.

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
		return errors.Join(fmt.Errorf("interrupted after %d of %d events", t.printed, opts.count), t.failed)
	default:
		return t.failed
	}
}

// A tail is one run of the command.
type tail struct {
	// Immutable.
	process *process
	options *tailOptions

	// Owned by run's goroutine.
	hub     string // its name
	printed int    // events
	failed  error  // of the first partition that cannot be read any more
}

// An arrival is an event of a partition, or something to say of it, or why there are no more.
type arrival struct {
	partition string
	event     *azeventhubs.ReceivedEventData
	note      string
	err       error
}

// run prints events until there were enough, or ctx ends, or no partition can be read any more.
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
		readers.Go(func() { t.follow(ctx, consumer, s, arrivals) })
	}
	err = t.print(ctx, arrivals, len(starts))
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
	t.hub = producer.EventHubName()
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

// print prints what arrives from so many partitions. One that cannot be read any more leaves the others alone.
func (t *tail) print(ctx context.Context, arrivals <-chan arrival, partitions int) error {
	out := newEventPrinter(t.process.stdout, t.options.json)
	for partitions > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-arrivals:
			switch {
			case a.err != nil:
				err := t.failure(a)
				if _, wrong := errors.AsType[*inputError](err); wrong {
					return err
				}
				if partitions--; partitions > 0 {
					t.process.tell("It is read no more, and the others are: " + t.process.message(err))
				}
				if t.failed == nil {
					t.failed = err
				}
				continue
			case a.note != "":
				t.process.tell(a.note)
				continue
			}
			if err := out.print(a.partition, a.event); err != nil {
				return err
			}
			if t.printed++; t.printed == t.options.count {
				return t.failed
			}
		}
	}
	return t.failed
}

// failure is why a partition cannot be read any more.
func (t *tail) failure(a arrival) error {
	if condition, description := saidByService(a.err); condition == "amqp:not-found" { // The hub and the partition are there.
		return badInput("there is no consumer group %q: %s", t.options.group, description)
	}
	return fmt.Errorf("partition %s: %w", a.partition, a.err)
}

// follow hands on what comes in a partition until ctx ends or an error does not go away.
func (t *tail) follow(ctx context.Context, consumer *azeventhubs.ConsumerClient, s start, arrivals chan<- arrival) {
	hand := func(a arrival) bool {
		a.partition = s.partition
		select {
		case arrivals <- a:
			return true
		case <-ctx.Done():
			return false
		}
	}
	reader := newPartitionReader(&t.options.clientOptions, consumer, t.hub, t.options.group, s, func(text string) { hand(arrival{note: text}) })
	defer reader.close(ctx)
	for {
		event, err := reader.next(ctx)
		if !hand(arrival{event: event, err: err}) || err != nil {
			return
		}
	}
}

func describePartitions(starts []start) string {
	if len(starts) == 1 {
		return "partition " + starts[0].partition
	}
	return fmt.Sprintf("%d partitions", len(starts))
}
