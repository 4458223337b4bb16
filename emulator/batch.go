package emulator

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// formatBatch is the message format of a batch: an envelope, then one data section for each event.
// The section's content is the event's own message. A batch of one event is legal and common. Any
// other format is a single event.
const formatBatch = 0x80013700

// maxGuess bounds the index that a batch reserves because of one short event: 80 KB.
const maxGuess = 4096

// A span is the place of an event's message in its batch's buffer:
//
//	start .. header   the header section, maybe empty
//	annotations .. rest   the value of the message annotations, maybe empty
//	rest .. end   everything after them: properties, body, footer
//
// Delivery annotations between header and annotations concern only the way to the emulator and are
// dropped. In a batch that is unordered, only the value of the message annotations has this place.
type span struct {
	start, header, annotations, rest, end uint32
	before                                uint32 // bytes of the batch's events before this one
}

// A route is a message's own choice of partition.
type route struct {
	key    string
	hasKey bool
}

// splitMessage splits a message into events without copying: the batch keeps payload. It visits
// each section of each event once.
func splitMessage(payload []byte, format uint32) (*batch, route, *refusal) {
	b := &batch{buffer: payload, format: format}
	if format != formatBatch {
		r, refused := b.add(0, len(payload), true)
		return b, r, refused
	}
	var r route
	at := 0
	for s, err := range amqp.Sections(payload) {
		if err != nil {
			return nil, r, refuse(conditionDecode, "The batch could not be read: %v.", err)
		}
		at += len(s.Raw)
		var refused *refusal
		switch s.Code {
		case amqp.SectionMessageAnnotations:
			r, refused = readRoute(s.Value)
		case amqp.SectionData:
			refused = b.addData(s, at)
		case amqp.SectionSequence, amqp.SectionValue:
			refused = refuse(conditionDecode, "A batch may hold data sections only.")
		}
		if refused != nil {
			return nil, r, refused
		}
	}
	if len(b.events) == 0 {
		return nil, r, refuse(conditionArgument, "The batch holds no event.")
	}
	return b, r, nil
}

// addData adds the event in a data section that ends at end.
func (b *batch) addData(s amqp.Section, end int) *refusal {
	data, err := s.Data()
	if err != nil {
		return refuse(conditionDecode, "Event %d of the batch could not be read: %v.", len(b.events), err)
	}
	if b.events == nil {
		// Events of one batch are mostly of similar size; the bound is for a first event that is
		// much smaller.
		b.events = make([]span, 0, min(1+(len(b.buffer)-end)/len(s.Raw), maxGuess))
	}
	_, refused := b.add(end-len(data), end, false)
	return refused
}

// add records the event whose message lies between start and end, and reads its route if wantRoute
// is set.
func (b *batch) add(start, end int, wantRoute bool) (r route, refused *refusal) {
	e := span{start: uint32(start), header: uint32(start), annotations: uint32(start), rest: uint32(start), end: uint32(end), before: uint32(b.bytes)}
	at := e.start
	last, ordered, seen := byte(0), true, uint16(0)
	for s, err := range amqp.Sections(b.buffer[start:end]) {
		if err != nil {
			return r, refuse(conditionDecode, "Event %d of the message could not be read: %v.", len(b.events), err)
		}
		// Only the body may have several sections of one kind (3.2).
		bit := uint16(1) << (s.Code - amqp.SectionHeader)
		if seen&bit != 0 && s.Code != amqp.SectionData && s.Code != amqp.SectionSequence {
			return r, refuse(conditionDecode, "Event %d of the message has section 0x%02x twice.", len(b.events), s.Code)
		}
		ordered = ordered && s.Code >= last
		last, seen = s.Code, seen|bit
		at += uint32(len(s.Raw))
		switch s.Code {
		case amqp.SectionHeader:
			if ordered {
				e.header, e.annotations, e.rest = at, at, at
			}
		case amqp.SectionDeliveryAnnotations:
			if ordered {
				e.annotations, e.rest = at, at
			} else if _, _, ok := splitMap(s.Value); !ok { // appendReordered takes them apart
				return r, refuse(conditionDecode, "The delivery annotations of event %d of the message are not a map, or not a whole one.", len(b.events))
			}
		case amqp.SectionMessageAnnotations:
			e.annotations, e.rest = at-uint32(len(s.Value)), at
			if _, _, ok := splitMap(s.Value); !ok {
				return r, refuse(conditionDecode, "The message annotations of event %d of the message are not a map, or not a whole one.", len(b.events))
			}
			if wantRoute {
				if r, refused = readRoute(s.Value); refused != nil {
					return r, refused
				}
			}
		}
	}
	b.unordered = b.unordered || !ordered
	b.events = append(b.events, e)
	b.bytes += int64(max(1, end-start)) // a message without any section also has its own offset
	return r, nil
}

// message is event i as the client encoded it.
func (b *batch) message(i int) []byte {
	e := b.events[i]
	return b.buffer[e.start:e.end:e.end]
}

// appendMessage appends event i as consumers get it: the client's encoding byte for byte, with the
// service's annotations after the client's. The parameter deliveryAnnotations is encoded already,
// or empty.
func (b *batch) appendMessage(dst []byte, i int, deliveryAnnotations []byte) []byte {
	if b.unordered {
		return b.appendReordered(dst, i, deliveryAnnotations)
	}
	e := b.events[i]
	dst = append(dst, b.buffer[e.start:e.header]...)
	dst = append(dst, deliveryAnnotations...)
	dst = b.appendAnnotations(dst, i)
	return append(dst, b.buffer[e.rest:e.end]...)
}

// appendAnnotations appends the message annotations of event i as consumers get them.
func (b *batch) appendAnnotations(dst []byte, i int) []byte {
	e := b.events[i]
	dst, mark := amqp.BeginMap(amqp.AppendSectionHeader(dst, amqp.SectionMessageAnnotations))
	dst, own := appendOwnAnnotations(dst, b.buffer[e.annotations:e.rest])
	dst = amqp.AppendLong(amqp.AppendSymbol(dst, annotationSequence), b.first+int64(i))
	dst = amqp.AppendString(amqp.AppendSymbol(dst, annotationOffset), strconv.FormatInt(b.offsetOf(i), 10))
	dst = amqp.AppendTimestamp(amqp.AppendSymbol(dst, annotationEnqueued), b.enqueued)
	return amqp.EndMap(dst, mark, own+3)
}

// event decodes event i for inspection.
func (b *batch) event(partition string, i int) Event {
	out := Event{
		PartitionID:    partition,
		SequenceNumber: b.first + int64(i),
		Offset:         strconv.FormatInt(b.offsetOf(i), 10),
		EnqueuedTime:   b.enqueued,
		Message:        b.message(i),
	}
	m, err := amqp.ParseMessage(out.Message)
	if err != nil {
		return out // stored as it came; receivers get the same bytes
	}
	switch len(m.Data) {
	case 0:
	case 1:
		out.Body = slices.Clip(m.Data[0])
	default:
		out.Body = bytes.Join(m.Data, nil)
	}
	for _, p := range m.Annotations {
		if key, ok := p.Key.(amqp.Symbol); ok {
			if out.Annotations == nil {
				out.Annotations = make(map[string]any, len(m.Annotations))
			}
			out.Annotations[string(key)] = plain(p.Value)
		}
	}
	out.PartitionKey, _ = out.Annotations[annotationKey].(string)
	if m.Properties != nil {
		out.MessageID = plain(m.Properties.MessageID)
		if m.Properties.ContentType != nil {
			out.ContentType = *m.Properties.ContentType
		}
	}
	for _, p := range m.ApplicationProperties {
		if key, ok := p.Key.(string); ok {
			if out.Properties == nil {
				out.Properties = make(map[string]any, len(m.ApplicationProperties))
			}
			out.Properties[key] = plain(p.Value)
		}
	}
	return out
}

// plain turns simple values of the AMQP codec's own types into Go's types.
func plain(v any) any {
	switch v := v.(type) {
	case amqp.Symbol:
		return string(v)
	case amqp.UUID:
		return [16]byte(v)
	case amqp.Char:
		return rune(v)
	default:
		return v
	}
}
