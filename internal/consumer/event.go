package consumer

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Annotations by which the service says where an event is.
const (
	sequenceAnnotation = "x-opt-sequence-number"
	offsetAnnotation   = "x-opt-offset"
	enqueuedAnnotation = "x-opt-enqueued-time"
)

// An Event is an event of a partition.
type Event struct {
	Placed         bool // the service has said where the event is; otherwise the next three are zero
	SequenceNumber int64
	Offset         string
	EnqueuedTime   time.Time

	// Message is what the sender sent, with the service's annotations. It is empty if Err is set.
	Message amqp.Message

	// Encoded is the message as it came. From a Reader that does not decode, Message and Offset are
	// empty until Decode is called.
	Encoded []byte

	// Err says why the event cannot be read: it is no valid AMQP message.
	Err error

	after Position // of the event before
}

// String names the event.
func (e *Event) String() string {
	if e.Placed {
		return fmt.Sprintf("the event with sequence number %d (offset %s)", e.SequenceNumber, e.Offset)
	}
	return "an event after " + e.after.String()
}

var errNoPlace = errors.New("the service does not say where it is in the partition")

// Decode decodes the message, and says where the event is.
func (e *Event) Decode() {
	after := e.after
	*e = decode(e.Encoded)
	e.after = after
}

// locate finds out where an event is, and decodes it only if that is not found at once.
func locate(encoded []byte) Event {
	e := Event{Encoded: encoded}
	for b := encoded; len(b) > 0; {
		s, rest, err := amqp.NextSection(b)
		if err != nil || s.Code > amqp.SectionMessageAnnotations {
			break
		}
		if s.Code == amqp.SectionMessageAnnotations {
			e.locateIn(s.Value)
			break
		}
		b = rest
	}
	if !e.Placed {
		return decode(encoded)
	}
	return e
}

// locateIn reads sequence number and time in encoded annotations. It reads neither if one of the
// annotations cannot be cut off, since the time may come after that one.
func (e *Event) locateIn(annotations []byte) {
	m, _, _ := amqp.NextRaw(annotations)
	count, b, ok := m.Map()
	for ; ok && count > 0; count -= 2 {
		var key, value amqp.Raw
		if key, b, ok = amqp.NextRaw(b); !ok {
			break
		}
		if value, b, ok = amqp.NextRaw(b); !ok {
			break
		}
		name, _ := key.Symbol()
		switch string(name) {
		case sequenceAnnotation:
			e.SequenceNumber, e.Placed = value.Long()
		case enqueuedAnnotation:
			if ms, ok := value.Timestamp(); ok {
				e.EnqueuedTime = time.UnixMilli(ms).UTC()
			}
		}
	}
	e.Placed = e.Placed && ok
}

// decode decodes an event.
func decode(encoded []byte) Event {
	e := Event{Encoded: encoded}
	if e.Message, e.Err = amqp.ParseMessage(encoded); e.Err != nil {
		e.place(annotationsOf(encoded))
		return e
	}
	if e.place(e.Message.Annotations); !e.Placed {
		e.Err = errNoPlace
	}
	return e
}

// annotationsOf returns the annotations of a message that is malformed elsewhere; nil if they
// cannot be read.
func annotationsOf(encoded []byte) amqp.Map {
	for section, err := range amqp.Sections(encoded) {
		if err != nil {
			return nil
		}
		if section.Code == amqp.SectionMessageAnnotations {
			value, _, _ := amqp.ReadValue(section.Value)
			annotations, _ := value.(amqp.Map)
			return annotations
		}
	}
	return nil
}

// place reads where the event is.
func (e *Event) place(annotations amqp.Map) {
	for _, p := range annotations {
		name, ok := p.Key.(amqp.Symbol)
		if !ok {
			continue
		}
		switch value := p.Value.(type) {
		case int64:
			if name == sequenceAnnotation {
				e.SequenceNumber, e.Placed = value, true
			}
		case time.Time:
			if name == enqueuedAnnotation {
				e.EnqueuedTime = value
			}
		case string:
			if name == offsetAnnotation {
				e.Offset = value
			}
		}
	}
}
