package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

const (
	// readPatience is how long the reader keeps trying a partition that cannot be read.
	readPatience = time.Minute

	// readPause is the pause between two tries.
	readPause = time.Second
)

// readRetries make the SDK report soon that it cannot read. A partitionReader then decides whether
// to try again.
var readRetries = azeventhubs.RetryOptions{MaxRetries: 1, RetryDelay: readPause / 4}

// A partitionReader reads a partition with the SDK's consumer, and without it where the SDK cannot
// decode an event. The SDK's codec (go-amqp v1.7.0) lacks some of AMQP's types: Python, Java and
// .NET send decimals, Java and .NET characters. At such an event the SDK ends the link, and does
// not say which event it was.
type partitionReader struct {
	// Immutable.
	options  *clientOptions
	consumer *azeventhubs.ConsumerClient
	source   connection.Source // without the selector
	tell     func(text string) // writes a line to the user, on the reading goroutine

	// Owned by the reading goroutine.
	position azeventhubs.StartPosition    // the next event to read
	client   *azeventhubs.PartitionClient // nil while there is none
	own      *connection.Reader           // set while it reads without the SDK
	idle     bool                         // own has read no event yet
	// The time of the first failed try in a row; zero if the last succeeded.
	failing time.Time
}

// newPartitionReader makes a reader. It does not touch the network.
func newPartitionReader(options *clientOptions, consumer *azeventhubs.ConsumerClient, hub, group string, from start, tell func(string)) *partitionReader {
	return &partitionReader{
		options: options, consumer: consumer, tell: tell,
		source:   connection.Source{Hub: hub, ConsumerGroup: group, PartitionID: from.partition},
		position: from.position,
	}
}

// next waits for the next event. After an error there are no more events.
func (r *partitionReader) next(ctx context.Context) (*azeventhubs.ReceivedEventData, error) {
	for {
		var e *azeventhubs.ReceivedEventData
		var err error
		if r.own != nil {
			e, err = r.byItself(ctx)
		} else {
			e, err = r.bySDK(ctx)
		}
		switch {
		case err == nil && e != nil:
			r.position, r.failing = after(e), time.Time{}
			return e, nil
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, err
		}
	}
}

// bySDK reads with the SDK. It returns nil and no error if next should go on.
func (r *partitionReader) bySDK(ctx context.Context) (*azeventhubs.ReceivedEventData, error) {
	if r.client == nil {
		var err error
		if r.client, err = r.consumer.NewPartitionClient(r.source.PartitionID, &azeventhubs.PartitionClientOptions{StartPosition: r.position}); err != nil {
			return nil, err
		}
	}
	// The SDK waits until it has as many events as asked for, so asking for more would delay the
	// first. It prefetches nevertheless.
	events, err := r.client.ReceiveEvents(ctx, 1, nil)
	switch {
	case err == nil && len(events) > 0:
		return events[0], nil
	case err == nil, ctx.Err() != nil:
		return nil, err
	case isLost(err):
		return nil, r.takeOver(ctx, err)
	case isBusy(err) && r.patient():
		return nil, pauseFor(ctx, readPause)
	}
	return nil, err
}

// isLost reports whether the SDK has lost its link. Its error says no more (it unwraps to nothing),
// even if the SDK ended the link itself at an event that it cannot decode.
func isLost(err error) bool {
	e, ok := errors.AsType[*azeventhubs.Error](err)
	return ok && e.Code == azeventhubs.ErrorCodeConnectionLost
}

// isBusy reports whether the service asks to try again later.
func isBusy(err error) bool {
	condition, _ := saidByService(err)
	return condition == "com.microsoft:server-busy" || condition == "com.microsoft:timeout" || condition == "com.microsoft:operation-cancelled"
}

// patient reports whether to try again.
func (r *partitionReader) patient() bool {
	if r.failing.IsZero() {
		r.failing = time.Now()
	}
	return time.Since(r.failing) < readPatience
}

func pauseFor(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeOver begins to read without the SDK, which failed with cause. If the service cannot be
// reached, the next try begins with the SDK again.
func (r *partitionReader) takeOver(ctx context.Context, cause error) error {
	r.closeClient(ctx)
	source := r.source
	source.Selector = selector(r.position)
	opening, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var err error
	if r.own, err = connection.OpenReader(opening, r.options.connection(), source); err == nil {
		r.idle = true
		return nil
	}
	e, ok := errors.AsType[*connection.Error](err)
	if refused := ok && e.Condition != "" && !e.Transient; !refused && r.patient() {
		return pauseFor(ctx, readPause)
	}
	return fmt.Errorf("after %s: %w; and the SDK: %w", describePosition(r.position), err, cause)
}

// byItself reads without the SDK. It returns nil and no error when the SDK should go on: the SDK
// can read the first event, or the connection has ended. The connection ends with its token at the
// latest.
func (r *partitionReader) byItself(ctx context.Context) (*azeventhubs.ReceivedEventData, error) {
	encoded, err := r.own.Next(ctx)
	if err != nil {
		return nil, r.handBack(ctx, r.idle, err)
	}
	e, err := decodeReceived(encoded)
	if r.idle {
		unread := messageUnknownToSDK(encoded)
		switch {
		case unread == nil && err == nil: // the SDK did not fail because of this event
			r.closeOwn()
			return e, nil
		case unread == nil:
			return nil, r.handBack(ctx, true, err)
		}
		r.idle = false
		r.tell(fmt.Sprintf("Partition %s: the SDK cannot read %s: %v. This program reads on without the SDK.", r.source.PartitionID, nameOf(encoded, r.position), unread))
	}
	if err == nil {
		return e, nil
	}
	r.tell(fmt.Sprintf("Partition %s: %s is not a valid AMQP message and is left out: %v", r.source.PartitionID, nameOf(encoded, r.position), err))
	if e != nil {
		r.position = after(e)
	}
	return nil, nil
}

// handBack lets the SDK go on, after a pause if no event was read. It returns the cause if that has
// lasted for readPatience.
func (r *partitionReader) handBack(ctx context.Context, inVain bool, cause error) error {
	r.closeOwn()
	switch {
	case !inVain:
		return nil
	case r.patient():
		return pauseFor(ctx, readPause)
	}
	return fmt.Errorf("behind %s: %w", describePosition(r.position), cause)
}

// nameOf describes the event that was read from a position.
func nameOf(encoded []byte, from azeventhubs.StartPosition) string {
	if e := placeOf(encoded); e != nil {
		return fmt.Sprintf("the event with sequence number %d (offset %s)", e.SequenceNumber, e.Offset)
	}
	return "an event after " + describePosition(from)
}

// after returns the position after an event.
func after(e *azeventhubs.ReceivedEventData) azeventhubs.StartPosition {
	return azeventhubs.StartPosition{SequenceNumber: &e.SequenceNumber}
}

// close closes the links.
func (r *partitionReader) close(ctx context.Context) {
	r.closeClient(ctx)
	if r.own != nil {
		r.closeOwn()
	}
}

func (r *partitionReader) closeOwn() {
	r.own.Close()
	r.own = nil
}

func (r *partitionReader) closeClient(ctx context.Context) {
	if r.client == nil {
		return
	}
	ctx, cancel := closing(ctx)
	defer cancel()
	r.client.Close(ctx)
	r.client = nil
}

// selector returns a position as the service's filter, in the SDK's form.
func selector(from azeventhubs.StartPosition) string {
	operator := ">"
	if from.Inclusive {
		operator = ">="
	}
	name, value := "x-opt-offset", "@latest"
	switch {
	case from.SequenceNumber != nil:
		name, value = "x-opt-sequence-number", strconv.FormatInt(*from.SequenceNumber, 10)
	case from.Offset != nil:
		value = *from.Offset
	case from.EnqueuedTime != nil:
		name, value = "x-opt-enqueued-time", strconv.FormatInt(from.EnqueuedTime.UnixMilli(), 10)
	case from.Earliest != nil && *from.Earliest:
		value = "-1"
	}
	return "amqp.annotation." + name + " " + operator + " '" + value + "'"
}

// describePosition names the place after which a position lies.
func describePosition(from azeventhubs.StartPosition) string {
	switch {
	case from.SequenceNumber != nil && from.Inclusive:
		return fmt.Sprintf("sequence number %d", *from.SequenceNumber-1)
	case from.SequenceNumber != nil:
		return fmt.Sprintf("sequence number %d", *from.SequenceNumber)
	case from.Offset != nil:
		return "offset " + *from.Offset
	case from.EnqueuedTime != nil:
		return from.EnqueuedTime.UTC().Format(time.RFC3339Nano)
	}
	return "the start"
}
