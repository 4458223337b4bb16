package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
)

const tailHelp = `Prints the events of a hub as they come, one line for each.

Usage:
  eventhubs tail [options]

Which events:
  --from POSITION           where to start in each partition (default latest):
                              start          the oldest event
                              latest         the first event that comes after the line "Reading …"
                              offset:N       the event with this offset
                              sequence:N     the event with this sequence number
                              TIME           the first event stored at this time or later
                            All are inclusive. Offsets and sequence numbers belong to one partition.
                            A partition that does not reach that far is read from its end.
                            TIME is RFC 3339, such as 2026-01-31T12:00:00Z, or a time before now, such
                            as -15m or -2d12h. time:TIME means the same
  -n N                      start at the N newest events of each partition
  --until end|TIME          end at the last event that each partition has when reading begins, or
                            before the first event stored at this time or later. A TIME to come, such
                            as 1h, is of this machine's clock (default: go on until interrupted)
  --count N                 end after N events
  --partition ID,…          these partitions only (default: all)
  --group NAME              consumer group (default $Default)
  --key KEY                 only events with this partition key
  --filter CONDITION        only events that meet it, see below. May be repeated: all must be met
  --on-unreadable skip|stop
                            at an event that is not valid AMQP: skip (default) names it and leaves it
                            out; stop ends its partition there

What is printed:
  --output text|json|pretty
                            text (default): partition, sequence number, time, key or -, body or - and,
                            if there are any, message-id, correlation-id and annotations, with tabs
                            between them. Unprintable text and bodies that are not UTF-8 are escaped
                            as in Go. json: one object for each event, see below. pretty: the same over
                            several lines, for people; a body that is JSON is shown as JSON. On a
                            terminal json is pretty
  --format TEMPLATE         a Go template for each event, see below

Where from:
` + clientHelp + `
A condition is PATH, which means that the field exists, or PATH OPERATOR VALUE. Operators are = != < <=
> >=, and ~ and !~ for regular expressions. Two numbers compare as numbers, all else as text. The path is
a field of the JSON output: properties.NAME, annotations.NAME, key, messageId, correlationId, contentType,
contentEncoding, subject, partition, sequenceNumber, offset, enqueuedTime; body; or body.NAME.NAME for a
field in a body that is JSON, where a number is a place in a list. For more, pipe the JSON through jq.

A template has the fields .Partition .SequenceNumber .Offset .EnqueuedTime .Key .MessageID .CorrelationID
.ContentType .ContentEncoding .Subject .Properties .Annotations .Body, and .JSON, the decoded body. \t and \n
are a tab and a line's end. Functions: json, indent (JSON over several lines), rfc (a time), safe (escapes).
On a terminal, control characters in the result are escaped.

An object always has partition (text), sequenceNumber (number), offset (text), enqueuedTime (RFC 3339,
UTC), key (text or null) and properties (object, may be empty). If there are any, it has messageId,
correlationId, contentType, contentEncoding, subject, to, replyTo, userId (base64), creationTime,
absoluteExpiryTime, groupId, groupSequence, replyToGroupId and annotations (every other one, such as
IoT Hub's iothub-connection-device-id). It may have header (durable, priority, ttl in milliseconds,
firstAcquirer and deliveryCount, each if it is not AMQP's default), deliveryAnnotations and footer. It has
one of
  body          text, byte for byte, if the body is valid UTF-8. JSON in it stays text: jq '.body | fromjson'
  bodyBase64    any other body of bytes; bodyLengths has the lengths of its sections if there are several
  bodyValue     a body that is an AMQP value or a list of sequences. null stands for a null value and
                for no body, such as a tombstone of a compacted hub
The field types names the types that JSON does not have, as in "types":{"properties":{"n":"int"}}. Without
a name, text is a string, a whole number is a long, and any other number is a double. Names are ubyte,
ushort, uint, ulong, byte, short, int, float, char, symbol; timestamp (RFC 3339, or milliseconds since 1970
outside of years 0 to 9999), uuid, binary (base64), decimal32, decimal64 and decimal128 (their bits in
hexadecimal); described ({"descriptor": …, "value": …}), list, map and array ({"of": TYPE, "values": […]}).
.NET describes three more: timespan ("1m30.5s"), datetimeOffset (RFC 3339, UTC) and uri.
Inside these, a value with a named type is {"uint": 7}.
"eventhubs publish --format events" makes the same events of these objects. It leaves out the fields of one
hub (such as partition and offset). It says of how many events it leaves out delivery annotations.

Events come in the order of each partition. There is no order between partitions, which are read at the
same time. Standard error has a line when reading begins, and errors.

If a partition cannot be read for a minute, tail names it and goes on with the others. Its status is then 1.
Partitions that the hub gets after the line "Reading …" are not read: begin again then.

Exit status: 0 after --count events or at --until, or an interrupt without these; 1 failed, or interrupted
before; 2 wrong command line, or no such hub, partition or group.

Examples:
  EVENTHUBS_CONNECTION_STRING='Endpoint=sb://…' eventhubs tail --hub orders --from start
  eventhubs tail -n 10
  eventhubs tail --from -15m --until end --output json | jq -r .body
  eventhubs tail --filter properties.source=shop --filter 'body.total>=100'
  eventhubs tail --filter annotations.iothub-connection-device-id=device-7 --format '{{rfc .EnqueuedTime}}\t{{.Body}}'
  eventhubs tail --partition 3 --from sequence:41 --count 1 --output pretty
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
	case opts.until.given() && t.reading > 0:
		return errors.Join(fmt.Errorf("interrupted before the end; %s", counted(t.printed, "event was printed", "events were printed")), t.failed)
	default:
		return t.failed
	}
}

// A tail is one run of the command.
type tail struct {
	// Immutable.
	process *process
	options *tailOptions
	conn    *connection.Conn

	// Owned by run's goroutine.
	reading int   // partitions
	printed int   // events
	failed  error // the error of the first partition that cannot be read any more
}

// A start is where reading starts in one partition.
type start struct {
	extent connection.PartitionProperties
	at     consumer.Position
	beyond bool // the partition has no event there yet
}

// An arrival is text to print, a note, or the end of a partition.
type arrival struct {
	partition string
	text      []byte // of events; valid until the partition's next arrival is taken
	ends      []int  // where each event ends in text
	note      string
	over      bool  // no more is read
	err       error // with over: why, if not for --until
}

// run prints events until --count is reached, ctx ends, or no partition is read any more.
func (t *tail) run(ctx context.Context) error {
	t.conn = t.options.connect("eventhubs-tail")
	defer func() {
		ctx, cancel := closing(ctx)
		defer cancel()
		_ = t.conn.Close(ctx) // nothing can be lost here
	}()
	starts, err := t.starts(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.process.stderr, "Reading %s from %s.\n", describePartitions(starts), t.options.from.text)

	ctx, cancel := context.WithCancel(ctx)
	arrivals := make(chan arrival)
	var readers sync.WaitGroup
	for _, s := range starts {
		// Each goroutine ends with ctx, or when it cannot go on. run waits for them before it
		// closes the connection.
		readers.Go(func() { t.follow(ctx, s, arrivals) })
	}
	t.reading = len(starts)
	err = t.print(ctx, arrivals)
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
	extents, err := partitionExtents(ctx, t.conn, t.options.hub, ids)
	if err != nil {
		return nil, fmt.Errorf("asking for the partitions: %w", err)
	}
	starts := make([]start, len(extents))
	for i, extent := range extents {
		at, beyond := t.options.from.in(extent)
		starts[i] = start{extent, at, beyond}
	}
	return starts, nil
}

// partitions returns the ids of the partitions to read.
func (t *tail) partitions(ctx context.Context) ([]string, error) {
	all, err := partitionIDs(ctx, t.conn, t.options.hub)
	if err != nil || len(t.options.partitions) == 0 {
		return all, err
	}
	for _, id := range t.options.partitions {
		if !slices.Contains(all, id) {
			return nil, noPartition(t.options.hub, id, all)
		}
	}
	return t.options.partitions, nil
}

// print prints the arrivals. A partition that cannot be read any more does not stop the others.
func (t *tail) print(ctx context.Context, arrivals <-chan arrival) error {
	for t.reading > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-arrivals:
			switch {
			case a.over && a.err == nil:
				t.reading--
			case a.over:
				err := t.failure(a)
				if _, wrong := errors.AsType[*inputError](err); wrong {
					return err
				}
				if t.reading--; t.reading > 0 {
					t.process.tell("Reading goes on without this partition: " + t.process.message(err))
				}
				if t.failed == nil {
					t.failed = err
				}
			case a.note != "":
				t.process.tell(a.note)
			default:
				if enough, err := t.write(a); enough || err != nil {
					return cmp.Or(err, t.failed)
				}
			}
		}
	}
	return t.failed
}

// write writes the text of events, up to --count. It reports whether that is reached.
func (t *tail) write(a arrival) (enough bool, err error) {
	n := len(a.ends)
	if left := t.options.count - t.printed; t.options.count > 0 && n >= left {
		n, enough = left, true
	}
	_, err = t.process.stdout.Write(a.text[:a.ends[n-1]])
	t.printed += n
	return enough, err
}

// failure explains why a partition cannot be read any more.
func (t *tail) failure(a arrival) error {
	return explainReading(t.options.group, a.partition, a.err)
}

// explainReading explains why a partition cannot be read.
func explainReading(group, partition string, err error) error {
	// The hub and the partition were there a moment ago, and each hub has the default group.
	if e, ok := errors.AsType[*connection.Error](err); ok && e.Condition == "amqp:not-found" {
		if group == defaultGroup {
			return badInput("the event hub is gone: %w", e)
		}
		return badInput("there is no consumer group %q, or the event hub is gone: %s", group, e.Description)
	}
	return fmt.Errorf("partition %s: %w", partition, err)
}

func describePartitions(starts []start) string {
	if len(starts) == 1 {
		return "partition " + starts[0].extent.PartitionID
	}
	return fmt.Sprintf("%d partitions", len(starts))
}
