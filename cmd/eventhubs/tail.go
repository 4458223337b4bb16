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

const tailHelp = `Prints the events of a hub as they come, one line for each. It reads with the official SDK's consumer.

Usage:
  eventhubs tail [options]

Options:
  --from POSITION           where to start in each partition (default latest):
                              start          the oldest event
                              latest         the first event that comes after the line "Reading …"
                              offset:N       the event with this offset
                              sequence:N     the event with this sequence number
                              time:RFC3339   the first event stored at this time or later
                            All are inclusive. Offsets and sequence numbers belong to one partition.
                            A partition that does not reach that far is read from its end
  --partition ID            this partition only (default: all)
  --group NAME              consumer group (default $Default)
  --count N                 end after N events (default: go on until interrupted)
  --output text|json        text (default): partition, sequence number, time, key or -, body or - and,
                            if there are any, message-id, correlation-id and annotations, with tabs
                            between them. Unprintable text and bodies that are not UTF-8 are escaped
                            as in Go. json: one object for each event, see below
` + clientHelp + `
An object always has partition (text), sequenceNumber (number), offset (text), enqueuedTime (RFC 3339,
UTC), key (text or null) and properties (object, may be empty). If there are any, it has messageId,
correlationId, contentType, contentEncoding, subject, to, replyTo, userId (base64), creationTime,
absoluteExpiryTime, groupId, groupSequence, replyToGroupId and annotations (every other one, such as
IoT Hub's iothub-connection-device-id). It has one of
  body          text, byte for byte, if the body is valid UTF-8. JSON in it stays text: jq '.body | fromjson'
  bodyBase64    any other body of bytes; bodyLengths has the lengths of its sections if there are several
  bodyValue     a body that is an AMQP value or a list of sequences. null stands for a null value and
                for no body, such as a tombstone of a compacted hub
The field types names the types that JSON does not have, as in "types":{"properties":{"n":"int"}}. Without
a name, text is a string, a whole number is a long, and any other number is a double. Names are ubyte,
ushort, uint, ulong, byte, short, int, float, char, symbol; timestamp (RFC 3339, or milliseconds since 1970
outside of years 0 to 9999), uuid, binary (base64), decimal32, decimal64 and decimal128 (their bits in
hexadecimal); described ({"descriptor": …, "value": …}), list, map and array ({"of": TYPE, "values": […]}).
Inside these, a value with a named type is {"uint": 7}.
"eventhubs publish --format events" makes the same events of these objects. It leaves out the fields of one
hub (such as partition and offset), the header, the delivery annotations and the footer.

The SDK cannot decode decimals and characters, and stops at an event that has one. tail names the event and
reads on without the SDK. It names and skips messages that are not valid AMQP.

Events come in the order of each partition. There is no order between partitions, which are read at the
same time. Standard error has a line when reading begins, and errors.

If a partition cannot be read for a minute, tail names it and goes on with the others. Its status is then 1.

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
	hub     string // the hub's name
	printed int    // events
	failed  error  // the error of the first partition that cannot be read any more
}

// An arrival is an event of a partition, a note about it, or the error that ended it.
type arrival struct {
	partition string
	event     *azeventhubs.ReceivedEventData
	note      string
	err       error
}

// run prints events until --count is reached, ctx ends, or no partition can be read any more.
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
		// Each goroutine ends with ctx, or when it cannot go on. run waits for them before it
		// closes the consumer.
		readers.Go(func() { t.follow(ctx, consumer, s, arrivals) })
	}
	err = t.print(ctx, arrivals, len(starts))
	cancel()
	readers.Wait()
	return err
}

// starts asks for the partitions, and decides where reading starts in each. It asks before reading
// begins, so that "latest" is the moment that the user sees.
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

// partitions returns the ids of the partitions to read. It asks with a producer, so its errors are
// those of publish.
func (t *tail) partitions(ctx context.Context) (ids []string, err error) {
	producer, err := t.options.newProducer(&eventhubs.Options{Connection: eventhubs.ConnectionOptions{ApplicationID: "eventhubs-tail"}})
	if err != nil {
		return nil, err
	}
	t.hub = producer.EventHubName()
	properties, err := hubProperties(ctx, producer, lookTimeout)
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

// print prints the arrivals of so many partitions. A partition that cannot be read any more does
// not stop the others.
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
					t.process.tell("Reading goes on without this partition: " + t.process.message(err))
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

// failure explains why a partition cannot be read any more.
func (t *tail) failure(a arrival) error {
	// The hub and the partition exist, so the group is missing.
	if condition, description := saidByService(a.err); condition == "amqp:not-found" {
		return badInput("there is no consumer group %q: %s", t.options.group, description)
	}
	return fmt.Errorf("partition %s: %w", a.partition, a.err)
}

// follow passes on the events of a partition until ctx ends, or an error lasts.
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
