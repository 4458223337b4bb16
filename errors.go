package eventhubs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// Errors in the caller's own calls. Each arrives wrapped, with the field and the value in its text:
// match it with errors.Is. Each except [ErrDeliveryTimeout] has a [Code], which matches the same.
var (
	// ErrInvalidArgument is returned by constructors for a bad option. Enqueue returns it for an
	// event that cannot be encoded, or that names both a partition id and a partition key. Nothing
	// was accepted.
	ErrInvalidArgument = newSentinel(CodeInvalidArgument, "invalid argument")

	// ErrClosed is returned by every call that begins after Close did, and by an Enqueue that waits
	// for room when Close begins. It is also the reason of events that Close had no time to send
	// before its context ended.
	ErrClosed = newSentinel(CodeClosed, "the producer is closed")

	// ErrBufferFull is returned where an event cannot wait for room. TryEnqueue returns it. So does
	// Enqueue with a handler's context, once it has used up the room that the handler's batch gave
	// back.
	ErrBufferFull = newSentinel(CodeBufferFull, "the buffer is full")

	// ErrEventTooLarge is returned by Enqueue for an event that the buffer could never hold. It is
	// also the reason of an event that exceeds its link's largest message, or that the service
	// refused alone for its size. The error is an *EventTooLargeError, with the sizes.
	ErrEventTooLarge = newSentinel(CodeTooLarge, "the event is too large")

	// ErrPartitionUnknown is returned by Enqueue for a partition id that the event hub does not
	// have. It is the reason of the event if it was accepted before the hub's partitions were
	// known.
	ErrPartitionUnknown = newSentinel(CodePartitionUnknown, "unknown partition")

	// ErrCleared is the reason of events that Clear or ClearPartition removed from the buffer.
	ErrCleared = newSentinel(CodeCleared, "cleared from the buffer")

	// ErrAbandoned is the reason of events that were not yet in flight when Abandon was called.
	ErrAbandoned = newSentinel(CodeAbandoned, "abandoned: the producer was closed without sending its buffered events")

	// ErrExpired is returned by Enqueue for an event whose ExpiresAt is past. It is also the reason
	// of an event that expired before its first try.
	ErrExpired = newSentinel(CodeExpired, "the event has expired")

	// ErrDeliveryTimeout is the reason of events whose Options.DeliveryTimeout was over, or left no
	// time for another try. It wraps an *Error: the failure of the last try, or one with
	// CodeTimeout if no try had failed.
	ErrDeliveryTimeout = errors.New("not delivered within Options.DeliveryTimeout")

	// ErrPartitionStopped is returned by Enqueue for a partition that
	// Options.StopPartitionOnFailure has stopped. It is also the reason of the events after the
	// failed one. ResumePartition ends it. Enqueue may return it before those events are reported
	// to the handler. To keep refused events in order, call FlushPartition first.
	ErrPartitionStopped = newSentinel(CodePartitionStopped, "the partition is stopped after a failure")

	// ErrProducerStateChanged is what ProducerStore.Save returns when another process has saved in
	// the meantime.
	ErrProducerStateChanged = newSentinel(CodeProducerStateChanged, "the producer's state was changed by another process")

	// ErrPending says that an event has no outcome yet: it may be stored now, or later, or never. A
	// Delivery's Outcome has it until then. Publish and Delivery.Wait return it when their context
	// ends first.
	ErrPending = newSentinel(CodePending, "no outcome yet")

	// ErrKept is the error of a Delivery or a Publish whose event stays in the journal when the
	// producer ends. The next producer with that journal sends it.
	ErrKept = newSentinel(CodeKept, "the event stays in the journal and has no outcome yet")

	// ErrJournal says that the journal takes nothing more: the disk has failed. What was accepted
	// before stays there.
	ErrJournal = newSentinel(CodeJournal, "the journal has failed")

	// ErrInHandler is returned by Flush, FlushPartition, Close, Abandon and Publish when they are
	// called with a handler's context. They would wait for that handler to return.
	ErrInHandler = newSentinel(CodeInHandler, "called with a handler's context: it would wait for that handler")
)

// A Code says in one stable word what went wrong. The words are part of the API; texts are not.
// [CodeOf] returns the code of an error, and errors.Is takes a Code as a target.
type Code string

// The codes of an [Error]: failures outside of the caller's program.
const (
	CodeUnauthorized     = Code(connection.CodeUnauthorized)     // the service refused the token or its rights
	CodeNoToken          = Code(connection.CodeNoToken)          // the credential gave no token
	CodeNotFound         = Code(connection.CodeNotFound)         // the event hub or the host does not exist
	CodePartitionUnknown = Code(connection.CodePartitionUnknown) // the service does not know the partition
	CodeDisabled         = Code(connection.CodeDisabled)         // the event hub is switched off
	CodeThrottled        = Code(connection.CodeThrottled)        // the service is busy and asked to wait
	CodeQuotaExceeded    = Code(connection.CodeQuotaExceeded)    // a limit of the namespace is reached
	CodeTooLarge         = Code(connection.CodeTooLarge)         // the service refused the message's size
	CodeFenced           = Code(connection.CodeFenced)           // another producer with its identity took over
	CodeOutOfOrder       = Code(connection.CodeOutOfOrder)       // the service expects other sequence numbers
	CodeNotSupported     = Code(connection.CodeNotSupported)     // the namespace has no idempotent retries
	CodeProducerStore    = Code("producer-store")                // Options.ProducerStore did not load or save
	CodeConnectionLost   = Code(connection.CodeConnectionLost)   // the connection or link broke, or did not open
	CodeTimeout          = Code(connection.CodeTimeout)          // no answer in time for a try or the delivery
	CodeCanceled         = Code(connection.CodeCanceled)         // the context of the call was cancelled
	CodeRejected         = Code(connection.CodeRejected)         // refused for another reason; see Condition
	CodeReleased         = Code(connection.CodeReleased)         // the service gave the batch back unstored
	CodeInternal         = Code(connection.CodeInternal)         // the service failed, or its answer is invalid
	CodeConnectionClosed = Code(connection.CodeClosed)           // the shared Connection was closed
)

// The codes of sentinels. [ErrEventTooLarge] has [CodeTooLarge], and [ErrPartitionUnknown]
// [CodePartitionUnknown].
const (
	CodeInvalidArgument      = Code("invalid-argument")       // ErrInvalidArgument
	CodeClosed               = Code("closed")                 // ErrClosed
	CodeBufferFull           = Code("buffer-full")            // ErrBufferFull
	CodeCleared              = Code("cleared")                // ErrCleared
	CodeAbandoned            = Code("abandoned")              // ErrAbandoned
	CodeExpired              = Code("expired")                // ErrExpired
	CodePartitionStopped     = Code("partition-stopped")      // ErrPartitionStopped
	CodeProducerStateChanged = Code("producer-state-changed") // ErrProducerStateChanged
	CodePending              = Code("pending")                // ErrPending
	CodeKept                 = Code("kept")                   // ErrKept
	CodeJournal              = Code("journal")                // ErrJournal
	CodeInHandler            = Code("in-handler")             // ErrInHandler
)

// An Error is a failure outside of the caller's program: of the service, the network or the
// credential. With errors.Is it matches its [Code] and the sentinel with the same code. It wraps
// Err, for people and for finding the caller's own errors, for example those of a credential or a
// dialer. Types and texts of this module below an Error are not part of the API.
//
// An error that ends an event or a wait ([ErrClosed], [ErrCleared], [ErrBufferFull] and others)
// wraps the Error that failed before, unless something has succeeded since. That is the failure of
// the event, its partition, the list of partitions or the connection. errors.AsType finds it. Below
// ErrClosed, [ErrAbandoned], ErrCleared and [ErrExpired] it is never Transient.
type Error struct {
	Code        Code
	Condition   string // the AMQP error condition, as in "com.microsoft:server-busy"; empty if the service sent none
	PartitionID string // empty when the failure concerns the whole event hub
	Tries       int    // how often it was tried
	TrackingID  string // the service's own id of the failure, for a support request
	Transient   bool   // trying again, later, may succeed
	Err         error  // the cause; never nil. The errors below it are not part of the API

	// Since is when the first of a series of failures came, of which this is the last. It is zero
	// for a single failure, for example Connect's.
	Since time.Time
}

func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("eventhubs: ")
	if e.PartitionID != "" {
		fmt.Fprintf(&text, "partition %s: ", e.PartitionID)
	}
	switch { // a test's own error may have no cause
	case e.Err != nil:
		text.WriteString(e.Err.Error())
	case e.Code != "":
		text.WriteString(string(e.Code))
	default:
		text.WriteString("a failure without a cause")
	}
	if e.Tries > 1 {
		fmt.Fprintf(&text, " (%d tries)", e.Tries)
	}
	return text.String()
}

func (e *Error) Unwrap() error { return e.Err }

// An EventTooLargeError says how large an event is on the wire and how large it may be, in bytes.
type EventTooLargeError struct {
	Size int

	// Limit is the limit of the buffer or of the partition's link. With an Err it is the limit that
	// the service states. If the service states none, Limit is Size minus one: the real limit is at
	// most that.
	Limit int

	// Err is the service's refusal of the event alone, an *Error. It is nil for an event that was
	// not sent because it exceeds the limit of the buffer or the link.
	Err error
}

func (e *EventTooLargeError) Error() string {
	text := "eventhubs: the event is too large: it takes " + strconv.Itoa(e.Size) + " bytes encoded, the limit is "
	if e.Err == nil {
		return text + strconv.Itoa(e.Limit)
	}
	if e.Limit == e.Size-1 {
		text += "at most "
	}
	return text + strconv.Itoa(e.Limit) + ": " + bare(e.Err)
}

func (e *EventTooLargeError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrEventTooLarge], or its code.
func (e *EventTooLargeError) Is(target error) bool { return isCode(CodeTooLarge, target) }

// An UndeliveredError is what Flush and Close return when some of the events that they answer for
// are not known to be stored. It counts these events by storage.
type UndeliveredError struct {
	NotStored      int // events that failed and certainly are not in the event hub
	PossiblyStored int // events that failed, and may be in the event hub
	Pending        int // events that had no outcome yet when the context ended
	Kept           int // events that stay in the journal; see ErrKept

	// Err is the first failure. If the context has ended, Err wraps the context's error as well
	// and, if no event has failed, the reason why events are pending.
	Err error
}

// Failed is the number of failed events: [NotStored] and [PossiblyStored] together.
func (e *UndeliveredError) Failed() int { return e.NotStored + e.PossiblyStored }

func (e *UndeliveredError) Error() string {
	var counts []string
	for _, c := range []struct {
		events int
		what   string
	}{{e.NotStored, "not stored"}, {e.PossiblyStored, "possibly stored"}, {e.Pending, "still pending"}, {e.Kept, "kept in the journal"}} {
		if c.events > 0 {
			counts = append(counts, number(c.events, "event", "events")+" "+c.what)
		}
	}
	text := "eventhubs: " + strings.Join(counts, ", ")
	if e.Err == nil {
		return text
	}
	if e.Pending == 0 && e.Failed() > 0 {
		text += "; the first failure"
	}
	return text + ": " + bare(e.Err)
}

func (e *UndeliveredError) Unwrap() error { return e.Err }

// invalid says which argument is wrong, how, and what to do.
func invalid(format string, args ...any) error {
	return fmt.Errorf("eventhubs: %w: "+format, append([]any{ErrInvalidArgument}, args...)...)
}

// failure converts an error of package connection to its public form.
func failure(err error, partitionID string, tries int) error {
	below, ok := errors.AsType[*connection.Error](err)
	if !ok {
		return err
	}
	return &Error{
		Code:        Code(below.Code),
		Condition:   below.Condition,
		PartitionID: partitionID,
		Tries:       tries,
		TrackingID:  below.TrackingID,
		Transient:   below.Transient,
		Err:         err,
	}
}
