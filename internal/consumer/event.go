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

// decode decodes an event.
func decode(encoded []byte) Event {
	var e Event
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
